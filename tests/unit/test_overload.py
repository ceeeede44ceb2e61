"""More than the process can carry: refused at once with 503, and those that are not loaded notice nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from botbuilder.core import TurnContext

import app as state_bot
from bots.admission import admission
from bots.state import ConversationState, UserState
from tests.unit.turn_bench import Bench, C, count

Client = TestClient[web.Request, web.Application]


@asynccontextmanager
async def admitting(room: int, release: asyncio.Event) -> AsyncIterator[tuple[Client, asyncio.Semaphore]]:
    """A server that admits `room` requests to /busy, each of which lasts until `release`."""
    inside = asyncio.Semaphore(0)

    async def busy(_request: web.Request) -> web.Response:
        inside.release()
        await release.wait()
        return web.Response()

    async def idle(_request: web.Request) -> web.Response:
        return web.Response()

    app = web.Application(middlewares=[admission("/busy", room)])
    app.router.add_post("/busy", busy)
    app.router.add_get("/idle", idle)
    async with TestClient(TestServer(app)) as client:
        yield client, inside


async def test_requests_beyond_the_room_are_refused_at_once_and_their_bodies_are_not_read() -> None:
    release = asyncio.Event()
    async with admitting(3, release) as (client, inside):
        running = [asyncio.create_task(client.post("/busy")) for _ in range(3)]
        for _ in running:
            await inside.acquire()
        for _ in range(20):
            refused = await client.post("/busy", data=b"x" * 100_000)
            assert refused.status == 503
            assert int(refused.headers["Retry-After"]) > 0
        assert (await client.get("/idle")).status == 200
        release.set()
        assert [answer.status for answer in await asyncio.gather(*running)] == [200] * 3
        assert (await client.post("/busy")).status == 200


async def test_a_conversation_with_too_many_turns_is_refused_more_and_another_goes_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, running = asyncio.Event(), asyncio.Event()

    async def logic(context: TurnContext, conversation: ConversationState, _user: UserState) -> None:
        if context.activity.text == "slow":
            running.set()
            await release.wait()
        await count(context, conversation)

    replica = await bench.of(logic)
    transaction = replica.app[state_bot.TURNS]
    monkeypatch.setattr(transaction._queue, "_room", 2)
    slow = asyncio.create_task(replica.status(bench.message("slow")))
    await running.wait()
    waiting = asyncio.create_task(replica.status(bench.message()))
    while transaction._queue._locks[C].length < 2:  # noqa: ASYNC110 - nothing tells
        await asyncio.sleep(0)
    refused = bench.message()
    answer = await replica.post(refused)
    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) > 0
    elsewhere: Any = {"conversation": {"id": "c2"}, "from": {"id": "u2"}}
    for _ in range(5):
        assert await replica.status(bench.message(**elsewhere)) == 201
    assert not slow.done()
    release.set()
    assert [await slow, await waiting, await replica.status(refused)] == [201, 201, 201]
    assert (await bench.storage.states())[C] == {"count": 3}
