"""The documents of one attempt, as bot state reads and writes them: nothing leaves before the turn commits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from botbuilder.core import TurnContext

from bots.turn.errors import DocumentNeeded
from storage.contract import Document, JsonObject, Write

if TYPE_CHECKING:
    from bots.state import StoredState

_KEY = "bots.turn.documents"


class Documents(Protocol):
    """What bot state needs of a storage: two methods of the contract."""

    async def load(self, keys: Iterable[str]) -> dict[str, Document]: ...

    async def save(self, writes: Mapping[str, Write]) -> dict[str, str]: ...


class TurnDocuments:
    """The documents that a turn loaded, and what it has made of them so far.

    Attributes:
        needed: documents that were asked for and not loaded, with the scope of state each belongs to.
    """

    def __init__(self, loaded: Mapping[str, JsonObject | None]) -> None:
        self.needed: dict[str, StoredState] = {}
        self._loaded = loaded
        self._present = dict(loaded)
        self._saves = 0

    @classmethod
    def of(cls, turn_context: TurnContext) -> TurnDocuments | None:
        """The documents of the attempt that is running, or None outside of one."""
        documents: TurnDocuments | None = turn_context.turn_state.get(_KEY)
        return documents

    def require(self, key: str, state: StoredState) -> None:
        """Raise `DocumentNeeded` for a document that was not loaded; it is noted, whatever becomes of the error."""
        if key not in self._present:
            self.needed[key] = state
            raise DocumentNeeded(key)

    def enter(self, turn_context: TurnContext) -> None:
        """Make bot state use these documents from now on, until `leave`."""
        turn_context.turn_state[_KEY] = self

    @staticmethod
    def leave(turn_context: TurnContext) -> None:
        """Make bot state use the storage again: what is saved from now on is not part of the turn."""
        turn_context.turn_state.pop(_KEY, None)

    def changes(self) -> dict[str, JsonObject | None]:
        """The documents that are not as they were loaded; None for one that was deleted."""
        return {key: value for key, value in self._present.items() if not is_same(value, self._loaded[key])}

    async def load(self, keys: Iterable[str]) -> dict[str, Document]:
        # No copies: bot state makes objects of its own of them, and writes values of its own.
        etag = str(self._saves)
        present = {key: self._present[key] for key in keys}
        return {key: Document(value, etag) for key, value in present.items() if value is not None}

    async def save(self, writes: Mapping[str, Write]) -> dict[str, str]:
        # No preconditions: an attempt is alone with its documents until it commits.
        self._saves += 1
        for key, write in writes.items():
            self._present[key] = None if write.value is None else dict(write.value)
        return {key: str(self._saves) for key, write in writes.items() if write.value is not None}


def is_same(one: Any, other: Any) -> bool:
    """Whether two documents are the same state. To Python 1, 1.0 and True are equal; to JSON they are not."""
    if one is other:
        return True
    kind = type(one)
    if kind is not type(other):
        return False
    if kind is dict:
        return one.keys() == other.keys() and all(map(is_same, one.values(), map(other.__getitem__, one)))
    if kind is list:
        return len(one) == len(other) and all(map(is_same, one, other))
    if kind is float:
        return repr(one) == repr(other)  # 0.0 and -0.0 are two numbers
    return bool(one == other)
