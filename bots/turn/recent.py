"""Conversations as this process left them, so that their next turns need not load them.

A conversation's turns mostly come to one process. Where another one has written since, the turn loses, loads and runs
again; so the process has to see first that it is alone with the conversation.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from bots.turn.remembered import Remembered

if TYPE_CHECKING:
    from bots.turn.conversation import Conversation
    from bots.turn.outcome import Committed
    from bots.turn.runtime import Runtime

ROOM: Final = 1_000  # conversations
LARGEST: Final = 16_384  # characters of what a conversation keeps: so all together they take tens of megabytes at most


class _Left(NamedTuple):
    etag: str | None
    conversation: Conversation | None  # None: not alone with it yet, as far as is known
    at: float
    row: int


class Recent:
    """What the turns of the last seconds have left."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._left: Remembered[str, _Left] = Remembered(ROOM)

    def of(self, key: str) -> Conversation | None:
        """The conversation `key`, if it is probably still as this process left it."""
        left = self._left.get(key)
        return left.conversation if left and self._is_fresh(left) else None

    def keep(self, turn: Committed) -> None:
        """Remember what a turn has committed."""
        key, limits, before = turn.conversation_key, self._runtime.limits, self._left.get(turn.conversation_key)
        row = before.row + 1 if before and before.etag == turn.snapshot.view.own.etag else 1
        stays = len(turn.conversation.seen) <= limits.seen  # otherwise `tidy` is going to write it
        left = turn.conversation if row >= limits.alone_after and stays and _is_small(turn.conversation) else None
        self._left[key] = _Left(turn.conversation.etag, left, self._runtime.monotonic(), row)
        while not self._is_fresh(next(iter(self._left.values()))):
            self._left.popitem(last=False)

    def drop(self, key: str) -> None:
        """Have the next turn of the conversation load it."""
        self._left.pop(key, None)

    def _is_fresh(self, left: _Left) -> bool:
        return self._runtime.monotonic() - left.at <= self._runtime.limits.recent


def _is_small(conversation: Conversation) -> bool:
    ledger = conversation.ledger
    known = sum(len(entry.replies or "") for entry in ledger.entries) + sum(
        len(part.digests) for part in ledger.answered
    )
    return _left_of(LARGEST - known - len(conversation.members.digests), conversation.state) > 0


def _left_of(room: int, value: Any) -> int:
    """What is left of `room` characters when `value` is in it; looks at no more than fits."""
    if isinstance(value, str):
        return room - len(value)
    if isinstance(value, dict | list):
        for item in chain(value, value.values()) if isinstance(value, dict) else value:
            room = _left_of(room - 1, item)
            if room <= 0:
                break
    return room - 1
