"""A channel that costs next to nothing: HTTP by hand on kept-alive connections, so that what is measured is the bot.

It plays every conversation: it sends a message, takes the bot's replies on its own port, and sends the next message on
the same connection when that one is acknowledged.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
import uuid
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from demos.bench.http import Http

_TAKEN: Final = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{"id":"r"}'
_BEGIN: Final = datetime(2026, 1, 1, tzinfo=UTC)
_RUN: Final = uuid.uuid4().hex[:12]  # an activity that was sent before is answered from the ledger, which is no turn
_NUMBERS: Final = itertools.count(1)


@dataclass(slots=True)
class Traffic:
    """What the channel saw of one bot, in one round or in several.

    Attributes:
        waits: seconds from a message's departure until its acknowledgement, which comes after the replies.
        seconds: from the first message to the last acknowledgement.
        refused: answers other than 2xx.
        replies: requests that the bot made to the channel.
    """

    waits: list[float] = field(default_factory=list)
    seconds: float = 0.0
    refused: int = 0
    replies: int = 0

    def add(self, other: Traffic) -> None:
        """Count `other`'s round too."""
        self.waits += other.waits
        self.seconds += other.seconds
        self.refused += other.refused
        self.replies += other.replies


class Channel:
    """Where bots send their replies; `open_channel` makes one.

    Attributes:
        service_url: its address, the same for all rounds.
        replies: requests that bots have made so far.
    """

    def __init__(self) -> None:
        self.service_url = ""
        self.replies = 0

    async def round(
        self,
        port: int,
        conversations: Sequence[str],
        *,
        at_once: int,
        seconds: float = 0.0,
        text: str = "hello",
        channel_id: str = "emulator",
        token: str = "",
    ) -> Traffic:
        """Let the conversations take turns for as many seconds; 0: each says its text once.

        Args:
            port: of the bot, on this machine.
            conversations: their names; each has a user of its own.
            at_once: how many messages are on their way at any time.
            text: what users say.
            channel_id: which channel this is.
            token: what each request has in `Authorization`.

        Raises ConnectionError where the bot closes a connection.
        """
        talk = _Talk(self, conversations, seconds, text, channel_id, token)
        before = self.replies
        loop = asyncio.get_running_loop()
        opened = [await loop.create_connection(lambda: _Line(talk), "127.0.0.1", port) for _ in range(at_once)]
        try:
            await talk.run([line for _, line in opened])
        finally:
            for transport, _ in opened:
                transport.close()
        talk.traffic.replies = self.replies - before
        return talk.traffic


class _Replies(Http):
    """Takes the replies of a bot."""

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self._channel = channel

    def message(self, head: bytes) -> None:
        self.transport.write(_TAKEN)
        self._channel.replies += 1


class _Line(Http):
    """A connection to the bot; one message on it at a time."""

    def __init__(self, talk: _Talk) -> None:
        super().__init__()
        self._talk = talk
        self.conversation = ""
        self.sent = 0.0
        self.waits = False

    def message(self, head: bytes) -> None:
        self.waits = False
        self._talk.acknowledged(self, int(head[9:12]))

    def connection_lost(self, exc: Exception | None) -> None:
        if self.waits:
            self._talk.lost()


class _Talk:
    """One round of conversations."""

    def __init__(
        self, channel: Channel, names: Sequence[str], seconds: float, text: str, channel_id: str, token: str
    ) -> None:
        self._idle = deque(names)
        self._once = not seconds
        self._seconds = seconds
        self._activity = {
            "type": "message",
            "channelId": channel_id,
            "serviceUrl": channel.service_url,
            "recipient": {"id": "bot", "name": "Bot", "role": "bot"},
            "locale": "en-US",
            "localTimezone": "UTC",
            "text": text,
            "textFormat": "plain",
            "channelData": {"clientActivityID": "1763812800000"},
        }
        self._head = "POST /api/messages HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n" + (
            f"Authorization: Bearer {token}\r\n" if token else ""
        )
        self._waiting = 0
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.traffic = Traffic()

    async def run(self, lines: list[_Line]) -> None:
        begun = time.perf_counter()
        self._until = begun + self._seconds
        for line in lines:
            self._say(line)
        await self._done
        self.traffic.seconds = time.perf_counter() - begun

    def acknowledged(self, line: _Line, status: int) -> None:
        now = time.perf_counter()
        self.traffic.refused += not 200 <= status < 300
        self.traffic.waits.append(now - line.sent)
        self._waiting -= 1
        if not self._once:
            self._idle.append(line.conversation)
        if self._once or now < self._until:
            self._say(line)
        if not self._waiting:
            self._done.set_result(None)

    def lost(self) -> None:
        if not self._done.done():
            self._done.set_exception(ConnectionError("the bot closed a connection in place of an answer"))

    def _say(self, line: _Line) -> None:
        if not self._idle:
            return
        self._waiting += 1
        name = line.conversation = self._idle.popleft()
        number = next(_NUMBERS)
        # The sample keeps the message's local time, in whole seconds: each has another, so each turn changes the state.
        local = _BEGIN + timedelta(seconds=number)
        body = json.dumps(
            self._activity
            | {
                "id": f"{_RUN}-{number}",
                "timestamp": local.isoformat(),
                "localTimestamp": local.isoformat(),
                "conversation": {"id": name},
                "from": {"id": f"u-{name}", "name": "User", "role": "user"},
            }
        )
        line.sent, line.waits = time.perf_counter(), True
        line.transport.write(f"{self._head}Content-Length: {len(body)}\r\n\r\n{body}".encode())


@asynccontextmanager
async def open_channel() -> AsyncIterator[Channel]:
    """Take replies until the block ends."""
    channel = Channel()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Replies(channel), "127.0.0.1", 0)
    async with server:
        channel.service_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield channel
