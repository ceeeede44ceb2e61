"""A dict that forgets: what a process need not know for ever, because the storage does."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, TypeVar

K = TypeVar("K")
V = TypeVar("V")

ROOM: Final = 10_000  # items


class Remembered(OrderedDict[K, V]):
    """Keeps the `ROOM` items that were set last."""

    def __setitem__(self, key: K, value: V) -> None:
        super().__setitem__(key, value)
        self.move_to_end(key)
        if len(self) > ROOM:
            self.popitem(last=False)
