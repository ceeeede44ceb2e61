"""The real application between a proxy to its backend and a proxy to its channel, and what must hold whatever fails."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from ssl import SSLContext
from typing import Any

import pytest
from aiohttp import ClientConnectionError, web

import app as state_bot
from bots.turn.events import TurnEvent, TurnObserver
from bots.turn.middleware import TurnTransaction
from bots.turn.runtime import Limits, Runtime
from config import Settings
from infra.local.channel import Answer, Channel, Conversation
from storage import StateStorage
from tests.faults import results
from tests.faults.proxy import Match, Proxy, Request, Rule
from tests.faults.tally_bot import BOTH, ONE, TELL, TallyBot

# Small, so that what hangs is over soon; the turn's limit leaves room for its operations, as with the defaults.
STORAGE_SECONDS, REPLY_SECONDS, TURN_SECONDS = 1.2, 0.6, 3.0
RECOVERY = 15.0  # seconds within which an acknowledgement must come once the fault is over, on a busy machine too
REDELIVERY = 0.03  # seconds between two deliveries of an impatient channel

Activity = dict[str, Any]


@dataclass(slots=True)
class Clock:
    """The wall clock, which can be set."""

    ahead: float = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@dataclass(slots=True)
class Talk:
    """A conversation with one user, and the messages that the bot has acknowledged, by what they change."""

    rig: Rig
    conversation: Conversation
    user: str
    acknowledged: dict[str, str]  # activity id: text

    def message(self, text: str) -> Activity:
        """A new message."""
        return self.conversation.message(text, self.user)

    async def deliver(self, message: Activity) -> Answer:
        """Deliver a message once."""
        try:
            answer = await self.rig.channel.deliver(message, self.rig.url)
        except (ClientConnectionError, TimeoutError) as error:
            answer = Answer(599, repr(error))
        assert answer.status < 300 or answer.status in (502, 503), answer
        if answer.status < 300:
            self.acknowledged[message["id"]] = message["text"]
        else:
            assert answer.retry_after is not None
        return answer

    async def until_acknowledged(self, message: Activity) -> float:
        """Deliver a message until it is acknowledged; return the seconds that took. Raises TimeoutError."""
        began = time.monotonic()
        async with asyncio.timeout(RECOVERY):
            while (await self.deliver(message)).status >= 300:  # noqa: ASYNC110 - plays the channel, which comes back
                await asyncio.sleep(REDELIVERY)
        return time.monotonic() - began

    async def meet(self, message: Activity, rule: Rule) -> bool:
        """Deliver a message until it has met the fault; whether it was acknowledged all the same."""
        while (answer := await self.deliver(message)).status >= 300 and not rule.hits:
            pass  # a busy machine had no time for it
        assert rule.hits
        return answer.status < 300

    async def say(self, text: str) -> float:
        """Deliver a new message until it is acknowledged."""
        return await self.until_acknowledged(self.message(text))

    async def lists(self) -> dict[str, list[str]]:
        """What the two documents hold now, as the bot tells."""
        question = self.message(TELL)
        async with asyncio.timeout(RECOVERY):
            while (await self.rig.channel.deliver(question, self.rig.url)).status >= 300:  # noqa: ASYNC110 - as above
                await asyncio.sleep(REDELIVERY)
        told: dict[str, list[str]] = json.loads(self.rig.channel.texts(question)[-1])
        return told

    async def check(self, *others: Talk) -> None:
        """Every acknowledged message counts once in each document that it changes, and its reply has arrived.

        Args:
            others: further conversations of the same user.
        """
        found = await self.lists()
        mine = self.acknowledged
        for scope, names in found.items():
            results.count((name for name, text in mine.items() if scope in text.split()), names, scope)
        assert sorted(found["conversation"]) == sorted(mine)
        of_user = {**mine, **{name: text for other in others for name, text in other.acknowledged.items()}}
        assert sorted(found["user"]) == sorted(name for name, text in of_user.items() if text == BOTH)
        for name, text in mine.items():
            replies = self.rig.channel.texts({"id": name})
            right = {scope: found[scope].index(name) + 1 for scope in text.split()}
            assert replies, f"{name} was acknowledged, and not replied to"
            assert [json.loads(reply) for reply in replies] == [right] * len(replies)

    def writes(self, scope: str) -> Match:
        """The writes of one of the two documents."""
        return lambda request: request.method in ("PUT", "POST") and self._key(scope) in request.name

    def reads(self, *scopes: str) -> Match:
        """The reads of one of the two documents, or of both."""
        keys = [self._key(scope) for scope in scopes]
        return lambda request: request.method == "GET" and any(key in request.name for key in keys)

    def touches(self, scope: str) -> Match:
        """Reads and writes of one of the two documents."""
        return lambda request: self._key(scope) in request.name

    def replies(self, request: Request) -> bool:
        """The requests that carry the bot's replies in this conversation."""
        return self.conversation.id in request.name

    def _key(self, scope: str) -> str:
        return self.conversation.id if scope == "conversation" else self.user


