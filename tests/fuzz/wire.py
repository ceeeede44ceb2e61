"""The bot's application without a network: bytes in, the answer out; a bug is an exception."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any
from unittest import mock

from aiohttp import web
from botbuilder.core import TurnContext
from botbuilder.integration.aiohttp import CloudAdapter
from botbuilder.schema import Activity, ResourceResponse

from app import SERVER_OPTIONS, STORAGE, create_app
from bots import StateManagementBot
from config import Settings
from storage.memory import MemoryStorage

SECONDS = 2.0  # for an answer
KEEP = 2_000  # documents, before they are thrown away: memory is to show what the edge keeps
HEAD = b"POST /api/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
_RAW = b"RAW "  # such an input is the whole request; any other is its body


class Wire(asyncio.Transport):
    """A connection's other end."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 5), "sockname": ("127.0.0.1", 3978)})
        self.written = bytearray()
        self.closed = asyncio.Event()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def close(self) -> None:
        self.closed.set()

    abort = close

    def is_closing(self) -> bool:
        return self.closed.is_set()

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Application:
    """One application for all inputs.

    Attributes:
        tried: the inputs.
        statuses: how often each was answered; 0: the request was not complete.
    """

    def __init__(self) -> None:
        logging.disable(logging.ERROR)
        self.tried = 0
        self.statuses: dict[int, int] = {}
        self._loop = asyncio.new_event_loop()
        self._turns = 0
        app = create_app(Settings(state_storage="memory"), self._bot)
        storage = app[STORAGE]
        assert isinstance(storage, MemoryStorage)
        self._storage = storage
        self._runner = web.AppRunner(app, **SERVER_OPTIONS)
        self._loop.run_until_complete(self._runner.setup())
        mock.patch.object(CloudAdapter, "send_activities", _sent).start()

    def try_one(self, data: bytes) -> None:
        """Raises AssertionError where the application does not keep its word."""
        self.tried += 1
        self._loop.run_until_complete(self._request(data))
        if len(self._storage._documents) > KEEP:
            self._storage._documents.clear()

    async def _request(self, data: bytes) -> None:
        is_raw, turns, wire = data.startswith(_RAW), self._turns, Wire()
        request = data.removeprefix(_RAW) if is_raw else b"%bContent-Length: %d\r\n\r\n%b" % (HEAD, len(data), data)
        assert self._runner.server is not None
        connection = self._runner.server()
        connection.connection_made(wire)
        connection.data_received(request)
        try:
            async with asyncio.timeout(0.01 if is_raw else SECONDS):
                await wire.closed.wait()
        except TimeoutError:
            assert is_raw, "no answer"
        if b"expect" not in request.lower():  # on a path that is none aiohttp itself answers, sometimes with 500
            self._check(bytes(wire.written), self._turns - turns, is_raw=is_raw)
        connection.connection_lost(None)

    def _check(self, answer: bytes, turns: int, *, is_raw: bool) -> None:
        head, _, body = answer.partition(b"\r\n\r\n")
        status = int(head[9:12] or b"0")
        self.statuses[status] = self.statuses.get(status, 0) + 1
        assert status in (0, 100, 200, 201, 404, 501) or 400 <= status < 500, (status, body)
        if not is_raw and status >= 400 and status != 501:
            assert json.loads(body)["error"]
            assert not turns, "refused, and the bot ran"

    def _bot(self, *states: Any) -> StateManagementBot:
        application = self

        class Counted(StateManagementBot):
            async def on_turn(self, turn_context: TurnContext) -> None:
                application._turns += 1
                await super().on_turn(turn_context)

        return Counted(*states)


async def _sent(_adapter: CloudAdapter, _context: TurnContext, activities: list[Activity]) -> list[ResourceResponse]:
    return [ResourceResponse(id="sent") for _ in activities]
