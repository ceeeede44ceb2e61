"""How replies leave: in time, over kept connections, and without one channel in another's way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from azure.core.credentials import AccessToken
from botbuilder.core import ActivityHandler, TurnContext
from botbuilder.schema import Activity
from botframework.connector.auth import ClaimsIdentity

from app import create_app
from bots import credentials
from bots.adapter import create_adapter
from bots.connector import hosts as hosts_module
from bots.connector import pool as pool_module
from bots.connector.hosts import PROBE_EVERY, SILENT_AFTER, Host, HostSilentError
from bots.connector.pool import ConnectorPool
from bots.credentials import BotCredentialsFactory, BotIdentity
from bots.turn import deadline
from tests.unit.http_channel import EMULATOR, MEMORY

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
ONE_SECOND = replace(MEMORY, reply_timeout=1.0)
BOT = BotIdentity("app-id", "password", "MultiTenant", None)
NOBODY = replace(BOT, APP_ID=None)


class Echo(ActivityHandler):
    def __init__(self, *_states: object) -> None:
        super().__init__()

    async def on_message_activity(self, turn_context: TurnContext) -> None:
        await turn_context.send_activity(f"echo {turn_context.activity.text}")


@dataclass
class Channel:
    """A channel's server, which handles replies as it likes."""

    url: str = ""
    seen: list[web.Request] = field(default_factory=list)
    ports: set[int] = field(default_factory=set)  # of the connections that replies came over
    arrived: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))


@asynccontextmanager
async def channel(answer: Handler | None = None) -> AsyncIterator[Channel]:
    """Run a channel that answers with `answer`, or takes every reply."""
    channel = Channel()

    async def take(request: web.Request) -> web.StreamResponse:
        channel.seen.append(request)
        assert request.transport
        channel.ports.add(request.transport.get_extra_info("peername")[1])
        await request.read()
        channel.arrived.release()
        return await answer(request) if answer else web.json_response({"id": "1"})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", take)
    async with TestServer(app) as server:
        channel.url = str(server.make_url(""))
        yield channel


