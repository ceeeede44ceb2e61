"""Trouble at random, for as long as a run lasts: requests that fail on both sides of the bot, replicas that end."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.e2e.traffic import Replicas
from tests.faults import proxy
from tests.faults.proxy import Fault, Proxy

FAULTS: dict[str, Fault] = {
    "latency": proxy.slow(0.2),
    "429": proxy.refused(429, x_ms_retry_after_ms="50"),
    "500": proxy.refused(500),
    "503": proxy.refused(503),
    "403": proxy.refused(403),
    "reset before": proxy.reset_before,
    "reset after": proxy.reset_after,
    "half an answer": proxy.half_an_answer,
    "hang": proxy.hang,
    "hang after": proxy.hang_after,
}


@dataclass(slots=True)
class Trouble:
    """What makes it; `met` counts the requests that failed, by fault, and the replicas that ended, by how."""

    chance: random.Random
    proxies: list[Proxy]
    replicas: Replicas
    met: Counter[str] = field(default_factory=Counter)

    @asynccontextmanager
    async def all_the_way(self) -> AsyncIterator[None]:
        """Make trouble until the block ends."""
        tasks = [asyncio.create_task(self._requests(each)) for each in self.proxies]
        tasks.append(asyncio.create_task(self._restarts()))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            if broken := [error for error in ended if isinstance(error, Exception)]:
                raise ExceptionGroup("the trouble itself", broken)

    async def _requests(self, struck: Proxy) -> None:
        while True:
            name = self.chance.choice(sorted(FAULTS))
            await asyncio.sleep(self.chance.uniform(0.1, 0.6))
            with struck.failing(lambda _request: True, FAULTS[name], times=self.chance.choice((1, 1, 2, 5))) as rule:
                await asyncio.sleep(self.chance.uniform(0.05, 0.4))
            self.met[name] += rule.hits

    async def _restarts(self) -> None:
        while True:
            await asyncio.sleep(self.chance.uniform(2, 6))
            number = self.chance.randrange(1000)
            restart = asyncio.create_task(self._restart(number, gently=self.chance.random() < 0.5))
            try:
                await asyncio.shield(restart)
            except asyncio.CancelledError:  # the block has ended: what is begun is finished, and tells how
                await restart
                raise

    async def _restart(self, number: int, *, gently: bool) -> None:
        if gently:
            assert await self.replicas.replace(number) == 0
            self.met["SIGTERM"] += 1
        else:
            await self.replicas.crash(number)
            self.met["kill -9"] += 1
