"""Connections that send the head of a request slowly, or none, are closed ("slowloris"); aiohttp waits for an hour.

A connection that waits for its next request is left alone, as load balancers keep them for long, until there are too
many: then the one that has waited longest makes room. At the limit of the process's descriptors nothing could be
accepted, no storage asked and no reply sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, cast

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

MOST: Final = 4000  # connections; an idle one takes 9 kB
LEAST: Final = 16
HEAD_SECONDS: Final = 15.0  # from the first byte (of the first request: from the connection) to the end of the head

Factory = Callable[[], asyncio.Protocol]


def connections_allowed(backlog: int) -> int:
    """Return for how many connections there are descriptors; as many again are left for storage, replies and files.

    Args:
        backlog: how many the event loop accepts in one go, before it tells of any.
    """
    try:
        import resource
    except ImportError:  # Windows, which has no such limit
        return MOST
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if descriptors == resource.RLIM_INFINITY:
        return MOST
    return max(LEAST, min(MOST, (descriptors - backlog) // 2))


class HeaderDeadline:
    """Give `middleware` to the application, outermost, and `factory` to the event loop in place of the server.

    Args:
        seconds: for a head.
        room: connections at a time.
    """

    def __init__(self, seconds: float = HEAD_SECONDS, room: int = MOST) -> None:
        self._seconds = seconds
        self._room = room
        self._connections: dict[asyncio.BaseProtocol, _Connection] = {}
        self._waiting: dict[_Connection, None] = {}  # for a request, the longest first

    def factory(self, server: Factory) -> Factory:
        """Return a factory of connections that `server` handles."""

        def connect() -> asyncio.Protocol:
            inner = server()
            self._connections[inner] = _Connection(inner, self)
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

    def made(self, connection: _Connection) -> None:
        """Take a connection in; close the one that has waited longest, perhaps this one, where there are too many."""
        self.waits(connection)
        if len(self._connections) > self._room:
            longest = next(iter(self._waiting))
            self.works(longest)
            longest.abort()

    def waits(self, connection: _Connection) -> None:
        """Note that a connection waits for a request from now on."""
        self._waiting[connection] = None

    def works(self, connection: _Connection) -> None:
        """Note that a connection has a request, or is closed."""
        self._waiting.pop(connection, None)

    def lost(self, inner: asyncio.Protocol) -> None:
        """Forget a connection."""
        self.works(self._connections.pop(inner))

    def in_time(self, close: Callable[[], None]) -> asyncio.TimerHandle:
        """Call `close` when the time for a head is over."""
        return asyncio.get_running_loop().call_later(self._seconds, close)


class _Connection(asyncio.Protocol):
    def __init__(self, inner: asyncio.Protocol, all_of_them: HeaderDeadline) -> None:
        self._inner = inner
        self._all = all_of_them
        self._transport: asyncio.Transport
        self._timer: asyncio.TimerHandle | None = None
        self._handling = 0

    def head_is_complete(self) -> None:
        self._handling += 1
        self._cancel()
        self._all.works(self)

    def request_is_over(self) -> None:
        self._handling -= 1
        if not self._handling and not self._transport.is_closing():
            self._all.waits(self)

    def abort(self) -> None:
        self._transport.abort()  # whatever is still to be written: who reads nothing would keep it open

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._inner.connection_made(transport)
        self._start()
        self._all.made(self)

    def data_received(self, data: bytes) -> None:
        if not self._handling:
            self._start()
        self._inner.data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel()
        self._all.lost(self._inner)
        self._inner.connection_lost(exc)
        # What was no HTTP and nobody answered any more: aiohttp keeps the error, its traceback the connection and the
        # request's body, in a cycle that is freed only when the garbage collector comes to it.
        for message, _body in getattr(self._inner, "_messages", ()):
            if error := getattr(message, "exc", None):
                error.__traceback__ = None

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def _start(self) -> None:
        if self._timer is None:
            self._timer = self._all.in_time(self._transport.close)

    def _cancel(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
