"""The scopes of state that take part in the turns of a transaction, and which documents a turn has of them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import Final

from botbuilder.core import TurnContext

from bots.state import ConversationState, PrivateConversationState, StoredState, UserState
from bots.turn.errors import ForeignConversation
from storage.contract import DocumentStore

_OF_THE_ACTIVITY: Final = (ConversationState, UserState, PrivateConversationState)


class Scopes:
    """States of the classes in `bots.state`, each class once, all on one storage."""

    def __init__(self, store: DocumentStore, states: Iterable[StoredState]) -> None:
        self._store = store
        self._states: dict[str, StoredState] = {}
        for state in states:
            self.join(state)

    def join(self, state: StoredState) -> None:
        """Let `state` take part from now on. Raises TypeError for another class, ValueError for another storage."""
        self._check(state)
        self._states.setdefault(state._context_service_key, state)

    def _check(self, state: StoredState) -> None:
        if not isinstance(state, StoredState):
            raise TypeError(
                f"{type(state).__module__}.{type(state).__name__} cannot take part in a turn transaction: use the "
                "class of that name in bots.state, or put bots.state.StoredState in front of your own BotState"
            )
        if state._storage is not self._store:
            raise ValueError(f"{type(state).__name__} has another storage than the transaction: they must be one")

    def admit(
        self, needed: Mapping[str, StoredState], context: TurnContext, conversation: str
    ) -> dict[str, StoredState]:
        """Return the documents that a turn asked for, with their scopes, as ones that it may have.

        A scope of the SDK's kinds takes part in all later turns too: its key comes from the activity alone. Raises
        `ForeignConversation`, and what `join` does.
        """
        for key, state in needed.items():
            self.admitted(key, context, conversation)
            self._check(state)
            if type(state) in _OF_THE_ACTIVITY:
                self.join(state)
        return dict(needed)

    def keys(self, context: TurnContext, conversation: str) -> list[str]:
        """The documents of the activity; a scope that it has none of (no user, say) is left out."""
        keys = []
        for state in self._states.values():
            with contextlib.suppress(Exception):  # the SDK raises TypeError, AttributeError or a bare Exception
                keys.append(state.get_storage_key(context))
        return [self.admitted(key, context, conversation) for key in keys]

    def admitted(self, key: str, context: TurnContext, conversation: str) -> str:
        """Return `key`, unless it is another conversation's: no document can be both C and D of the protocol."""
        others = f"{context.activity.channel_id}/conversations/"
        if key != conversation and key.startswith(others) and not key.startswith(f"{conversation}/"):
            raise ForeignConversation(
                f"a turn of {conversation!r} asks for {key!r}: the state of another conversation is changed in a turn "
                "of that one (continue_conversation), and a scope of your own needs keys that start otherwise"
            )
        return key

    async def save(self, context: TurnContext, others: Iterable[StoredState]) -> None:
        """Write what the turn has changed in these scopes, and in the others that it has asked for."""
        # The turn's cache has one place per class name: the scope that asked last is the one that wrote to it.
        for state in {state._context_service_key: state for state in (*self._states.values(), *others)}.values():
            if state.get_cached_state(context) is not None:
                await state.save_changes(context)

    def forget(self, context: TurnContext) -> None:
        """Drop what the turn has read and not written."""
        for state in self._states.values():
            state.forget(context)
