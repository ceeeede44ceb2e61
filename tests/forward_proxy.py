"""A proxy that wants a password, as companies have them: it tunnels TLS, and forwards what is not encrypted."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from tests.tunnels import pump, served

USER, PASSWORD = "ada", "the-password-of-the-proxy"
_KNOWN = f"Proxy-Authorization: Basic {base64.b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}\r\n".encode()
_WHO = re.compile(rb"(?i)Proxy-Authorization: [^\r]*\r\n")
_LENGTH = re.compile(rb"(?i)\r\nContent-Length: (\d+)\r\n")
_REFUSED = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class ForwardProxy:
    """The proxy as it runs.

    Attributes:
        port: where it listens.
        taken, refused: the request lines with the password, and those without.
    """

    def __init__(self) -> None:
        self.port = 0
        self.taken: list[str] = []
        self.refused: list[str] = []

    def address(self, password: str = PASSWORD) -> str:
        """The URL that the environment names it by."""
        return f"http://{USER}:{password}@127.0.0.1:{self.port}"

    async def serve(self, client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        """Handle a connection. All its requests are for one host, as our clients' are."""
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(answers.close)
            service: asyncio.StreamWriter | None = None
            while head := await _head(client):
                line = head[: head.index(b"\r\n")].decode()
                method, target, _ = line.split(" ")
                if _KNOWN not in head:
                    self.refused.append(line)
                    answers.write(_REFUSED)
                    return
                self.taken.append(line)
                url = urlsplit(f"//{target}" if method == "CONNECT" else target)
                if service is None:
                    replies, service = await asyncio.open_connection(url.hostname, url.port)
                    stack.callback(service.close)
                    back = asyncio.create_task(pump(replies, answers))
                    stack.push_async_callback(_stop, back)
                if method == "CONNECT":
                    answers.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    await pump(client, service)
                    return
                path = url.path + (f"?{url.query}" if url.query else "")
                service.write(_WHO.sub(b"", head.replace(target.encode(), path.encode(), 1)))
                length = _LENGTH.search(head)
                service.write(await client.readexactly(int(length[1]) if length else 0))


@contextlib.asynccontextmanager
async def forward_proxy() -> AsyncIterator[ForwardProxy]:
    """Run one until the block ends."""
    proxy = ForwardProxy()
    async with served(proxy.serve) as proxy.port:
        yield proxy


async def _head(client: asyncio.StreamReader) -> bytes:
    try:
        return await client.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})
