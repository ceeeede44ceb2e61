"""A dict that forgets: what a process need not know for ever, because the storage does."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, TypeVar

K = TypeVar("K")
V = TypeVar("V")

ROOM: Final = 10_000  # items


class Remembered(OrderedDict[K, V]):
    """Keeps the `room` items that were set last."""

    def __init__(self, room: int = ROOM) -> None:
        super().__init__()
        self._room = room

    def __setitem__(self, key: K, value: V) -> None:
        super().__setitem__(key, value)
        self.move_to_end(key)
        if len(self) > self._room:
            self.popitem(last=False)
