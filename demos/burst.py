"""One burst of messages into one conversation, over replicas behind a front, with a kill -9 in the middle."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aiohttp import ClientConnectionError

from bots.adapter import APOLOGY
from demos.counter import ASK
from demos.front import front
from infra.local.bot_process import BotProcess, running
from infra.local.channel import Answer, Channel, Conversation, Manner

ROOT = Path(__file__).parents[1]
USERS: Final = 5
PATIENCE_SECONDS: Final = 20.0  # then the channel gives a message up


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a burst.

    Attributes:
        sent: messages.
        acknowledged: those that the bot said it took.
        counted: those that the bot remembers in the end, None where it does not answer.
        conflicts: times that a turn met another one's writes.
        replays: deliveries of a message that was handled already, answered from the ledger.
        apologies: messages that were answered with "The bot encountered an error or bug."
        seconds: from the first delivery to the last acknowledgement.
        slowest: seconds until the message that waited longest was acknowledged.
    """

    sent: int
    acknowledged: int
    counted: int | None
    conflicts: int
    replays: int
    apologies: int
    seconds: float
    slowest: float


async def burst(
    program: str,
    environment: Mapping[str, str],
    folder: Path,
    *,
    replicas: int,
    messages: int,
    kill: bool,
    connector: float,
) -> Outcome:
    """Run the counter bot on processes of its own and send it a burst.

    Args:
        program: ours or stock.
        environment: the bot's settings.
        folder: where the processes run.
        replicas: how many.
        messages: how many, all at once, into one conversation, from a few users.
        kill: whether one replica dies when a third of the messages is acknowledged; one more has to be there.
        connector: the seconds that the channel takes for each reply.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HOST": "127.0.0.1", "PORT": "0", **environment}
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        command = ("-m", "demos.counter", program)
        bots = await asyncio.gather(*(enter(running(environment, folder, program=command)) for _ in range(replicas)))
        channel = await enter(Channel.open())
        url = await enter(front([bot.url for bot in bots]))
        doomed = bots[:1] if kill else []
        delivery = Delivery(channel, url, list(doomed), messages // 3)
        conversation = channel.conversation()
        sent = [conversation.message("count me", f"user-{number % USERS}") for number in range(messages)]
        begun = time.monotonic()
        stack.enter_context(channel.behaving(lambda: Manner(seconds=connector)))
        waits = await asyncio.gather(*(delivery.until_acknowledged(message) for message in sent))
        seconds = time.monotonic() - begun
        apologies = sum(APOLOGY[0] in channel.texts(message) for message in sent)
        counts = [await _count(channel, conversation, bot) for bot in bots if bot not in doomed]
        logs = "".join(bot.log for bot in bots)
    # In memory each replica counts for itself; elsewhere all see the same.
    parts = [count for count in counts if count is not None]
    in_memory = program == "stock" and environment.get("STATE_STORAGE") == "memory"
    return Outcome(
        sent=messages,
        acknowledged=sum(wait is not None for wait in waits),
        counted=(sum(parts) if in_memory else parts[0]) if parts else None,
        conflicts=logs.count(" of a turn lost: ") + logs.count("on_turn_error: "),
        replays=logs.count("redelivered: answered from the ledger"),
        apologies=apologies,
        seconds=seconds,
        slowest=max((wait for wait in waits if wait is not None), default=0.0),
    )


@dataclass(slots=True)
class Delivery:
    """The channel's part: it delivers until somebody acknowledges; `doomed` die when `kill_after` are acknowledged."""

    channel: Channel
    url: str
    doomed: list[BotProcess]
    kill_after: int
    acknowledged: int = 0

    async def until_acknowledged(self, message: dict[str, Any]) -> float | None:
        """Return the seconds that it took, or None where the channel gave up."""
        begun = time.monotonic()
        while time.monotonic() - begun < PATIENCE_SECONDS:
            answer = await self._deliver(message)
            if answer.status < 300:
                self.acknowledged += 1
                if self.acknowledged >= self.kill_after and self.doomed:
                    await self.doomed.pop().kill()
                return time.monotonic() - begun
            await asyncio.sleep(answer.retry_after or 0.2)
        return None

    async def _deliver(self, message: dict[str, Any]) -> Answer:
        try:
            return await self.channel.deliver(message, self.url)
        except (ClientConnectionError, TimeoutError):
            return Answer(504, "")


async def _count(channel: Channel, conversation: Conversation, bot: BotProcess) -> int | None:
    question = conversation.message(ASK, "user-0")
    await channel.deliver(question, bot.url)
    answers = [text.split()[0] for text in channel.texts(question)]
    return int(answers[0]) if answers and answers[0].isdecimal() else None
