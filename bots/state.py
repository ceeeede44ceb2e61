"""Conversation and user state as Bot Framework documents it, on a storage that keeps the storage contract.

A bot uses these classes like the SDK's own, which they extend: `create_property`, `get` with a default, `set`,
`save_changes`. What differs is that they keep their word: a document is read once a turn and written only when it
changed, conditional on the version that was read; an empty document, a cleared one and a falsy value are values.
https://learn.microsoft.com/azure/bot-service/bot-builder-concept-state
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from botbuilder.core import (
    BotState,
    StatePropertyAccessor,
    TurnContext,
)
from botbuilder.core import (
    ConversationState as _ConversationState,
)
from botbuilder.core import (
    PrivateConversationState as _PrivateConversationState,
)
from botbuilder.core import (
    UserState as _UserState,
)

from storage.base import StateStorage
from storage.codec import Codec, Undecoded, is_storable
from storage.contract import ABSENT, Document, JsonObject, Write


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
        """Return the accessor of the property `name`. Raises TypeError for an empty name."""
        if not name:
            raise TypeError("create_property: the name of a property cannot be empty")
        return PropertyAccessor(self, name)

    async def load(self, turn_context: TurnContext, force: bool = False) -> None:
        """Read the document, once a turn; `force` reads it again and drops what was changed since."""
        if force or self.get_cached_state(turn_context) is None:
            key = self.get_storage_key(turn_context)
            self._cache(turn_context, key, (await self._storage.load([key])).get(key))

    async def save_changes(self, turn_context: TurnContext, force: bool = False) -> None:
        """Write the document where it changed since it was read; with `force`, where it was read at all."""
        cached = self.get_cached_state(turn_context)
        if cached is None:
            return
        key = self.get_storage_key(turn_context)
        value = _encode(self._codec, cached.state, key)
        if force or self._changed(cached.stored, value, key):
            expect = cached.stored.etag if cached.stored else ABSENT
            etags = await self._storage.save({key: Write(value, expect)})
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
            await self._storage.save({self.get_storage_key(turn_context): Write(None, cached.stored.etag)})
        cached.state, cached.stored = {}, None

    async def get_property_value(self, turn_context: TurnContext, property_name: str) -> Any:
        """Return the property. Raises KeyError where the document has none of that name."""
        cached = self.get_cached_state(turn_context)
        value = cached.state[property_name]
        if isinstance(value, Undecoded):
            key = self.get_storage_key(turn_context)
            value = cached.state[property_name] = self._codec.decode(value.json, key, property_name)
        return value

    async def delete_property_value(self, turn_context: TurnContext, property_name: str) -> None:
        """Remove the property. Removing one that is not there is no error."""
        self.get_cached_state(turn_context).state.pop(property_name, None)

    def allow(self, cls: type) -> None:
        """Let objects of `cls` be stored, where that is a class of the bot's and not a built-in one."""
        if is_storable(cls):
            self._codec.register(cls)

    @property
    def _codec(self) -> Codec:
        return self._storage.codec

    def _cache(self, turn_context: TurnContext, key: str, stored: Document | None) -> None:
        state = _decode(self._codec, stored.value, key) if stored else {}
        turn_context.turn_state[self._context_service_key] = CachedState(state, stored)

    def _changed(self, stored: Document | None, value: JsonObject, key: str) -> bool:
        before = stored.value if stored else {}
        # A document may spell the same state in another way than we do; only a change of the state counts.
        return value != before and value != _encode(self._codec, _decode(self._codec, before, key), key)


class PropertyAccessor(StatePropertyAccessor):
    """Reads and writes one property of a scope of state."""

    def __init__(self, bot_state: StoredState, name: str) -> None:
        self._bot_state = bot_state
        self._name = name

    @property
    def name(self) -> str:
        """The property's name in the document."""
        return self._name

    async def get(self, turn_context: TurnContext, default_value_or_factory: Any = None) -> Any:
        """Return the property; where there is none, set it to the default and return that.

        Args:
            turn_context: the turn.
            default_value_or_factory: a value (copied), or a function or class that makes one. A class so named
                may be stored: nothing else has to be registered for it.
        """
        if default_value_or_factory is not None:
            named = default_value_or_factory
            self._bot_state.allow(named if isinstance(named, type) else type(named))
        await self._bot_state.load(turn_context)
        try:
            return await self._bot_state.get_property_value(turn_context, self._name)
        except KeyError:
            if default_value_or_factory is None:
                return None
        value = (
            default_value_or_factory()
            if callable(default_value_or_factory)
            else copy.deepcopy(default_value_or_factory)
        )
        await self.set(turn_context, value)
        return value

    async def set(self, turn_context: TurnContext, value: Any) -> None:
        """Set the property; it is stored by `save_changes`."""
        await self._bot_state.load(turn_context)
        await self._bot_state.set_property_value(turn_context, self._name, value)

    async def delete(self, turn_context: TurnContext) -> None:
        """Remove the property; it is gone from the storage after `save_changes`."""
        await self._bot_state.load(turn_context)
        await self._bot_state.delete_property_value(turn_context, self._name)


class ConversationState(StoredState, _ConversationState):
    """State of a conversation, whoever speaks in it: `{channel}/conversations/{conversation}`."""


class UserState(StoredState, _UserState):
    """State of a user in all conversations of a channel: `{channel}/users/{user}`."""


class PrivateConversationState(StoredState, _PrivateConversationState):
    """State of a user in one conversation: `{channel}/conversations/{conversation}/users/{user}`."""


def _decode(codec: Codec, value: JsonObject, key: str) -> dict[str, Any]:
    # A property of a class that this turn's bot has not named yet waits until it is asked for.
    return {name: codec.decode(item, key, name, keep_unknown=True) for name, item in value.items()}


def _encode(codec: Codec, state: dict[str, Any], key: str) -> JsonObject:
    encoded: JsonObject = codec.encode(state, key)
    return encoded
