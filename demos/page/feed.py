"""The turns of this process as a stream of events, so that a page can show them as they happen.

Over a WebSocket, not as server-sent events: of those a browser has six to a host, over all its windows.
"""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections import deque
from contextlib import suppress
from typing import Any, Final

from aiohttp import web

from bots.turn.events import TurnEvent
from demos.page.transcript import CHANNEL_ID
from storage.contract import JsonObject

_REMEMBERED: Final = 500  # events, for a page that is opened later


class Feed:
    """What happened lately, and what happens now."""

    def __init__(self) -> None:
        self._process = uuid.uuid4().hex[:8]
        self._number = 0
        self._events: deque[JsonObject] = deque(maxlen=_REMEMBERED)
        self._streams: dict[web.WebSocketResponse, asyncio.Event] = {}

    def observe(self, event: TurnEvent) -> None:
        """Add what happened in a turn."""
        self._add(event.what, event.conversation, event.activity_id, dict(event.facts))

    def replied(self, conversation: str, activity: JsonObject) -> None:
        """Add that a reply has arrived at the channel."""
        facts = {"type": activity["type"], "text": activity.get("text")}
        self._add("reply", f"{CHANNEL_ID}/conversations/{conversation}", activity.get("replyToId"), facts)

    async def aclose(self) -> None:
        """End the streams."""
        for socket in tuple(self._streams):
            await socket.close(code=1001, message=b"the bot stops")

    async def stream(self, request: web.Request) -> web.WebSocketResponse:
        """Send the events of one conversation as JSON texts, those of the past first.

        In the query, `conversation` is its id, and `after` the `id` of the last event that the client has seen.
        """
        conversation = f"{CHANNEL_ID}/conversations/{request.query.get('conversation', '')}"
        socket = web.WebSocketResponse(heartbeat=30.0)
        await socket.prepare(request)
        wake = self._streams[socket] = asyncio.Event()
        sending = asyncio.create_task(self._send(socket, wake, conversation, request.query.get("after", "")))
        try:
            async for _message in socket:
                pass  # the client has nothing to say; this ends when it goes
        finally:
            sending.cancel()
            del self._streams[socket]
        return socket

    async def _send(self, socket: web.WebSocketResponse, wake: asyncio.Event, conversation: str, after: str) -> None:
        process, _, number = after.partition(".")
        last = int(number) if process == self._process and re.fullmatch("[0-9]{1,15}", number) else 0
        with suppress(ConnectionError):
            while not socket.closed:
                wake.clear()
                for event in [event for event in self._events if event["number"] > last]:
                    last = event["number"]
                    if event["conversation"] == conversation:
                        await socket.send_json({**event, "id": f"{self._process}.{last}"})
                await wake.wait()

    def _add(self, what: str, conversation: str, activity_id: str | None, facts: dict[str, Any]) -> None:
        self._number += 1
        told = {"number": self._number, "what": what, "at": time.time()}
        self._events.append({**told, "conversation": conversation, "activity": activity_id, **facts})
        for wake in self._streams.values():
            wake.set()
