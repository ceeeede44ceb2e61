"""What a storage holds, as the next turn would find it if everybody else had crashed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bots.turn.snapshot import Snapshot, begin
from tests.exploration.actors import AskingStore
from tests.exploration.sequence import run, runtime
from tests.exploration.turns import text_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from bots.turn.runtime import Limits
    from tests.exploration.calls import Store


class Reader:
    """Reads by a turn of each conversation, which must all find the same."""

    def __init__(self, keys: tuple[str, ...], conversations: Collection[str], limits: Limits) -> None:
        self._keys = keys
        self._conversations = [key for key in keys if key in conversations]
        self._others = [key for key in keys if key not in conversations]
        self._limits = limits
        self._read: dict[Store, dict[str, str | None]] = {}

    def documents(self, store: Store) -> dict[str, str | None]:
        """The text of every document; None for one that does not exist."""
        if store not in self._read:
            found: dict[str, str | None] = {}
            for conversation in self._conversations:
                view = self._view(store, conversation)
                assert all(found.get(key, text) == text for key, text in view.items()), "readers disagree"
                found |= view
            self._read[store] = found
        return self._read[store]

    def _view(self, store: Store, conversation: str) -> dict[str, str | None]:
        now = runtime("reader", self._limits)
        reading = begin(AskingStore(), conversation, self._others, None, received=0.0, runtime=now)
        snapshot = run(reading, dict(zip(self._keys, store, strict=True)))
        assert isinstance(snapshot, Snapshot)
        return {key: text_of(state) for key, state in snapshot.documents.items()}
