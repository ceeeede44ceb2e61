"""A reverse proxy that fails as networks and services do, on request.

One of our own: the faults are about single HTTP requests (the second write of a turn, the answer to a commit), which
toxiproxy, that works on connections, does not see, and mitmproxy would bring thirty packages for these lines.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from ssl import SSLContext
from typing import NamedTuple
from urllib.parse import unquote

from aiohttp import ClientSession, ClientTimeout, TCPConnector, web
from multidict import CIMultiDict
from yarl import URL

# Seconds that a connection to the service may be idle. Services keep theirs for five or more; and a new one for each
# request, with its TLS handshake, would be what a busy machine is busy with.
KEPT_ALIVE = 2.0
# Host is the service's own again: Azurite takes the first label of any other name for its account.
_HOP_BY_HOP = ("Host", "Connection", "Keep-Alive", "Transfer-Encoding", "Date", "Server", "Content-Length")


class Request(NamedTuple):
    """What goes to the service."""

    method: str
    target: str  # path and query as they were sent
    name: str  # the path decoded, and behind it the id of an item that Cosmos DB is to create
    headers: CIMultiDict[str]
    body: bytes


class Answer(NamedTuple):
    """What comes back, or a connection that ends: after `kept` (a share) of the answer."""

    status: int = 200
    headers: CIMultiDict[str] = CIMultiDict()
    body: bytes = b""
    kept: float = 1.0


Forward = Callable[[], Awaitable[Answer]]
Fault = Callable[[Forward], Awaitable[Answer]]
Match = Callable[[Request], bool]


@dataclass(slots=True)
class Rule:
    """Which requests meet a fault, and how many of them (None: all)."""

    matches: Match
    fault: Fault
    times: int | None = None
    hits: int = 0

    def takes(self, request: Request) -> bool:
        """Whether this request is to fail."""
        return (self.times is None or self.hits < self.times) and self.matches(request)


@dataclass(slots=True)
class Proxy:
    """Stands before `upstream`; `url` is where.

    Attributes:
        seen: the requests so far, forwarded or not.
        answered: what the service answered to those that reached it.
    """

    upstream: str
    url: str = ""
    rules: list[Rule] = field(default_factory=list)
    seen: list[Request] = field(default_factory=list)
    answered: list[tuple[Request, int]] = field(default_factory=list)
    _runner: web.AppRunner | None = None

    @classmethod
    @asynccontextmanager
    async def before(cls, upstream: str, tls: SSLContext | None = None) -> AsyncIterator[Proxy]:
        """Run a proxy, on a free port of the loopback interface, until the block ends; with `tls` over HTTPS."""
        proxy = cls(upstream.rstrip("/"))
        connector = TCPConnector(ssl=False, limit=0, keepalive_timeout=KEPT_ALIVE)
        async with ClientSession(
            connector=connector,
            auto_decompress=False,
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),  # nothing that was not sent
            timeout=ClientTimeout(30),
        ) as http:
            app = web.Application(client_max_size=2**26)

            async def handle(request: web.Request) -> web.StreamResponse:
                return await proxy._handle(request, http)

            app.router.add_route("*", "/{path:.*}", handle)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
            await runner.setup()
            try:
                await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
                proxy.url = f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
                proxy._runner = runner
                yield proxy
            finally:
                await runner.cleanup()

    def drop_connections(self) -> None:
        """Reset the connections that are kept open, so that the next requests need new ones."""
        server = self._runner.server if self._runner else None
        for connection in server.connections if server else []:
            if connection.transport:
                connection.transport.abort()

    @contextmanager
    def failing(self, matches: Match, fault: Fault, times: int | None = None) -> Iterator[Rule]:
        """Let requests fail in the block."""
        rule = Rule(matches, fault, times)
        self.rules.append(rule)
        try:
            yield rule
        finally:
            self.rules.remove(rule)

    async def _handle(self, incoming: web.Request, http: ClientSession) -> web.StreamResponse:
        request = await _read(incoming)
        self.seen.append(request)
        rule = next((rule for rule in self.rules if rule.takes(request)), None)

        async def forward() -> Answer:
            url = URL(self.upstream + request.target, encoded=True)
            async with http.request(
                request.method, url, data=request.body or None, headers=request.headers, allow_redirects=False
            ) as answer:
                self.answered.append((request, answer.status))
                headers = _end_to_end(answer.headers)
                # Cosmos DB names its own address, where the SDK would go from then on.
                body = (await answer.read()).replace(self.upstream.encode(), self.url.encode())
                return Answer(answer.status, headers, body)

        if rule:
            rule.hits += 1
        try:
            answer = await (rule.fault(forward) if rule else forward())
        except OSError:  # the service is away: so is the proxy
            answer = Answer(kept=0.0)
        if answer.kept < 1:
            return _broken(incoming, answer)
        return web.Response(status=answer.status, headers=answer.headers, body=answer.body)


async def _read(incoming: web.Request) -> Request:
    body = await incoming.read()
    name = unquote(incoming.raw_path)
    if incoming.method == "POST" and incoming.path.rstrip("/").endswith("/docs"):
        name += f"/{json.loads(body).get('id')}"
    return Request(incoming.method, incoming.raw_path, name, _end_to_end(incoming.headers), body)


def _end_to_end(headers: Mapping[str, str]) -> CIMultiDict[str]:
    return CIMultiDict((name, value) for name, value in headers.items() if name not in _HOP_BY_HOP)


def _broken(incoming: web.Request, answer: Answer) -> web.Response:
    """Send the beginning of the answer and end the connection, or with nothing to send reset it."""
    lines = [f"HTTP/1.1 {answer.status} OK", *(f"{name}: {value}" for name, value in answer.headers.items())]
    raw = "\r\n".join([*lines, f"Content-Length: {len(answer.body)}", "", ""]).encode() + answer.body
    if incoming.transport:
        if answer.kept:
            incoming.transport.write(raw[: int(len(raw) * answer.kept)])
            incoming.transport.close()
        else:
            incoming.transport.abort()
    return web.Response()


# --- the faults


def slow(seconds: float) -> Fault:
    """Take long."""

    async def fault(forward: Forward) -> Answer:
        await asyncio.sleep(seconds)
        return await forward()

    return fault


def refused(status: int, **headers: str) -> Fault:
    """Answer with a status, and do nothing."""

    async def fault(_forward: Forward) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return Answer(status, CIMultiDict(named))

    return fault


async def reset_before(_forward: Forward) -> Answer:
    """Reset the connection; the service has seen nothing."""
    return Answer(kept=0.0)


async def reset_after(forward: Forward) -> Answer:
    """Let the service do it, and reset the connection before it can say so."""
    await forward()
    return Answer(kept=0.0)


async def half_an_answer(forward: Forward) -> Answer:
    """Let the service do it, and end the connection in the middle of its answer."""
    return (await forward())._replace(kept=0.5)


async def hang(_forward: Forward) -> Answer:
    """Say nothing, ever; the service has seen nothing."""
    await asyncio.Event().wait()
    return Answer()


async def hang_after(forward: Forward) -> Answer:
    """Let the service do it, and never say so."""
    await forward()
    return await hang(forward)