async def hang(request: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    return web.Response()


def failing(*statuses: int, **headers: str) -> Handler:
    """Answer with each status once, and take what comes after."""
    left = list(statuses)

    async def answer(_request: web.Request) -> web.StreamResponse:
        if left:
            return web.json_response({}, status=left.pop(0), headers=headers)
        return web.json_response({"id": "1"})

    return answer


class Post:
    """Delivers messages to a bot, each in a conversation of its own."""

    def __init__(self, client: TestClient[Any, Any]) -> None:
        self._client = client
        self._number = 0

    async def __call__(self, url: str) -> int:
        self._number += 1
        body = {**EMULATOR, "id": f"m{self._number}", "serviceUrl": url, "conversation": {"id": f"c{self._number}"}}
        async with self._client.post("/api/messages", json=body) as response:
            return response.status


@pytest.fixture
async def post() -> AsyncIterator[Post]:
    async with TestClient(TestServer(create_app(ONE_SECOND, Echo))) as client:
        yield Post(client)


async def test_eight_channels_that_hang_do_not_slow_a_healthy_one() -> None:
    async with AsyncExitStack() as stack:
        app = create_app(replace(MEMORY, reply_timeout=5.0), Echo)
        post = Post(await stack.enter_async_context(TestClient(TestServer(app))))
        hung = [await stack.enter_async_context(channel(hang)) for _ in range(8)]
        healthy = await stack.enter_async_context(channel())
        await post(healthy.url)  # so that no client has to be made
        waiting = [asyncio.create_task(post(each.url)) for each in hung for _ in range(4)]
        for each in hung * 4:
            await each.arrived.acquire()
        began = time.monotonic()
        statuses = [await post(healthy.url) for _ in range(10)]
        seconds = time.monotonic() - began
        assert not any(task.done() for task in waiting)
        assert statuses == [201] * 10
        assert seconds < 3
        assert await asyncio.gather(*waiting) == [502] * len(waiting)


async def test_a_reply_that_is_not_taken_in_time_is_given_up(post: Post) -> None:
    async with channel(hang) as slow:
        began = time.monotonic()
        assert await post(slow.url) == 502
        assert time.monotonic() - began < 2
        assert len(slow.seen) == 1  # a slow channel would show each further one


async def test_replies_go_over_a_kept_connection(post: Post) -> None:
    async with channel() as healthy:
        assert [await post(healthy.url) for _ in range(5)] == [201] * 5
        assert len(healthy.ports) == 1


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_a_reply_that_meets_a_passing_failure_is_sent_again(post: Post, status: int) -> None:
    async with channel(failing(status)) as recovering:
        assert await post(recovering.url) == 201
        assert len(recovering.seen) == 2


@pytest.mark.parametrize("asked", ["30", formatdate(time.time() + 86_400, usegmt=True)], ids=["seconds", "date"])
async def test_a_channel_that_asks_for_more_time_than_there_is_is_left_alone(post: Post, asked: str) -> None:
    async with channel(failing(429, **{"Retry-After": asked})) as throttling:
        began = time.monotonic()
        assert await post(throttling.url) == 502
        assert time.monotonic() - began < 0.8
        assert len(throttling.seen) == 1


async def test_a_dead_channel_is_sent_no_storm_of_retries(post: Post) -> None:
    async def fail(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=500)

    async with channel(fail) as dead:
        for _ in range(50):
            assert await post(dead.url) == 502
        assert len(dead.seen) <= 50 + 10


async def test_a_redirect_is_not_followed(post: Post) -> None:
    async with channel() as elsewhere:

        async def redirect(_request: web.Request) -> web.StreamResponse:
            raise web.HTTPTemporaryRedirect(elsewhere.url)

        async with channel(redirect) as redirecting:
            assert await post(redirecting.url) == 502
        assert elsewhere.seen == []


def authentication_of(identity: BotIdentity, pool: ConnectorPool) -> Any:
    return create_adapter(identity, BotCredentialsFactory(identity), pool).bot_framework_authentication


async def send(pool: ConnectorPool, url: str, times: int = 1) -> None:
    """Send as a turn of a bot with an app id does."""
    factory = create_adapter(
        BOT, BotCredentialsFactory(BOT), pool
    ).bot_framework_authentication.create_connector_factory(ClaimsIdentity({"aud": BOT.APP_ID}, True))
    for _ in range(times):
        client = await factory.create(url, "https://api.botframework.com")
        await client.conversations.send_to_conversation("c", Activity(type="message", text="hi"))


class SignIn:
    """Stands for azure-identity's credential."""

    def __init__(self) -> None:
        self.scopes: list[str] = []

    async def get_token(self, scope: str) -> AccessToken:
        self.scopes.append(scope)
        return AccessToken("the-token", 2**31)

    async def close(self) -> None:
        """Nothing is open."""


@pytest.fixture(autouse=True)
def sign_in(monkeypatch: pytest.MonkeyPatch) -> SignIn:
    found = SignIn()
    monkeypatch.setattr(credentials, "_sign_in", lambda _identity: found)
    return found


async def test_a_reply_carries_the_bots_token_which_is_not_fetched_for_each(sign_in: SignIn) -> None:
    pool = ConnectorPool(5.0)
    async with channel() as healthy:
        await send(pool, healthy.url, times=2)
        await pool.aclose()
    assert [request.headers["Authorization"] for request in healthy.seen] == ["Bearer the-token"] * 2
    assert "BotBuilder Python" in healthy.seen[0].headers["User-Agent"]
    assert sign_in.scopes == ["https://api.botframework.com/.default"]


async def test_clients_are_shared_for_a_minute_and_never_between_audiences_or_apps() -> None:
    now = 0.0
    pool = ConnectorPool(5.0, clock=lambda: now)
    authentication = authentication_of(BOT, pool)
    anonymous = authentication_of(NOBODY, pool)

    async def client(url: str, audience: str = "a", of: Any = authentication, app_id: str = "app-id") -> Any:
        return await of.create_connector_factory(ClaimsIdentity({"aud": app_id}, True)).create(url, audience)

    first = await client("https://x/")
    assert await client("https://x/") is first
    others = [
        await client("https://y/"),
        await client("https://x/", "b"),
        await client("https://x/", of=anonymous, app_id=""),
    ]
    assert len({id(each) for each in [first, *others]}) == 4
    now = 61.0
    assert await client("https://x/") is not first


async def test_clients_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "ROOM", 3)
    pool = ConnectorPool(5.0)
    factory = create_adapter(
        BOT, BotCredentialsFactory(BOT), pool
    ).bot_framework_authentication.create_connector_factory(ClaimsIdentity({"aud": "app-id"}, True))
    first = await factory.create("https://0/")
    for number in range(1, 4):
        await factory.create(f"https://{number}/")
    assert await factory.create("https://0/") is not first


