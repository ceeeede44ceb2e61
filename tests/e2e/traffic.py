"""What a channel puts replicas through: messages at once, deliveries again and twice, and kill -9 at any moment."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from aiohttp import ClientConnectionError

from infra.local.bot_process import BotDidNotStartError, BotProcess
from infra.local.channel import CHANNEL_ID, Answer, Channel
from tests.e2e.counting_bot import SCOPES
from tests.e2e.history import Message

Activity = dict[str, Any]

STARTS = 10  # of one replica, each of which may meet trouble of its own


def dice(*seed: object) -> random.Random:
    """Chances that are the same in each run with the same seed."""
    return random.Random(" ".join(map(str, seed)))  # noqa: S311 - plays the channel, hides nothing


@dataclass(frozen=True, slots=True)
class Plan:
    """The traffic; the same seed makes the same decisions.

    Attributes:
        messages: how many, each of a random user.
        crowd: what the users' ids begin with; another one in each run on the same store.
        users: each has a private conversation, and all are in every group.
        groups: conversations of all users, in which half of the messages are.
        at_once: messages on their way at the same time.
        kills: replicas that are killed, one after the other, and started again.
        again: the share of messages that are delivered to two replicas at the same time, and the share
            that are delivered once more after they were acknowledged.
        patience: seconds after which the channel gives a message up.
    """

    seed: int
    messages: int = 150
    crowd: str = "user"
    users: int = 12
    groups: int = 3
    at_once: int = 16
    kills: int = 0
    again: float = 0.15
    patience: float = 60.0


class Replicas:
    """The processes. One that is killed comes back at another port; until then nobody listens at its old one.

    Args:
        start: starts one.
        stack: where they end.
        spared: how many of them are never killed or stopped.
    """

    def __init__(
        self, start: Callable[[], AbstractAsyncContextManager[BotProcess]], stack: AsyncExitStack, spared: int = 0
    ) -> None:
        self._start = start
        self._stack = stack
        self._spared = spared
        self._bots: list[BotProcess] = []
        self._all: list[BotProcess] = []
        self._crashing = asyncio.Lock()

    @classmethod
    @asynccontextmanager
    async def running(
        cls, start: Callable[[], AbstractAsyncContextManager[BotProcess]], count: int, *, spared: int = 0
    ) -> AsyncIterator[Replicas]:
        """Run `count` replicas until the block ends."""
        async with AsyncExitStack() as stack:
            replicas = cls(start, stack, spared)
            replicas._bots = await asyncio.gather(*(replicas._started() for _ in range(count)))
            yield replicas

    @property
    def logs(self) -> str:
        """What all processes have said so far, the killed ones too."""
        return "".join(bot.log for bot in self._all)

    def url(self, number: int) -> str:
        """Where the replica with that number, modulo their count, takes activities; perhaps it is dead."""
        return self._bots[number % len(self._bots)].url

    async def crash(self, number: int) -> None:
        """Kill a replica, and start another one in its place."""
        async with self._crashing:
            slot = self._slot(number)
            await self._bots[slot].kill()
            self._bots[slot] = await self._started()

    async def replace(self, number: int) -> int:
        """Ask a replica to end, as an update does, and start another one in its place; return its exit code."""
        async with self._crashing:
            slot = self._slot(number)
            code = await self._bots[slot].stop()
            self._bots[slot] = await self._started()
            return code

    @property
    def oldest(self) -> BotProcess:
        """The first replica: of those that are spared, where there are any."""
        return self._bots[0]

    def _slot(self, number: int) -> int:
        return self._spared + number % (len(self._bots) - self._spared)

    async def _started(self) -> BotProcess:
        for _ in range(STARTS):
            with suppress(BotDidNotStartError):  # its storage was away: whoever runs it starts it again
                bot = await self._stack.enter_async_context(self._start())
                self._all.append(bot)
                return bot
        return await self._stack.enter_async_context(self._start())


@dataclass(slots=True)
class Traffic:
    """A channel at work; `messages` tells what it knows of each activity."""

    channel: Channel
    replicas: Replicas
    plan: Plan
    messages: dict[str, Message] = field(default_factory=dict)
    sent: list[Activity] = field(default_factory=list)
    deliveries: int = 0
    longest: float = 0.0

    async def run(self) -> None:
        """Deliver everything until it is acknowledged, refused or given up."""
        plan, earlier = self.plan, len(self.channel.received)
        chance = dice(plan.seed)
        groups = [self.channel.conversation() for _ in range(plan.groups)]
        private = [self.channel.conversation() for _ in range(plan.users)]
        for _ in range(plan.messages):
            user = chance.randrange(plan.users)
            conversation = chance.choice(groups) if chance.random() < 0.5 else private[user]
            self.sent.append(conversation.message("count me", f"{plan.crowd}-{user:03}"))
        kill_at = set(chance.sample(range(plan.messages // 10, plan.messages * 9 // 10), plan.kills))
        places = asyncio.Semaphore(plan.at_once)
        async with asyncio.TaskGroup() as tasks:
            for number, activity in enumerate(self.sent):
                await places.acquire()
                if number in kill_at:
                    tasks.create_task(self._crash(dice(plan.seed, "kill", number)))
                message = self._message(activity, dice(plan.seed, number))
                tasks.create_task(message).add_done_callback(lambda _: places.release())
        self._sort_replies(self.channel.received[earlier:])

    async def _crash(self, chance: random.Random) -> None:
        await asyncio.sleep(chance.uniform(0, 0.1))  # any moment of the turns that run now
        await self.replicas.crash(chance.randrange(1000))

    async def _message(self, activity: Activity, chance: random.Random) -> None:
        """Deliver a message until it is acknowledged; perhaps twice at the same time, perhaps again afterwards."""
        where = (f"conversations/{activity['conversation']['id']}", f"users/{activity['from']['id']}")
        self.messages[activity["id"]] = Message(
            (f"{CHANNEL_ID}/{where[0]}", f"{CHANNEL_ID}/{where[1]}"), time.monotonic()
        )
        replica = chance.randrange(1000)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._until_acknowledged(activity, replica, dice(chance.random())))
            if chance.random() < self.plan.again:
                tasks.create_task(self._until_acknowledged(activity, replica + 1, dice(chance.random())))
        if chance.random() < self.plan.again:
            await asyncio.sleep(chance.uniform(0, 0.5))
            await self._until_acknowledged(activity, chance.randrange(1000), chance)

    async def _until_acknowledged(self, activity: Activity, replica: int, chance: random.Random) -> None:
        begun, message = time.monotonic(), self.messages[activity["id"]]
        while time.monotonic() - begun < self.plan.patience:
            answer = await self._deliver(activity, replica)
            if answer.status < 300:
                now = time.monotonic()
                self.longest = max(self.longest, now - begun)
                message.acknowledged = message.acknowledged or now
                return
            message.answer = answer
            if answer.status < 500:
                return
            await asyncio.sleep(chance.uniform(0.02, 0.2) + (answer.retry_after or 0.0))
            replica += 1

    async def _deliver(self, activity: Activity, replica: int) -> Answer:
        self.deliveries += 1
        try:
            return await self.channel.deliver(activity, self.replicas.url(replica))
        except (ClientConnectionError, TimeoutError) as error:
            return Answer(HTTPStatus.BAD_GATEWAY, repr(error))

    def _sort_replies(self, received: Sequence[Activity]) -> None:
        for reply in received:
            message = self.messages[reply["replyToId"]]
            try:
                told = json.loads(reply["text"])
            except ValueError:
                message.other.append(reply["text"])
                continue
            numbers = {key: told[scope] for key, scope in zip(message.where, SCOPES, strict=True)}
            message.replies.append((told["part"], numbers))
