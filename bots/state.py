"""Conversation and user state as Bot Framework documents it, on a storage that keeps the storage contract.

A bot uses these classes like the SDK's own, which they extend: `create_property`, `get` with a default, `set`,
`save_changes`. What differs is that they keep their word: a document is read once a turn and written only when it
changed, conditional on the version that was read; an empty document, a cleared one and a falsy value are values.
https://learn.microsoft.com/azure/bot-service/bot-builder-concept-state
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from botbuilder.core import BotState, TurnContext
from botbuilder.core import ConversationState as _ConversationState
from botbuilder.core import PrivateConversationState as _PrivateConversationState
from botbuilder.core import UserState as _UserState

from bots.property import PropertyAccessor
from bots.turn.attempt import is_left_behind
from bots.turn.documents import Documents, TurnDocuments, is_same
from bots.turn.envelope import TURN
from bots.turn.errors import AttemptOver
from bots.turn.outside import OutsideDocuments
from storage.base import StateStorage
from storage.codec import E_TAG, Codec
from storage.contract import ABSENT, Document, JsonObject, Write
from storage.models import is_storable
from storage.spelling import Undecoded

_RESERVED: Final = {
    E_TAG: "where the SDK keeps the document's ETag",
    TURN: "where the turn transaction keeps its own data",
}


@dataclass(slots=True)
class CachedState:
    """One document during a turn: its properties as objects, and the document they were read from (None: absent)."""

    state: dict[str, Any]
    stored: Document | None


class StoredState(BotState):
    """A scope of state whose documents live in a `StateStorage`. Mix it in front of a `BotState` of your own.

    Raises, from every method that reads or writes: `StorageUnavailable` when the service does not answer,
    `StateDecodeError` for a document that cannot be read, `StorageConflict` when another turn wrote it meanwhile,
    `StateEncodeError` for a value that cannot be stored.
    """

    _storage: StateStorage

    def create_property(self, name: str) -> PropertyAccessor:
        """Return the accessor of the property `name`.

        Raises TypeError for an empty name, ValueError for `e_tag` and `$turn`, which are not the bot's.
        """
        if not name:
            raise TypeError("create_property: the name of a property cannot be empty")
        _require_free(name)
        return PropertyAccessor(self, name)

    async def load(self, turn_context: TurnContext, force: bool = False) -> None:
        """Read the document, once a turn; `force` reads it again and drops what was changed since."""
        _require_present(turn_context)
        if not force and self.get_cached_state(turn_context):
            return
        key = self.get_storage_key(turn_context)
        stored = (await self._documents(turn_context, key).load([key])).get(key)
        if force or self.get_cached_state(turn_context) is None:  # or another task of this turn was faster
            self._cache(turn_context, key, stored)

    def forget(self, turn_context: TurnContext) -> None:
        """Drop what the turn has read and changed of the document; nothing is written."""
        turn_context.turn_state.pop(self._context_service_key, None)

    async def save_changes(self, turn_context: TurnContext, force: bool = False) -> None:
        """Write the document where it changed since it was read; with `force`, where it was read at all."""
        _require_present(turn_context)
        cached = self.get_cached_state(turn_context)
        if cached is None:
            return
        key = self.get_storage_key(turn_context)
        value: JsonObject = {**self._codec.encode(cached.state, key), **_record(cached.stored)}
        if force or self._changed(cached.stored, value, key):
            expect = cached.stored.etag if cached.stored else ABSENT
            etags = await self._documents(turn_context, key).save({key: Write(value, expect)})
            cached.stored = Document(value, etags[key])

    async def clear_state(self, turn_context: TurnContext) -> None:
        """Forget every property. The empty document is written by the next `save_changes`."""
        await self.load(turn_context)
        self.get_cached_state(turn_context).state = {}

    async def delete(self, turn_context: TurnContext) -> None:
        """Delete the document now, provided that nobody changed it since it was read."""
        await self.load(turn_context)
        cached = self.get_cached_state(turn_context)
        if cached.stored:
            key = self.get_storage_key(turn_context)
            kept = _record(cached.stored) or None
            etags = await self._documents(turn_context, key).save({key: Write(kept, cached.stored.etag)})
            cached.stored = Document(kept, etags[key]) if kept else None
        cached.state = {}

    async def get_property_value(self, turn_context: TurnContext, property_name: str) -> Any:
        """Return the property. Raises KeyError where the document has none of that name."""
        await self.load(turn_context)
        cached = self.get_cached_state(turn_context)
        value = cached.state[property_name]
        if isinstance(value, Undecoded):
            key = self.get_storage_key(turn_context)
            value = cached.state[property_name] = self._codec.decode(value.json, key, property_name)
        return value

    async def set_property_value(self, turn_context: TurnContext, property_name: str, value: Any) -> None:
        """Set the property; it is stored by `save_changes`. Raises ValueError for `e_tag` and `$turn`."""
        _require_free(property_name)
        await self.load(turn_context)
        self.get_cached_state(turn_context).state[property_name] = value

    async def delete_property_value(self, turn_context: TurnContext, property_name: str) -> None:
        """Remove the property. Removing one that is not there is no error."""
        await self.load(turn_context)
        self.get_cached_state(turn_context).state.pop(property_name, None)

    def allow(self, cls: type) -> None:
        """Let objects of `cls` be stored, where that is a class of the bot's and not a built-in one."""
        if is_storable(cls):
            self._codec.register(cls)

    @property
    def _codec(self) -> Codec:
        return self._storage.codec

    def _documents(self, turn_context: TurnContext, key: str) -> Documents:
        """Where the document is: with the transaction that runs this turn, outside of one in the storage."""
        documents = TurnDocuments.of(turn_context)
        if documents is None:
            return OutsideDocuments(self._storage)
        documents.require(key, self)
        return documents

    def _cache(self, turn_context: TurnContext, key: str, stored: Document | None) -> None:
        state = _decode(self._codec, stored.value, key) if stored else {}
        turn_context.turn_state[self._context_service_key] = CachedState(state, stored)

    def _changed(self, stored: Document | None, value: JsonObject, key: str) -> bool:
        before = stored.value if stored else {}
        if value.keys() != before.keys():
            return True
        differing = {name: before[name] for name in value if not is_same(value[name], before[name])}
        if not differing:
            return False
        # A document may spell the same state in another way than we do; only a change of the state counts.
        again = self._codec.encode(_decode(self._codec, differing, key), key) | _record(stored)
        return any(not is_same(value[name], again[name]) for name in differing)


class ConversationState(StoredState, _ConversationState):
    """State of a conversation, whoever speaks in it: `{channel}/conversations/{conversation}`."""


class UserState(StoredState, _UserState):
    """State of a user in all conversations of a channel: `{channel}/users/{user}`."""


class PrivateConversationState(StoredState, _PrivateConversationState):
    """State of a user in one conversation: `{channel}/conversations/{conversation}/users/{user}/`."""


def _require_present(turn_context: TurnContext) -> None:
    if is_left_behind(turn_context):
        raise AttemptOver("this task belongs to an attempt of the turn that was lost: the logic runs anew without it")


def _require_free(name: str) -> None:
    if name in _RESERVED:
        raise ValueError(f"a property cannot be called {name!r}: it is {_RESERVED[name]}")


def _decode(codec: Codec, value: JsonObject, key: str) -> dict[str, Any]:
    # A property of a class that this turn's bot has not named yet waits until it is asked for.
    return {name: codec.decode(item, key, name, keep_unknown=True) for name, item in value.items() if name != TURN}


def _record(stored: Document | None) -> JsonObject:
    # What turns have left beside the state; outside of a turn it is not ours to drop.
    return {name: item for name, item in stored.value.items() if name == TURN} if stored else {}
