"""More than the process can carry: refused at once with 503, and those that are not loaded notice nothing."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientSession, TCPConnector, web
from aiohttp.test_utils import BaseTestServer, TestServer
from botbuilder.core import TurnContext

import app as state_bot
from bots.admission import ROOM, Arrivals, TooMany, Turns
from bots.connector.hosts import CONNECTIONS
from bots.state import ConversationState, UserState
from config import Settings
from tests.unit.http_channel import EMULATOR
from tests.unit.turn_bench import Bench, C, count

SECONDS = 30.0  # within which a test that waits in vain fails
SHARE = ROOM * 2 // 3  # of the turns, which one host may have
LOCAL = Settings(state_storage="memory", turn_timeout=SECONDS, reply_timeout=SECONDS)
GUARDED = Settings(state_storage="memory", app_id="app", app_password="none")  # noqa: S106


async def test_the_oldest_arrival_of_the_peer_that_has_most_makes_room_for_the_next() -> None:
    arrivals, told, release = Arrivals(4), list[str](), asyncio.Event()

    async def arrive(name: str, peer: str) -> None:
        try:
            async with arrivals.one(peer):
                await release.wait()
            told.append(f"{name} arrived")
        except TooMany:
            told.append(f"{name} went")

    senders = [("patient", "a"), ("slow 1", "b"), ("slow 2", "b"), ("quick", "c"), ("slow 3", "b"), ("slow 4", "b")]
    async with asyncio.TaskGroup() as tasks:
        for name, peer in senders:
            tasks.create_task(arrive(name, peer))
            for _ in range(9):
                await asyncio.sleep(0)
        assert told == ["slow 1 went", "slow 2 went"]
        release.set()
    assert sorted(told[2:]) == ["patient arrived", "quick arrived", "slow 3 arrived", "slow 4 arrived"]


async def test_an_arrival_whose_own_time_is_up_has_not_made_room() -> None:
    with pytest.raises(TimeoutError):
        async with Arrivals(1).one("a"):
            raise TimeoutError


def test_a_host_may_have_twice_as_many_turns_as_are_left_free() -> None:
    turns = Turns(30)
    with ExitStack() as work:
        assert [turns_taken(turns, host, work) for host in "abca"] == [20, 7, 2, 0]
    with ExitStack() as work:
        assert turns_taken(turns, "a", work) == 20


def turns_taken(turns: Turns, host: str, work: ExitStack) -> int:
    """Begin turns until one is refused; how many there were."""
    for number in range(99):
        try:
            work.enter_context(turns.one(host))
        except TooMany:
            return number
    return 99


class Bot:
    """The application over HTTP, its client without any bound of its own."""

    def __init__(self, http: ClientSession, server: BaseTestServer) -> None:
        self.http = http
        self.server = server
        self._number = 0

    async def post(self, url: str = "http://127.0.0.1:1/") -> int:
        """Deliver a message of a new conversation."""
        self._number += 1
        body = {**EMULATOR, "id": f"m{self._number}", "serviceUrl": url, "conversation": {"id": f"c{self._number}"}}
        async with self.http.post(self.server.make_url("/api/messages"), json=body) as answer:
            assert answer.status != 503 or int(answer.headers["Retry-After"]) > 0
            return answer.status


@asynccontextmanager
async def bot(settings: Settings) -> AsyncIterator[Bot]:
    async with (
        asyncio.timeout(SECONDS),
        TestServer(state_bot.create_app(settings)) as server,
        ClientSession(connector=TCPConnector(limit=0)) as http,
    ):
        yield Bot(http, server)


class SlowChannel:
    """Answers no reply until it is released; `arrived` counts them."""

    def __init__(self) -> None:
        self.arrived = asyncio.Semaphore(0)
        self.release = asyncio.Event()

    async def handle(self, _request: web.Request) -> web.Response:
        self.arrived.release()
        await self.release.wait()
        return web.json_response({"id": "1"})

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """Run it until the block ends; where it is."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.handle)
        async with TestServer(app) as server:
            try:
                yield str(server.make_url(""))
            finally:
                self.release.set()


async def test_a_channel_that_is_slow_has_its_share_of_the_turns_and_another_is_answered() -> None:
    slow, quick = SlowChannel(), SlowChannel()
    quick.release.set()
    async with AsyncExitStack() as stack:
        slow_url, quick_url = [await stack.enter_async_context(each.running()) for each in (slow, quick)]
        running = await stack.enter_async_context(bot(LOCAL))
        turns = [asyncio.create_task(running.post(slow_url)) for _ in range(SHARE + 20)]
        for _ in range(CONNECTIONS):
            await slow.arrived.acquire()
        refused, _ = await asyncio.wait(turns, return_when=asyncio.FIRST_COMPLETED)
        while len(refused) < 20:
            refused, _ = await asyncio.wait(turns, timeout=0.01)
        assert [each.result() for each in refused] == [503] * 20
        assert [await running.post(quick_url) for _ in range(10)] == [201] * 10
        slow.release.set()
        # Those that waited for a connection of ours were no silence of the channel's.
        assert Counter(await asyncio.gather(*turns)) == {201: SHARE, 503: 20}


async def test_strangers_that_send_bodies_slowly_keep_nobody_out() -> None:
    async with bot(GUARDED) as running:
        assert await running.post() == 401
        stalled = [await stalled_body(running.server) for _ in range(ROOM + 20)]
        assert [await running.post() for _ in range(20)] == [401] * 20
        for reader, _ in stalled[:20]:
            assert (await reader.readline()).startswith(b"HTTP/1.1 503 ")
        for _, writer in stalled:
            writer.close()


async def stalled_body(server: BaseTestServer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    assert server.port
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    head = "POST /api/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99"
    writer.write(f"{head}\r\n\r\n{{".encode())
    return reader, writer


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
