"""`GET /readyz`: whether the storage answers, asked once for all who want to know.

Anybody may ask: each question passed on would cost the storage a request, and turns their share of its throughput.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from aiohttp import web

from storage.contract import DocumentStore
from storage.errors import StorageError

GOOD_FOR: Final = 1.0  # seconds that an answer is repeated


class Readiness:
    """What is known of `storage`; `clock` answers seconds."""

    def __init__(self, storage: DocumentStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._storage = storage
        self._clock = clock
        self._failure: StorageError | None = None
        self._answered = -math.inf
        self._asking: asyncio.Task[None] | None = None

    async def get(self, _request: web.Request) -> web.Response:
        """Answer 200 or 503, and name the storage or what is wrong with it."""
        if failure := await self.failure():
            body = {"status": "unavailable", "storage": str(failure)}
            return web.json_response(body, status=HTTPStatus.SERVICE_UNAVAILABLE)
        return web.json_response({"status": "ok", "storage": str(self._storage)})

    async def failure(self) -> StorageError | None:
        """Return why the storage does not answer, or None where it does."""
        if self._asking is None and self._clock() - self._answered >= GOOD_FOR:
            self._asking = asyncio.create_task(self._ask())
        if self._asking:
            await asyncio.shield(self._asking)  # who leaves does not take the answer away from the others
        return self._failure

    async def _ask(self) -> None:
        try:
            await self._storage.ping()
            self._failure = None
        except StorageError as error:
            self._failure = error
        finally:
            self._answered, self._asking = self._clock(), None
