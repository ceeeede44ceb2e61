"""The whole state API against plain dicts: any sequence of calls, in two interleaved turns, on two scopes.

The model is what the documentation promises, in a few lines: a turn has a copy of each document and the version it
was made of; a write goes through where the stored version is still that one, and conflicts otherwise.
"""

from __future__ import annotations

import asyncio
import copy
import json
import tempfile
from collections.abc import Awaitable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from botbuilder.core import BotState
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from bots.state import ConversationState, UserState
from storage import StateStorage, StorageConflict
from storage.memory import MemoryStorage
from storage.sqlite import SqliteStorage
from tests.unit.turns import CONVERSATION, USER, new_turn

T = TypeVar("T")
KEYS = (CONVERSATION, USER)


@dataclass
class Note:
    """A typed property."""

    text: str = ""
    tags: list[Any] = field(default_factory=list)


@dataclass
class Copy:
    """What a turn has of one document, and which version it was made of (0: there was no document)."""

    state: dict[str, Any]
    read: dict[str, Any]
    version: int


TURNS = st.integers(0, 1)
SCOPES = st.integers(0, 1)
NAMES = st.sampled_from(["p", "q", "Profile"])
TEXT = st.text(st.characters(codec="utf-8"), max_size=5)
NUMBERS = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
NOTES = st.builds(Note, TEXT, st.lists(TEXT, max_size=2))
VALUES = st.recursive(
    st.none() | st.sampled_from([0, 1, 1.0, False, True]) | NUMBERS | TEXT | NOTES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(TEXT.filter(lambda t: t[:3] != "py/"), inner, max_size=3)
    ),
    max_leaves=4,
)


def spelled(value: object) -> str:
    """Text that is equal for equal values of equal types."""
    return json.dumps(value, default=lambda found: {type(found).__name__: vars(found)}, sort_keys=True)


