"""Bots measured beside each other: all run at once, and take turns at being asked, so that a busy machine hits all."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from demos.bench.channel import Channel, Traffic
from demos.bench.usage import MARK
from infra.local.bot_process import BotProcess, running

ROOT: Final = Path(__file__).parents[2]
REPLIES: Final = {"ordinary": 3, "both": 1}
SETUP: Final = {"ordinary": ("hello", "Ada"), "both": ("hello",)}  # the sample asks for the name first


@dataclass(frozen=True, slots=True, eq=False)
class Entrant:
    """What is measured: a program with its settings.

    Attributes:
        name: in the table.
        environment: where its state is, and who it is.
        command: the interpreter and the module that it runs.
        channel_id: where its messages come from.
        token: what they bear.
    """

    name: str
    environment: Mapping[str, str]
    command: tuple[str, ...]
    channel_id: str = "emulator"
    token: str = ""


@dataclass(slots=True)
class Measured:
    """What was seen of an entrant, over all rounds.

    Attributes:
        cpu: seconds of CPU of the bot's process.
        requests: what its storage asked of the service, or None where there is no service.
        peak: of its memory, in bytes.
    """

    traffic: Traffic = field(default_factory=Traffic)
    cpu: float = 0.0
    requests: int | None = None
    peak: int = 0

    @property
    def rate(self) -> float:
        """Turns a second."""
        return len(self.traffic.waits) / self.traffic.seconds

    @property
    def cpu_of_a_turn(self) -> float:
        """Seconds of CPU that a turn took."""
        return self.cpu / len(self.traffic.waits)

    def percentile(self, share: float) -> float:
        """Return the seconds in which that share of the messages was acknowledged."""
        waits = sorted(self.traffic.waits)
        return waits[min(len(waits) - 1, int(share * len(waits)))]


class Contest:
    """Entrants that run; `contest` starts them."""

    def __init__(self, channel: Channel, bots: Mapping[Entrant, BotProcess]) -> None:
        self._channel = channel
        self._bots = bots

    async def hear(self, conversations: Sequence[str], *texts: str, at_once: int = 8) -> None:
        """Let all conversations say each text to every bot. Raises RuntimeError where one is refused."""
        for entrant, bot in self._bots.items():
            for text in texts:
                traffic = await self._round(entrant, conversations, at_once=at_once, text=text)
                if traffic.refused:
                    raise RuntimeError(f"{entrant.name} refused {traffic.refused} messages: {bot.log[-2000:]}")

    async def measure(
        self, conversations: Sequence[str], *, at_once: int, rounds: int, seconds: float
    ) -> dict[str, Measured]:
        """Let the conversations, and no others, talk; return what was seen of each bot, by name."""
        found = {entrant: Measured() for entrant in self._bots}
        for number in range(rounds):
            order = list(self._bots)[:: -1 if number % 2 else 1]
            for entrant in order:
                before = await self._used(entrant)
                found[entrant].traffic.add(await self._round(entrant, conversations, at_once=at_once, seconds=seconds))
                after = await self._used(entrant)
                found[entrant].cpu += after["cpu"] - before["cpu"]
                found[entrant].peak = after["peak"]
                if after["requests"] is not None:
                    found[entrant].requests = (found[entrant].requests or 0) + after["requests"] - before["requests"]
        return {entrant.name: measured for entrant, measured in found.items()}

    async def _round(self, entrant: Entrant, conversations: Sequence[str], **options: Any) -> Traffic:
        port = int(self._bots[entrant].url.rsplit(":", 1)[1].split("/")[0])
        return await self._channel.round(
            port, conversations, channel_id=entrant.channel_id, token=entrant.token, **options
        )

    async def _used(self, entrant: Entrant) -> dict[str, Any]:
        bot = self._bots[entrant]
        known = bot.log.count(MARK)
        os.kill(bot.pid, signal.SIGUSR1)
        async with asyncio.timeout(10):
            while not (found := bot.log.split(MARK)[known + 1 :]) or "\n" not in found[0]:  # noqa: ASYNC110
                await asyncio.sleep(0.01)  # what a process writes makes no event here
        line = found[0].partition("\n")[0]
        used: dict[str, Any] = json.loads(line)
        return used


@asynccontextmanager
async def contest(channel: Channel, entrants: list[Entrant], workload: str, folder: Path) -> AsyncIterator[Contest]:
    """Run the entrants until the block ends, each in a folder of its own."""
    async with AsyncExitStack() as stack:
        bots = {}
        for entrant in entrants:
            place = folder / entrant.name.replace(" ", "-")
            place.mkdir(parents=True, exist_ok=True)
            environment = {**entrant.environment, "PYTHONPATH": str(ROOT), "HOST": "127.0.0.1", "PORT": "0"}
            python, *program = entrant.command
            bots[entrant] = await stack.enter_async_context(
                running(environment, place, python=python, program=[*program, workload])
            )
        yield Contest(channel, bots)


def conversations(name: str, numbers: int | range) -> list[str]:
    """Return the names of as many conversations, or of those numbers."""
    return [f"{name}-{number}" for number in (range(numbers) if isinstance(numbers, int) else numbers)]


def python_module(module: str, *arguments: str, python: str = sys.executable) -> tuple[str, ...]:
    """Return the command that runs a module."""
    return (python, "-m", module, *arguments)
