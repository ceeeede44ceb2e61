"""One property of a scope of state, as a bot reads and writes it."""

from __future__ import annotations

import copy
from typing import Any, Protocol

from botbuilder.core import StatePropertyAccessor, TurnContext

from storage.errors import StateDecodeError


class Scope(Protocol):
    """What an accessor needs of its scope of state; see `bots.state.StoredState`."""

    def allow(self, cls: type) -> None: ...

    async def get_property_value(self, turn_context: TurnContext, property_name: str) -> Any: ...

    async def set_property_value(self, turn_context: TurnContext, property_name: str, value: Any) -> None: ...

    async def delete_property_value(self, turn_context: TurnContext, property_name: str) -> None: ...


class PropertyAccessor(StatePropertyAccessor):
    """Reads and writes one property of a scope of state."""

    def __init__(self, bot_state: Scope, name: str) -> None:
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
            default_value_or_factory: a value (copied), or a function or class that makes one. Its class may be
                stored: nothing else has to be registered for it.
        """
        default = default_value_or_factory
        if isinstance(default, type) or not callable(default):
            self._bot_state.allow(default if isinstance(default, type) else type(default))
        try:
            return await self._bot_state.get_property_value(turn_context, self._name)
        except KeyError:
            if default is None:
                return None
        except StateDecodeError:
            if isinstance(default, type) or not callable(default):
                raise
            self._bot_state.allow(type(default()))  # a function tells the class only when it is called
            return await self._bot_state.get_property_value(turn_context, self._name)
        value = default() if callable(default) else copy.deepcopy(default)
        self._bot_state.allow(type(value))
        await self.set(turn_context, value)
        return value

    async def set(self, turn_context: TurnContext, value: Any) -> None:
        """Set the property; it is stored by `save_changes`."""
        await self._bot_state.set_property_value(turn_context, self._name, value)

    async def delete(self, turn_context: TurnContext) -> None:
        """Remove the property; it is gone from the storage after `save_changes`."""
        await self._bot_state.delete_property_value(turn_context, self._name)
