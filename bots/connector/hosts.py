"""What is known of each channel's host: the replies on their way to it, the retries left, whether it answers at all.

A host that has not answered for a while is not waited for (a circuit breaker, M. Nygard, "Release It!"): otherwise each
of its turns holds a place for the whole time limit, until there is none left for the others.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from bots.turn.deadline import time_to_reply
from bots.turn.remembered import Remembered
from storage.retries import Budget

CONNECTIONS: Final = 100  # to one host
SILENT_AFTER: Final = 10  # replies in a row that got no answer in time
PROBE_EVERY: Final = 1.0  # seconds between two replies to a host that is silent


class HostSilentError(Exception):
    """Raised instead of waiting for a host that has not answered of late."""


class AllConnectionsBusyError(Exception):
    """Raised for a reply that could not be sent in time, because as many others as may be are on their way."""


class FreeConnection(asyncio.Semaphore):
    """One of a host's connections in the block; raises `AllConnectionsBusyError` where none gets free while the
    delivery has time."""

    async def __aenter__(self) -> None:
        if not self.locked():
            await self.acquire()
            return
        try:
            async with time_to_reply():
                await self.acquire()
        except TimeoutError as error:
            raise AllConnectionsBusyError(f"{CONNECTIONS} replies are waiting for its answer") from error


class Host:
    """One host.

    Attributes:
        budget: of retries.
        free_connection: to have before it is `waited_for`: what is not sent is no silence of the host's.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._silences = 0
        self._next_probe = 0.0
        self.budget = Budget()
        self.free_connection = FreeConnection(CONNECTIONS)

    @contextmanager
    def waited_for(self) -> Iterator[None]:
        """Send a reply in the block, and let its TimeoutError pass through.

        Raises `HostSilentError` where that would be in vain; now and then one is let through, to see.
        """
        if self._silences >= SILENT_AFTER:
            now = self._clock()
            if now < self._next_probe:
                raise HostSilentError(f"no answer to the last {self._silences} replies")
            self._next_probe = now + PROBE_EVERY
        try:
            yield
        except TimeoutError:
            self._silences += 1
            raise
        self._silences = 0


class Hosts:
    """The hosts that replies went to lately."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._hosts: Remembered[str, Host] = Remembered()

    def of(self, name: str) -> Host:
        """The host of that name and port."""
        self._hosts[name] = found = self._hosts.get(name) or Host(self._clock)
        return found
