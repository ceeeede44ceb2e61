"""The model of the state API finds each fault of the stock classes: planted alone into ours, and in theirs."""

from __future__ import annotations

from typing import Any, Final

import botbuilder.core
import pytest
from botbuilder.core import TurnContext
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from bots import property as properties
from bots import state as ours
from bots.property import PropertyAccessor
from bots.state import StoredState
from storage import ANY, StorageConflict, Write
from tests.unit.test_state_model import VALUES, StateModel

RULES: Final = ("begin_anew", "load", "get", "assign", "mutate", "remove", "clear", "delete", "save")
SEARCH: Final = settings(
    max_examples=300, stateful_step_count=25, deadline=None, database=None, derandomize=True, phases=[Phase.generate]
)


class KeepsTheOldETag(StoredState):
    """After a save the state still expects the version before it."""

    async def save_changes(self, turn_context: TurnContext, force: bool = False) -> None:
        cached = self.get_cached_state(turn_context)
        before = cached and cached.stored
        await super().save_changes(turn_context, force)
        if before:
            cached.stored = cached.stored._replace(etag=before.etag)


class WritesWhatItOnlyRead(StoredState):
    """A turn that finds no document and changes nothing writes an empty one."""

    async def save_changes(self, turn_context: TurnContext, force: bool = False) -> None:
        cached = self.get_cached_state(turn_context)
        await super().save_changes(turn_context, force or bool(cached and cached.stored is None))


class CreatesOverAnything(StoredState):
    """The first write of a document is unconditional: whoever has created it meanwhile is erased."""

    async def save_changes(self, turn_context: TurnContext, force: bool = False) -> None:
        cached = self.get_cached_state(turn_context)
        if cached and cached.stored is None and (force or cached.state):
            key = self.get_storage_key(turn_context)
            await self._storage.save({key: Write(self._codec.encode(cached.state, key), ANY)})
            await self.load(turn_context, force=True)
        await super().save_changes(turn_context, force)


class TakesEmptyForNotLoaded(StoredState):
    """A document that is empty is read again, and what was cleared is back."""

    async def load(self, turn_context: TurnContext, force: bool = False) -> None:
        cached = self.get_cached_state(turn_context)
        await super().load(turn_context, force or bool(cached and not cached.state))


class ForgetsTheVersionItCleared(StoredState):
    """Clearing drops the ETag: the write that follows replaces whatever is there."""

    async def clear_state(self, turn_context: TurnContext) -> None:
        await self.load(turn_context, force=True)
        await super().clear_state(turn_context)


class DeletesAnything(StoredState):
    """A delete does not ask which version it deletes."""

    async def delete(self, turn_context: TurnContext) -> None:
        await self.load(turn_context)
        if self.get_cached_state(turn_context).stored:
            await self._storage.save({self.get_storage_key(turn_context): Write(None, ANY)})
        cached = self.get_cached_state(turn_context)
        cached.state, cached.stored = {}, None


class DeletesOnlyWhatIsLoaded(StoredState):
    """A delete before anything else in the turn raises KeyError."""

    async def delete(self, turn_context: TurnContext) -> None:
        turn_context.turn_state[self._context_service_key]
        await super().delete(turn_context)


class FalsyDefaultsAreNone(StoredState):
    """Where the default is 0, False or empty, None is returned and nothing set."""

    def create_property(self, name: str) -> PropertyAccessor:
        class Accessor(properties.PropertyAccessor):
            async def get(self, turn_context: TurnContext, default_value_or_factory: Any = None) -> Any:
                return await super().get(turn_context, default_value_or_factory or None)

        return Accessor(self, name)


FAULTS: Final[dict[type[StoredState], tuple[str, ...]]] = {  # and by which rules it is found soon
    KeepsTheOldETag: ("assign", "save"),
    WritesWhatItOnlyRead: ("load", "save"),
    CreatesOverAnything: ("load", "assign", "save"),
    TakesEmptyForNotLoaded: ("get", "assign", "save", "clear"),
    ForgetsTheVersionItCleared: ("assign", "save", "clear"),
    DeletesAnything: ("assign", "save", "delete"),
    DeletesOnlyWhatIsLoaded: ("delete",),
    FalsyDefaultsAreNone: ("get",),
}


class SavesTwice(StateModel):
    """Turns one after the other, each of which sets a property and saves, twice."""

    @rule(values=st.lists(VALUES, min_size=2, max_size=2))
    def save_twice(self, values: list[Any]) -> None:
        StateModel.begin_anew(self, 0)
        for value in values:
            StateModel.assign(self, 0, 0, "p", value)
            StateModel.save(self, 0, 0, False)


class OnlyReads(StateModel):
    """Turns that load and save, and change nothing."""

    @rule()
    def load_and_save(self) -> None:
        StateModel.begin_anew(self, 0)
        StateModel.load(self, 0, 0, False)
        StateModel.save(self, 0, 0, False)


def model(machine: type[StateModel], conversation: type, user: type, *rules: str) -> type[StateModel]:
    """The machine for these classes, with these of its rules only."""
    without = dict.fromkeys(set(RULES) - set(rules))
    return type("Model", (machine,), {**without, "scopes": (conversation, user)})


@pytest.mark.parametrize(("fault", "rules"), FAULTS.items(), ids=[fault.__name__ for fault in FAULTS])
def test_model_finds(fault: type[StoredState], rules: tuple[str, ...]) -> None:
    conversation, user = (type("Faulty", (fault, scope), {}) for scope in (ours.ConversationState, ours.UserState))
    with pytest.raises((AssertionError, KeyError, StorageConflict)):
        run_state_machine_as_test(model(StateModel, conversation, user, *rules), settings=SEARCH)


@pytest.mark.parametrize(
    ("machine", "rules", "error"),
    [
        pytest.param(SavesTwice, (), StorageConflict, id="a second save conflicts with the first"),
        pytest.param(OnlyReads, (), AssertionError, id="a turn that only reads writes"),
        pytest.param(StateModel, ("get", "clear"), AssertionError, id="what was cleared is back"),
        pytest.param(StateModel, ("delete",), KeyError, id="delete before load"),
        pytest.param(StateModel, ("remove",), KeyError, id="removing what is not there"),
        pytest.param(StateModel, ("save",), AttributeError, id="a forced save before load"),
        pytest.param(StateModel, ("get",), AssertionError, id="falsy defaults are None"),
    ],
)
def test_model_finds_in_the_stock_classes(
    machine: type[StateModel], rules: tuple[str, ...], error: type[Exception]
) -> None:
    stock = model(machine, botbuilder.core.ConversationState, botbuilder.core.UserState, *rules)
    with pytest.raises(error):
        run_state_machine_as_test(stock, settings=SEARCH)
