"""A proxy of this machine that makes tunnels (CONNECT, RFC 9110 section 9.3.6), for hosts that a test plays."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Tunnels:
    """The proxy.

    Attributes:
        address: its host and port.
        asked: the heads of the requests for a tunnel.
    """

    address: str = ""
    asked: list[str] = field(default_factory=list)


@contextlib.asynccontextmanager
async def tunnels(port: int, *hosts: str) -> AsyncIterator[Tunnels]:
    """Run a proxy until the block ends; its tunnels are to `hosts`, port 443, which are all at `port` here."""
    found = Tunnels()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        found.asked.append(head)
        assert head.startswith(tuple(f"CONNECT {host}:443 " for host in hosts)), head
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        pumps = [asyncio.create_task(pump(reader, far_writer)), asyncio.create_task(pump(far_reader, writer))]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            writer.transport.abort()
            far_writer.transport.abort()
            await asyncio.wait(pumps)

    async with served(connect) as port_of_proxy:
        found.address = f"127.0.0.1:{port_of_proxy}"
        yield found


@contextlib.asynccontextmanager
async def served(handle: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[int]:
    """Handle connections until the block ends, at the port that it gets."""
    running: set[asyncio.Task[Any]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        await handle(reader, writer)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hand on all bytes until one side closes."""
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
