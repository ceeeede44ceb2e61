"""How many requests are in work at once, and that nobody's keep everybody else's out.

Under more load than it can carry a process that takes everything answers nobody in time, and runs out of memory.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

ROOM: Final = 300  # requests; more could not be answered in the 15 s that a channel waits


class TooMany(Exception):
    """Raised for a request that there is no room for; it may come again."""


class Arrivals:
    """The requests of which the body is not read or the caller not known yet, so that anybody may hold them.

    One more always finds room. The oldest of the peer that has most makes it: a channel's body takes milliseconds,
    one that is sent slowly to hold its place grows old.
    """

    def __init__(self, room: int = ROOM) -> None:
        self._room = room
        self._peers: dict[asyncio.Timeout, str] = {}  # oldest first

    @asynccontextmanager
    async def one(self, peer: str) -> AsyncIterator[None]:
        """Let a request from the address `peer` arrive in the block. Raises `TooMany` in it, to make room."""
        if len(self._peers) >= self._room:
            self._turn_one_away()
        place = asyncio.timeout(None)
        try:
            async with place:
                self._peers[place] = peer
                yield
        except TimeoutError as error:
            if place.expired():
                raise TooMany("it arrived too slowly: its place went to another") from error
            raise
        finally:
            self._peers.pop(place, None)

    def _turn_one_away(self) -> None:
        ((most, _),) = Counter(self._peers.values()).most_common(1)
        oldest = next(place for place, peer in self._peers.items() if peer == most)
        del self._peers[oldest]
        oldest.reschedule(asyncio.get_running_loop().time())


class Turns:
    """The turns in work, by the host that takes their replies.

    A host has at most twice as many as are left free: one that is slow leaves a third of them to the others, two that
    are slow leave a tenth.
    """

    def __init__(self, room: int = ROOM) -> None:
        self._room = room
        self._hosts: Counter[str] = Counter()

    @contextmanager
    def one(self, host: str) -> Iterator[None]:
        """Have a turn in the block. Raises `TooMany` instead where `host` has its share."""
        if self._hosts[host] >= 2 * (self._room - self._hosts.total()):
            raise TooMany(f"{self._hosts[host]} turns of the channel's host are in work")
        self._hosts[host] += 1
        try:
            yield
        finally:
            self._hosts[host] -= 1
            if not self._hosts[host]:
                del self._hosts[host]