@dataclass(slots=True)
class Rig:
    """The application, running.

    Attributes:
        store: the proxy to the backend, None where that is in the process.
        to_channel: the proxy to the channel.
        url: where it takes activities.
        events: what happened in its turns.
    """

    backend: str
    channel: Channel
    to_channel: Proxy
    store: Proxy | None
    clock: Clock
    app: web.Application
    url: str
    events: list[TurnEvent]

    def happened(self, message: Activity) -> list[str]:
        """What happened in the turns of a message, in order."""
        return [event.what for event in self.events if event.activity_id == message["id"]]

    @property
    def storage(self) -> StateStorage:
        """The application's storage."""
        return self.app[state_bot.STORAGE]

    def talk(self, user: str | None = None) -> Talk:
        """Begin a conversation."""
        conversation = Conversation(self.channel, f"conversation-{uuid.uuid4().hex}")
        return Talk(self, conversation, user or f"user-{uuid.uuid4().hex}", {})

    @property
    def remote(self) -> Proxy:
        """The proxy to the backend, which is one."""
        assert self.store
        return self.store


@asynccontextmanager
async def rig(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tls: SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[Rig]:
    """Run the application on a free port until the block ends, its backend and its channel behind proxies.

    With `tls` it talks to its backend over HTTPS; `host` is what it calls this machine.
    """
    async with AsyncExitStack() as stack:
        channel = await stack.enter_async_context(Channel.open())
        to_channel = await stack.enter_async_context(Proxy.before(channel.service_url))
        channel.service_url = to_channel.url.replace("127.0.0.1", host)
        store = None
        if upstream := service_of(settings):
            store = await stack.enter_async_context(Proxy.before(upstream, tls))
            store.url = store.url.replace("127.0.0.1", host)
            settings = through(settings, store.url)
        limits = {"storage_timeout": STORAGE_SECONDS, "reply_timeout": REPLY_SECONDS, "turn_timeout": TURN_SECONDS}
        clock = Clock()
        monkeypatch.setattr(state_bot, "Runtime", partial(Runtime, wall=clock))
        monkeypatch.setattr(state_bot, "Limits", partial(Limits, pause=0.02))
        events: list[TurnEvent] = []
        monkeypatch.setattr(state_bot, "TurnTransaction", partial(_watched, events))
        app = state_bot.create_app(replace(settings, **limits), TallyBot)  # type: ignore[arg-type]
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/api/messages"
        yield Rig(settings.state_storage, channel, to_channel, store, clock, app, url, events)


def _watched(events: list[TurnEvent], *arguments: Any, observer: TurnObserver, **options: Any) -> TurnTransaction:
    def observe(event: TurnEvent) -> None:
        events.append(event)
        observer(event)

    return TurnTransaction(*arguments, observer=observe, **options)


def service_of(settings: Settings) -> str | None:
    """Where the settings' service is: scheme, host and port."""
    if settings.state_storage == "blob":
        parts = dict(part.split("=", 1) for part in settings.blob_connection_string.split(";"))
        return parts["BlobEndpoint"].rpartition("/")[0]
    return settings.cosmos_endpoint if settings.state_storage == "cosmos" else None


def through(settings: Settings, url: str) -> Settings:
    """The same service by way of another address."""
    service = service_of(settings) or ""
    connection = settings.blob_connection_string.replace(service, url)
    return replace(settings, blob_connection_string=connection, cosmos_endpoint=f"{url}/")


def in_file(folder: Path) -> Settings:
    """Settings for SQLite in a file of its own."""
    return Settings(state_storage="sqlite", sqlite_path=str(folder / "state.db"))


__all__ = ["BOTH", "ONE", "STORAGE_SECONDS", "Activity", "Rig", "Talk", "in_file", "rig", "service_of", "through"]
