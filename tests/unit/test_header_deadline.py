"""Slow heads of requests: the connection is closed in time, and those of patient clients are not."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from bots.header_deadline import HeaderDeadline, connections_allowed

SECONDS = 0.2
LARGE = 20_000_000  # bytes, more than the sockets' buffers take
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
def room() -> int:
    return 10


@pytest.fixture
async def port(room: int) -> AsyncIterator[int]:
    """A server whose answers take twice the deadline, with room for so many connections."""

    async def slow(request: web.Request) -> web.Response:
        await request.read()
        await asyncio.sleep(2 * SECONDS)
        return web.Response(body=bytes(LARGE)) if request.path == "/large" else web.Response(text="done")

    deadline = HeaderDeadline(SECONDS, room)
    app = web.Application(middlewares=[deadline.middleware])
    app.router.add_route("*", "/{path:.*}", slow)
    runner = web.AppRunner(app)
    await runner.setup()
    assert runner.server is not None
    server = await asyncio.get_running_loop().create_server(deadline.factory(runner.server), "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await runner.cleanup()
    assert not deadline._connections


@contextlib.asynccontextmanager
async def connected(port: int) -> AsyncIterator[Connection]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(10):
            yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def answered(connection: Connection) -> bool:
    reader, _ = connection
    head = await reader.readuntil(b"\r\n\r\n")
    return head.startswith(b"HTTP/1.1 200 ") and await reader.readexactly(4) == b"done"


@pytest.mark.parametrize("sent", [b"", b"G", b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: "])
async def test_a_connection_that_sends_no_whole_head_is_closed(port: int, sent: bytes) -> None:
    async with connected(port) as (reader, writer):
        writer.write(sent)
        assert await reader.read() == b""


async def test_trickling_does_not_help(port: int) -> None:
    async with connected(port) as (reader, writer):
        closing = asyncio.create_task(reader.read())
        for byte in b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: " + b"x" * 200:
            if closing.done():
                break
            writer.write(bytes([byte]))
            await asyncio.wait([closing], timeout=0.02)
        assert closing.done()
        assert await closing == b""


async def test_a_slow_answer_and_a_slow_body_are_not_the_heads_matter(port: int) -> None:
    async with connected(port) as connection:
        connection[1].write(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nx")
        await asyncio.sleep(2 * SECONDS)
        connection[1].write(b"y")
        assert await answered(connection)


async def test_a_connection_may_wait_for_its_next_request_but_not_in_the_middle_of_it(port: int) -> None:
    async with connected(port) as connection:
        reader, writer = connection
        writer.write(REQUEST)
        assert await answered(connection)
        await asyncio.sleep(2 * SECONDS)
        writer.write(REQUEST)
        assert await answered(connection)
        writer.write(REQUEST[:9])
        assert await reader.read() == b""


async def closed(connection: Connection) -> bool:
    with contextlib.suppress(ConnectionError):
        return await connection[0].read() == b""
    return True


@pytest.mark.parametrize("room", [2])
async def test_beyond_its_room_the_connection_that_has_waited_longest_is_closed(port: int) -> None:
    async with connected(port) as first, connected(port) as second:
        for connection in (second, first):
            connection[1].write(REQUEST)
        assert await answered(second)  # so that it has waited longer
        assert await answered(first)
        async with connected(port) as third:
            assert await closed(second)
            for connection in (first, third):
                connection[1].write(REQUEST)
            assert await answered(first)
            assert await answered(third)


@pytest.mark.parametrize("room", [2])
async def test_a_connection_with_a_request_is_not_closed_for_another_which_finds_no_room(port: int) -> None:
    body = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nx"
    async with connected(port) as first, connected(port) as second:
        for _, writer in (first, second):
            writer.write(body)
        async with connected(port) as early, connected(port) as late:
            assert await closed(early)
            assert await closed(late)
        for _, writer in (first, second):
            writer.write(b"y")
        assert await answered(first)
        assert await answered(second)


@pytest.mark.parametrize("room", [2])
async def test_who_does_not_read_the_answer_is_closed_for_another(port: int) -> None:
    async with connected(port) as deaf, connected(port) as other:
        deaf[1].write(REQUEST.replace(b"GET /", b"GET /large"))
        other[1].write(REQUEST)
        assert (await deaf[0].readline()).startswith(b"HTTP/1.1 200 ")  # and no more
        assert await answered(other)
        async with connected(port) as third:
            third[1].write(REQUEST)
            assert await answered(third)
            got = bytearray()
            with contextlib.suppress(ConnectionError):
                while chunk := await deaf[0].read(1_000_000):
                    got += chunk
            assert len(got) < LARGE


LIMITS = {64: 16, 256: 64, 1024: 448, 20_000: 4_000, -1: 4_000}


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
@pytest.mark.parametrize("descriptors", LIMITS)
def test_connections_leave_descriptors_for_everything_else(descriptors: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _what: (descriptors, -1))
    assert connections_allowed(128) == LIMITS[descriptors]
