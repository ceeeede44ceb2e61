"""What is done after a turn's replies, in tasks of its own, so that no user waits for it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from bots.turn.errors import TryAgain
from bots.turn.protocol import Committed, is_untidy, tidy
from storage.errors import StorageError

if TYPE_CHECKING:
    from bots.turn.queue import ConversationQueue

_log = logging.getLogger(__name__)


class Afterwards:
    """The tasks that run. Each takes its place in the queue of its conversation."""

    def __init__(self, queue: ConversationQueue) -> None:
        self._queue = queue
        self._tasks: set[asyncio.Task[None]] = set()

    def tidy(self, turn: Committed) -> None:
        """Tidy up behind a turn, unless the next one already waits: that one would lose, and tidies in passing."""
        if not is_untidy(turn):
            return
        task = asyncio.create_task(self._tidy(turn))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def aclose(self) -> None:
        """Wait for them."""
        while running := tuple(self._tasks):
            await asyncio.gather(*running)
            self._tasks.difference_update(running)  # from Python 3.12 on their callbacks may still be to come

    async def _tidy(self, turn: Committed) -> None:
        if self._queue.busy(turn.conversation_key):
            return
        try:
            async with self._queue.turn(turn.conversation_key):
                await tidy(turn)
        except (StorageError, TryAgain) as error:
            _log.warning("undo notes left for the next turn: %s", error)
