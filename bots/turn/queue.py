"""One turn at a time in each conversation, in the order of arrival, inside this process.

Other replicas are kept apart by the commit's precondition; queueing here only saves the attempts that would lose.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bots.turn.errors import NestedTurn, TooManyWaiting
from bots.turn.meters import waiting


class ConversationQueue:
    """The conversations in which a turn is running or waiting; nothing is kept of the others.

    Args:
        room: turns of one conversation that may run and wait. More would only wait until their time is up.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._locks: dict[str, _Line] = {}

    @asynccontextmanager
    async def turn(self, conversation: str) -> AsyncIterator[None]:
        """Wait for the conversation's earlier turns, and hold back the later ones until the block ends.

        How long it waits is the caller's to bound. Raises `NestedTurn` for a turn that would wait for itself, and
        `TooManyWaiting` where there is no room for it.
        """
        line = self._locks.setdefault(conversation, _Line())
        if line.owner is asyncio.current_task():
            raise NestedTurn(
                f"a turn of {conversation!r} started another turn of it and would wait for itself: "
                "send with turn_context, or start the other one in a task of its own"
            )
        if line.length >= self._room:
            raise TooManyWaiting(f"{conversation!r}: {line.length} turns wait already; try again later")
        line.length += 1
        try:
            waiting.add(1)
            try:
                await line.lock.acquire()
            finally:
                waiting.add(-1)
            line.owner = asyncio.current_task()
            try:
                yield
            finally:
                line.owner = None
                line.lock.release()
        finally:
            line.length -= 1
            if not line.length:
                del self._locks[conversation]

    def busy(self, conversation: str) -> bool:
        """Whether a turn of the conversation runs or waits."""
        return conversation in self._locks


class _Line:
    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.owner: asyncio.Task[object] | None = None
        self.length = 0
