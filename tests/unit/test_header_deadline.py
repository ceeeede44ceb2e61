"""Slow heads of requests: the connection is closed in time, and those of patient clients are not."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from bots.header_deadline import HeaderDeadline

SECONDS = 0.2
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """A server whose answers take twice the deadline."""

    async def slow(request: web.Request) -> web.Response:
        await request.read()
        await asyncio.sleep(2 * SECONDS)
        return web.Response(text="done")

    deadline = HeaderDeadline(SECONDS)
    app = web.Application(middlewares=[deadline.middleware])
    app.router.add_route("*", "/", slow)
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
