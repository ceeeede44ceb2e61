"""Connections that send the head of a request slowly, or none, are closed ("slowloris"); aiohttp waits for an hour.

A connection that waits for its next request is left alone: load balancers keep them for long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

HEAD_SECONDS: Final = 15.0  # from the first byte (of the first request: from the connection) to the end of the head

Factory = Callable[[], asyncio.Protocol]


class HeaderDeadline:
    """Give `middleware` to the application, outermost, and `factory` to the event loop in place of the server."""

    def __init__(self, seconds: float = HEAD_SECONDS) -> None:
        self._seconds = seconds
        self._connections: dict[asyncio.BaseProtocol, _Connection] = {}

    def factory(self, server: Factory) -> Factory:
        """Return a factory of connections that `server` handles."""

        def connect() -> asyncio.Protocol:
            inner = server()
            self._connections[inner] = _Connection(inner, self._seconds, lambda: self._connections.pop(inner))
            return self._connections[inner]

        return connect

    @property
    def middleware(self) -> Middleware:
        """What tells that the head of a request is complete."""

        @web.middleware
        async def head_is_complete(request: web.Request, handler: Handler) -> web.StreamResponse:
            connection = self._connections.get(request.protocol)
            if connection is None:  # served in another way, as by a test's server
                return await handler(request)
            connection.head_is_complete()
            try:
                return await handler(request)
            finally:
                connection.request_is_over()

        return head_is_complete


class _Connection(asyncio.Protocol):
    def __init__(self, inner: asyncio.Protocol, seconds: float, lost: Callable[[], object]) -> None:
        self._inner = inner
        self._seconds = seconds
        self._lost = lost
        self._transport: asyncio.BaseTransport
        self._timer: asyncio.TimerHandle | None = None
        self._handling = 0

    def head_is_complete(self) -> None:
        self._handling += 1
        self._cancel()

    def request_is_over(self) -> None:
        self._handling -= 1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._inner.connection_made(transport)
        self._start()

    def data_received(self, data: bytes) -> None:
        if not self._handling:
            self._start()
        self._inner.data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel()
        self._lost()
        self._inner.connection_lost(exc)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def _start(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._transport.close)

    def _cancel(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
