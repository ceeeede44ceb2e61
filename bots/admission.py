"""How many requests are in work at once: beyond that they are refused at once, before anything of them is read.

Under more load than it can carry a process that takes everything answers nobody in time, and runs out of memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware

ROOM: Final = 300  # requests; more could not be answered in the 15 s that a channel waits
RETRY_AFTER: Final = 2  # seconds

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def admission(path: str, room: int = ROOM) -> Middleware:
    """Return the middleware that admits `room` requests to `path` at a time; all others get 503 with Retry-After.

    Requests to other paths pass: a busy process is alive.
    """
    inside = 0

    @web.middleware
    async def admit(request: web.Request, handler: Handler) -> web.StreamResponse:
        nonlocal inside
        if request.path != path:
            return await handler(request)
        if inside >= room:
            body = {"error": "too many requests at once"}
            headers = {"Retry-After": str(RETRY_AFTER)}
            refusal = web.json_response(body, status=HTTPStatus.SERVICE_UNAVAILABLE, headers=headers)
            refusal.force_close()  # the body has not been read
            return refusal
        inside += 1
        try:
            # Those that came at the same time are counted before any is handled: turns that hardly wait would
            # otherwise follow each other, and the last of thousands start a minute after it came.
            await asyncio.sleep(0)
            return await handler(request)
        finally:
            inside -= 1

    return admit
