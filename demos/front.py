"""A small round-robin front, as a load balancer is one: each request goes to the next replica."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiohttp import ClientConnectionError, ClientSession, web


@asynccontextmanager
async def front(replicas: Sequence[str]) -> AsyncIterator[str]:
    """Listen on a free port until the block ends, and yield the URL that stands for all of `replicas`.

    A replica that cannot be reached, or dies before it answers, is answered for with 502: what became of the
    request nobody knows, so that only the sender may send it again.
    """
    turns = itertools.cycle(replicas)

    async def forward(request: web.Request) -> web.Response:
        body, headers = await request.read(), {"Content-Type": "application/json"}
        try:
            async with http.post(next(turns), data=body, headers=headers) as answer:
                passed = {name: answer.headers[name] for name in ("Retry-After",) if name in answer.headers}
                return web.Response(status=answer.status, body=await answer.read(), headers=passed)
        except ClientConnectionError:
            return web.Response(status=502)

    app = web.Application()
    app.router.add_post("/api/messages", forward)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with ClientSession() as http:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}/api/messages"
    finally:
        await runner.cleanup()
