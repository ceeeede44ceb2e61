"""Conversations as this process left them, so that their next turns need not load them.

Where another process has written since, the turn loses, loads and runs again, which costs more than a load saves. So a
process has to have had a few turns of the conversation in a row; and once one of its conversations turns out to have
been another process's in between, it takes it that a balancer spreads them, and loads all of them for some time.
"""

from __future__ import annotations

import math
import sys
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from bots.turn.remembered import Remembered

if TYPE_CHECKING:
    from bots.turn.conversation import Conversation
    from bots.turn.outcome import Committed
    from bots.turn.runtime import Runtime

ROOM: Final = 1_000  # conversations
LARGEST: Final = 32_768  # bytes of memory that a conversation takes: all together some 33 MB at most
_ENTRY: Final = 200  # bytes of an entry of the ledger, besides the activity's name and the replies


class _Left(NamedTuple):
    txn: str | None
    etag: str | None
    conversation: Conversation | None  # None: it is to be loaded all the same
    at: float
    row: int


class Recent:
    """What the turns of the last seconds have left."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._left: Remembered[str, _Left] = Remembered(ROOM)
        self._shared = -math.inf  # when a conversation was found to have been another process's too

    def of(self, key: str) -> Conversation | None:
        """The conversation `key`, if it is probably still as this process left it."""
        left = self._left.get(key)
        if left is None or not self._is_fresh(left):
            return None
        return None if self._runtime.monotonic() - self._shared < self._runtime.limits.shared else left.conversation

    def keep(self, turn: Committed) -> None:
        """Remember what a turn has committed."""
        key, conversation, limits = turn.conversation_key, turn.conversation, self._runtime.limits
        before, now = self._left.pop(key, None), self._runtime.monotonic()
        row = 1
        loaded = turn.snapshot.view.own
        if before and before.etag == loaded.etag:
            row += before.row
        elif before and before.txn != loaded.last_txn:  # who only touched it had no turn: it may even have been we
            self._shared = now
        if len(conversation.seen) > limits.seen:
            return  # `tidy` is going to write it
        left = conversation if row >= limits.alone_after and _is_small(conversation) else None
        self._left[key] = _Left(turn.txn, conversation.etag, left, now, row)
        while not self._is_fresh(next(iter(self._left.values()))):
            self._left.popitem(last=False)

    def doubt(self, key: str) -> None:
        """Have the next attempt of the conversation load it; `keep` then finds out whose it was."""
        if left := self._left.get(key):
            self._left[key] = left._replace(conversation=None)

    def drop(self, key: str) -> None:
        """Forget the conversation: it may have been written in another way than by a turn's commit."""
        self._left.pop(key, None)

    def _is_fresh(self, left: _Left) -> bool:
        return self._runtime.monotonic() - left.at <= self._runtime.limits.recent


def _is_small(conversation: Conversation) -> bool:
    ledger, size = conversation.ledger, sys.getsizeof
    known = sum(_ENTRY + size(entry.activity_id) + size(entry.replies) for entry in ledger.entries)
    known += sum(_ENTRY + size(part.digests) for part in ledger.answered)
    rest = [conversation.state, conversation.seen, conversation.last, conversation.members.digests]
    return _left_of(LARGEST - known, rest) > 0


def _left_of(room: int, value: Any) -> int:
    """What is left of `room` bytes when `value` is in it; looks at no more than fits."""
    room -= sys.getsizeof(value)
    if isinstance(value, (dict, list, tuple)):
        for item in chain(value, value.values()) if isinstance(value, dict) else value:
            if room <= 0:
                break
            room = _left_of(room, item)
    return room
