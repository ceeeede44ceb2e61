"""A channel on this machine, as the Bot Framework Emulator is one: it delivers activities and takes the replies.

For tests and demos that talk to a running bot. What travels is the Bot Framework protocol:
https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-api-reference
"""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

from aiohttp import ClientSession, ClientTimeout, web

CHANNEL_ID = "emulator"
BOT = {"id": "bot", "name": "Bot", "role": "bot"}
WAIT_SECONDS = 20.0  # the longest that anything awaited here may take


class Answer(NamedTuple):
    """What the bot answered to a delivery: the HTTP status, the body's text, and Retry-After in seconds."""

    status: int
    text: str
    retry_after: float | None = None


class Manner(NamedTuple):
    """How the channel takes one reply.

    Attributes:
        seconds: until it answers.
        status: of its answer.
        shown: whether the user sees the reply. A channel may fail before that, or after.
    """

    seconds: float = 0.0
    status: int = 200
    shown: bool = True


class Channel:
    """Plays the channel. One outlives any number of bots: each delivery says to which of them it goes.

    Attributes:
        received: the activities that bots have sent, in the order of their arrival, as JSON.
        authorizations: the Authorization headers that these came with, "" for none.
        service_url: where bots send them.
    """

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self.authorizations: list[str] = []
        self.service_url = ""
        self._http: ClientSession
        self._arrival = asyncio.Condition()
        self._may_answer = asyncio.Event()
        self._may_answer.set()
        self._manner: Callable[[], Manner] = Manner
        self._ids = itertools.count(1)

    @classmethod
    @asynccontextmanager
    async def open(cls) -> AsyncIterator[Channel]:
        """Run a channel, on a free port of the loopback interface, until the block ends."""
        channel = cls()
        app = web.Application()
        for path in ("/v3/conversations/{conversation}/activities", "/v3/conversations/{conversation}/activities/{to}"):
            app.router.add_post(path, channel._take)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            channel.service_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            async with ClientSession(timeout=ClientTimeout(WAIT_SECONDS)) as channel._http:
                yield channel
        finally:
            channel._may_answer.set()
            await runner.cleanup()

    def conversation(self) -> Conversation:
        """Begin a conversation. Its id has a `|` in it, as the Emulator's have."""
        return Conversation(self, f"{uuid.uuid4()}|livechat")

    async def deliver(self, activity: dict[str, Any], bot_url: str, token: str | None = None) -> Answer:
        """Send `activity` to the bot and return its answer, which comes when the turn is over."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self._http.post(bot_url, json=activity, headers=headers) as response:
            retry_after = response.headers.get("Retry-After")
            return Answer(response.status, await response.text(), float(retry_after) if retry_after else None)

    async def replies(self, activity: dict[str, Any], count: int) -> list[str]:
        """Wait for the first `count` replies to `activity` and return their texts. Raises TimeoutError."""
        async with asyncio.timeout(WAIT_SECONDS), self._arrival:
            await self._arrival.wait_for(lambda: len(self.texts(activity)) >= count)
        return self.texts(activity)[:count]

    def texts(self, activity: dict[str, Any]) -> list[str]:
        """Return the texts of the replies to `activity` that have arrived."""
        return [reply.get("text", "") for reply in self.received if reply["replyToId"] == activity["id"]]

    @contextmanager
    def holding_answers(self) -> Iterator[None]:
        """Take replies in the block, but let the bots wait for the answer until it ends."""
        self._may_answer.clear()
        try:
            yield
        finally:
            self._may_answer.set()

    @contextmanager
    def refusing(self, status: int) -> Iterator[None]:
        """Refuse every reply in the block with this HTTP status."""
        with self.behaving(lambda: Manner(status=status, shown=False)):
            yield

    @contextmanager
    def behaving(self, manner: Callable[[], Manner]) -> Iterator[None]:
        """Ask `manner` in the block, at each reply, how to take it."""
        self._manner = manner
        try:
            yield
        finally:
            self._manner = Manner

    async def _take(self, request: web.Request) -> web.Response:
        manner = self._manner()
        try:
            reply = await request.json()
        except ConnectionResetError:  # the bot was killed while it sent
            raise web.HTTPBadRequest from None
        to = {"conversation": {"id": request.match_info["conversation"]}, "replyToId": request.match_info.get("to")}
        if manner.shown:
            async with self._arrival:
                self.received.append({**reply, **to})
                self.authorizations.append(request.headers.get("Authorization", ""))
                self._arrival.notify_all()
            await self._may_answer.wait()
        await asyncio.sleep(manner.seconds)
        if manner.status != 200:
            return web.json_response({"error": {"code": "ServiceError"}}, status=manner.status)
        return web.json_response({"id": self.new_id()})

    def new_id(self) -> str:
        """Return an activity id that this channel has not used."""
        return f"{CHANNEL_ID}-{next(self._ids):06}"


class Conversation:
    """One conversation on a channel; any number of users may speak in it."""

    def __init__(self, channel: Channel, conversation_id: str) -> None:
        self.channel = channel
        self.id = conversation_id

    def activity(self, kind: str, user: str, **fields: Any) -> dict[str, Any]:
        """Return an activity of `user` as JSON, with the fields the Emulator sends; `fields` go on top."""
        now = datetime.now(UTC)
        return {
            "type": kind,
            "id": self.channel.new_id(),
            "channelId": CHANNEL_ID,
            "serviceUrl": self.channel.service_url,
            "conversation": {"id": self.id},
            "from": {"id": user, "name": "User", "role": "user"},
            "recipient": BOT,
            "locale": "en-US",
            "localTimestamp": now.isoformat(timespec="milliseconds"),
            "localTimezone": "UTC",
            "timestamp": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "channelData": {"clientActivityID": uuid.uuid4().hex},
            **fields,
        }

    def message(self, text: str, user: str, **fields: Any) -> dict[str, Any]:
        """Return a message of `user` as JSON."""
        return self.activity("message", user, text=text, textFormat="plain", **fields)

    async def say(self, text: str, user: str, bot_url: str) -> list[str]:
        """Deliver a message and return the texts of the bot's replies to it.

        Raises RuntimeError unless the bot answers that it took it.
        """
        message = self.message(text, user)
        await self._deliver(message, bot_url)
        return self.channel.texts(message)

    async def join(self, user: str, bot_url: str) -> list[str]:
        """Tell the bot that it and `user` are there now, and return the texts of what it says.

        Raises RuntimeError unless the bot answers that it took it.
        """
        before = len(self.channel.received)
        update = self.activity("conversationUpdate", user, membersAdded=[BOT, {"id": user, "name": "User"}])
        await self._deliver(update, bot_url)
        # The SDK's answers to an update are no replies: they carry no replyToId.
        said = self.channel.received[before:]
        return [activity.get("text", "") for activity in said if activity["conversation"]["id"] == self.id]

    async def _deliver(self, activity: dict[str, Any], bot_url: str) -> None:
        answer = await self.channel.deliver(activity, bot_url)
        if answer.status >= 300:
            raise RuntimeError(f"the bot answered {answer.status}: {answer.text}")