async def test_a_channel_that_stays_silent_is_not_waited_for_until_it_answers_again() -> None:
    now, silent = 0.0, True
    host = Host(lambda: now)

    async def answered() -> None:
        if silent:
            raise TimeoutError

    async def reply() -> str:
        try:
            with host.waited_for():
                await answered()
        except (TimeoutError, HostSilentError) as error:
            return type(error).__name__
        return "sent"

    assert [await reply() for _ in range(SILENT_AFTER)] == ["TimeoutError"] * SILENT_AFTER
    assert [await reply() for _ in range(3)] == ["TimeoutError", "HostSilentError", "HostSilentError"]
    now = 1.0
    assert [await reply() for _ in range(2)] == ["TimeoutError", "HostSilentError"]
    now, silent = 2.0, False
    assert [await reply() for _ in range(3)] == ["sent"] * 3


async def test_a_failure_that_is_an_answer_does_not_silence_a_channel() -> None:
    host = Host(lambda: 0.0)
    for _ in range(3 * SILENT_AFTER):
        with pytest.raises(ConnectionResetError), host.waited_for():
            raise ConnectionResetError
    with host.waited_for():
        pass


async def test_the_turns_of_a_silent_channel_are_refused_without_sending() -> None:
    impatient = replace(MEMORY, reply_timeout=0.1)
    async with channel(hang) as silent, TestClient(TestServer(create_app(impatient, Echo))) as client:
        post = Post(client)
        assert [await post(silent.url) for _ in range(SILENT_AFTER)] == [502] * SILENT_AFTER
        began = time.monotonic()
        assert [await post(silent.url) for _ in range(20)] == [502] * 20
        probes = 1 + (time.monotonic() - began) / PROBE_EVERY
        assert len(silent.seen) <= SILENT_AFTER + probes


async def test_a_reply_that_waits_for_a_free_connection_is_not_late_and_no_silence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at_once, most = 0, 0

    async def slow(_request: web.Request) -> web.StreamResponse:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.1)
        at_once -= 1
        return web.json_response({"id": "1"})

    monkeypatch.setattr(hosts_module, "CONNECTIONS", 2)
    async with channel(slow) as busy, TestClient(TestServer(create_app(ONE_SECOND, Echo))) as client:
        post = Post(client)
        turns = await asyncio.gather(*(post(busy.url) for _ in range(4 * SILENT_AFTER)))  # for two seconds
    assert set(turns) == {201}
    assert most == 2


async def test_a_reply_for_which_no_connection_gets_free_in_time_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts_module, "CONNECTIONS", 1)
    monkeypatch.setattr(deadline, "REPLYING", 0.2)
    in_time = replace(MEMORY, turn_timeout=1.0, reply_timeout=2.0)
    async with channel(hang) as busy:
        async with TestClient(TestServer(create_app(in_time, Echo))) as client:
            post = Post(client)
            assert await asyncio.gather(*(post(busy.url) for _ in range(3))) == [502] * 3
        assert len(busy.seen) == 1, "nor later, when the connection gets free"


async def test_replies_go_through_the_environments_proxy_except_to_hosts_that_need_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with channel() as proxy, channel() as near:
        monkeypatch.setenv("http_proxy", proxy.url.replace("http://", "http://user:pass%40word@"))
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        far = "http://channel.example/"
        async with TestClient(TestServer(create_app(replace(ONE_SECOND, allow_unauthenticated=True), Echo))) as client:
            post = Post(client)
            assert [await post(far), await post(near.url)] == [201, 201]
        assert [request.host for request in proxy.seen] == ["channel.example"]
        assert proxy.seen[0].headers["Proxy-Authorization"] == "Basic dXNlcjpwYXNzQHdvcmQ="
        assert len(near.seen) == 1
        assert "Proxy-Authorization" not in near.seen[0].headers