class StateModel(RuleBasedStateMachine):
    """Runs each rule on the real state and on the model. `scopes` are the classes under test."""

    scopes: tuple[type[BotState], type[BotState]] = (ConversationState, UserState)

    @initialize()
    def start(self) -> None:
        self.loop = asyncio.new_event_loop()  # not a Runner, which takes the place of the test runner's own loop
        self.storage = self.run(self.opened())
        self.storage.codec.register(Note)
        self.states = tuple(scope(self.storage) for scope in self.scopes)
        self.turns = [new_turn(), new_turn()]
        self.copies: dict[tuple[int, int], Copy] = {}
        self.documents: dict[int, tuple[dict[str, Any], int]] = {}  # by scope: value and version
        self.versions = 0

    async def opened(self) -> StateStorage:
        return MemoryStorage()

    def run(self, call: Awaitable[T]) -> T:
        return self.loop.run_until_complete(asyncio.ensure_future(call, loop=self.loop))

    def teardown(self) -> None:
        self.run(self.storage.aclose())
        self.run(self.loop.shutdown_default_executor())
        self.loop.close()

    def loaded(self, turn: int, scope: int, force: bool = False) -> Copy:
        if force or (turn, scope) not in self.copies:
            value, version = self.documents.get(scope, ({}, 0))
            self.copies[turn, scope] = Copy(copy.deepcopy(value), copy.deepcopy(value), version)
        return self.copies[turn, scope]

    def written(self, call: Awaitable[None], scope: int, mine: Copy, value: dict[str, Any] | None) -> None:
        """The model of a conditional write; None deletes."""
        if self.documents.get(scope, ({}, 0))[1] != mine.version:
            try:
                self.run(call)
            except StorageConflict:
                return
            raise AssertionError("a stale write went through")
        self.run(call)
        if value is None:
            del self.documents[scope]
            mine.version = 0
        else:
            self.versions += 1
            mine.version = self.versions
            self.documents[scope] = (copy.deepcopy(value), mine.version)
        mine.read = copy.deepcopy(value or {})
        mine.state = mine.state if value is not None else {}

    @rule(turn=TURNS)
    def begin_anew(self, turn: int) -> None:
        self.turns[turn] = new_turn()
        for scope in (0, 1):
            self.copies.pop((turn, scope), None)

    @rule(turn=TURNS, scope=SCOPES, force=st.booleans())
    def load(self, turn: int, scope: int, force: bool) -> None:
        self.run(self.states[scope].load(self.turns[turn], force))
        self.loaded(turn, scope, force)

    @rule(turn=TURNS, scope=SCOPES, name=NAMES, default=VALUES)
    def get(self, turn: int, scope: int, name: str, default: Any) -> None:
        got = self.run(self.states[scope].create_property(name).get(self.turns[turn], default))
        mine = self.loaded(turn, scope).state
        if name not in mine and default is not None:
            mine[name] = copy.deepcopy(default)
        assert spelled(got) == spelled(mine.get(name))

    @rule(turn=TURNS, scope=SCOPES, name=NAMES, value=VALUES)
    def assign(self, turn: int, scope: int, name: str, value: Any) -> None:
        self.run(self.states[scope].create_property(name).set(self.turns[turn], copy.deepcopy(value)))
        self.loaded(turn, scope).state[name] = value

    @rule(turn=TURNS, scope=SCOPES, name=NAMES, value=TEXT)
    def mutate(self, turn: int, scope: int, name: str, value: str) -> None:
        got = self.run(self.states[scope].create_property(name).get(self.turns[turn], Note))
        mine = self.loaded(turn, scope).state.setdefault(name, Note())
        for found in (got, mine):
            if isinstance(found, Note):
                found.text = value
                found.tags.append(value)
            elif isinstance(found, list):
                found.append(value)
            elif isinstance(found, dict):
                found[f"_{value}"] = value

    @rule(turn=TURNS, scope=SCOPES, name=NAMES)
    def remove(self, turn: int, scope: int, name: str) -> None:
        self.run(self.states[scope].create_property(name).delete(self.turns[turn]))
        self.loaded(turn, scope).state.pop(name, None)

    @rule(turn=TURNS, scope=SCOPES)
    def clear(self, turn: int, scope: int) -> None:
        self.run(self.states[scope].clear_state(self.turns[turn]))
        self.loaded(turn, scope).state = {}

    @rule(turn=TURNS, scope=SCOPES)
    def delete(self, turn: int, scope: int) -> None:
        call = self.states[scope].delete(self.turns[turn])
        mine = self.loaded(turn, scope)
        if mine.version:
            self.written(call, scope, mine, None)
        else:
            self.run(call)
            mine.state = {}

    @rule(turn=TURNS, scope=SCOPES, force=st.booleans())
    def save(self, turn: int, scope: int, force: bool) -> None:
        call = self.states[scope].save_changes(self.turns[turn], force)
        mine = self.copies.get((turn, scope))
        if mine and (force or spelled(mine.state) != spelled(mine.read)):
            self.written(call, scope, mine, mine.state)
        else:
            self.run(call)

    @invariant()
    def the_storage_holds_what_the_model_holds(self) -> None:
        stored = self.run(self.storage.load(KEYS))
        decoded = {key: self.storage.codec.decode(document.value, key) for key, document in stored.items()}
        assert spelled(decoded) == spelled({KEYS[scope]: value for scope, (value, _) in self.documents.items()})


class SqliteModel(StateModel):
    """The same on a database file."""

    async def opened(self) -> StateStorage:
        self.folder = tempfile.TemporaryDirectory()
        storage = SqliteStorage(Path(self.folder.name) / "state.db")
        await storage.open()
        return storage

    def teardown(self) -> None:
        super().teardown()
        self.folder.cleanup()


TestStateOnMemory = StateModel.TestCase
TestStateOnMemory.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestStateOnSqlite = SqliteModel.TestCase
TestStateOnSqlite.settings = settings(
    max_examples=15, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
