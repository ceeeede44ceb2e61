"""Searching a world: every state of it, breadth first, or random walks through one that is too large."""

from __future__ import annotations

import dataclasses
import random
import time
from collections import deque
from typing import TYPE_CHECKING

from bots.turn.runtime import Limits
from bots.turn.snapshot import Snapshot, begin
from tests.exploration.actors import Actor, AskingStore, TransactionalAskingStore
from tests.exploration.sequence import run, runtime
from tests.exploration.serial import Happened, explains
from tests.exploration.turns import CONVERSATIONS, Delivery, Script, delivering, text_of
from tests.exploration.world import State, Step, Stored, World, answered

if TYPE_CHECKING:
    from collections.abc import Mapping

LIMITS = Limits(loads=6, patience=0, tries=3, ledger_entries=3, ledger_age=100.0, seen=4)


class ViolationError(AssertionError):
    """Raised with the schedule that breaks an invariant, step by step."""


@dataclasses.dataclass(frozen=True)
class Scenario:
    """What is explored.

    Attributes:
        deliveries: who delivers what; the same turn twice is a redelivery.
        history: the documents at the start.
        faults: how many storage operations may go wrong.
        times: the clock's readings in order; it moves on at any moment, and deliveries begin during the
        first.
        txn: the name of every attempt, where it is not to be a fresh one (a planted bug).
    """

    deliveries: tuple[Delivery, ...]
    history: Mapping[str, Stored] = dataclasses.field(default_factory=dict)
    faults: int = 0
    times: tuple[float, ...] = (0.0,)
    transactional: bool = False
    limits: Limits = LIMITS
    script: Script = delivering
    activity_is_txn: bool = False


@dataclasses.dataclass(frozen=True)
class Explored:
    """What was visited; `answered` is the largest number of deliveries answered in one state."""

    states: int
    steps: int
    answered: int
    seconds: float


class Exploration:
    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        keys = tuple(
            dict.fromkeys([*scenario.history, *(key for each in scenario.deliveries for key in each.turn.keys)])
        )
        actors = tuple(self._actor(number, each) for number, each in enumerate(scenario.deliveries))
        self._world = World(keys, actors, scenario.transactional, scenario.times)
        self._start = self._world.start(scenario.history, scenario.faults)
        self._explained: dict[object, bool] = {}
        self._read: dict[tuple[Stored, ...], dict[str, str | None]] = {}
        self._before = self._documents(self._start.store)

    def exhaust(self, at_most: int = 5_000_000) -> Explored:
        """Visit every state; raise `ViolationError` with a shortest schedule to a wrong one."""
        began = time.perf_counter()
        came_from: dict[State, tuple[State, Step] | None] = {self._start: None}
        waiting = deque([self._start])
        steps = most = 0
        while waiting:
            state = waiting.popleft()
            for step, after in self._world.steps(state):
                steps += 1
                if after in came_from:
                    continue
                came_from[after] = (state, step)
                if not self._holds(after):
                    raise ViolationError(self._story(after, _path(came_from, after)))
                most = max(most, len(answered(after)))
                waiting.append(after)
            assert len(came_from) <= at_most, f"more than {at_most} states"
        return Explored(len(came_from), steps, most, time.perf_counter() - began)

    def walk(self, walks: int, seed: int) -> Explored:
        """Take random walks to the end of the scenario, checking every state on the way."""
        began, choose = time.perf_counter(), random.Random(seed)  # noqa: S311 - a reproducible search, no secret
        steps = most = 0
        for _ in range(walks):
            state, path = self._start, list[Step]()
            while options := list(self._world.steps(state)):
                step, state = choose.choice(options)
                path.append(step)
                steps += 1
                if not self._holds(state):
                    raise ViolationError(self._story(state, path))
            most = max(most, len(answered(state)))
        return Explored(walks, steps, most, time.perf_counter() - began)

    def _actor(self, number: int, delivery: Delivery) -> Actor:
        scenario = self._scenario
        store = TransactionalAskingStore() if scenario.transactional else AskingStore()

        name, txn = f"{delivery.turn.name}{number}", delivery.turn.name if scenario.activity_is_txn else None
        return Actor(name, delivery, scenario.script, store, scenario.limits, txn)

    def _holds(self, state: State) -> bool:
        happened = self._happened(state)
        key = (state.store, happened)
        if key not in self._explained:
            self._explained[key] = explains(self._before, happened, self._documents(state.store))
        return self._explained[key]

    def _happened(self, state: State) -> tuple[Happened, ...]:
        """The turns so far: deliveries of one activity together, those that only read each for itself."""
        turns: dict[str, Happened] = {}
        names = [each.turn.name for each in self._scenario.deliveries]
        for number, progress in enumerate(state.actors):
            if progress.before_it is None:
                continue
            turn = self._scenario.deliveries[number].turn
            name = turn.name if turn.changes or turn.deletes else f"{turn.name}{number}"
            after = frozenset(names[other] for other in progress.before_it)
            before = turns.get(name, Happened(turn, (), after))
            turns[name] = Happened(turn, before.replies + progress.node.sent, before.after & after)
        return tuple(turns.values())

    def _documents(self, store: tuple[Stored, ...]) -> dict[str, str | None]:
        """The documents as the next turn would find them if everybody else had crashed."""
        if store not in self._read:
            keys = self._world.keys
            conversations = CONVERSATIONS.intersection(keys)
            found: dict[str, str | None] = {}
            for conversation in sorted(conversations):
                others = [key for key in keys if key not in conversations]
                view = self._view(store, conversation, others)
                assert all(found.get(key, text) == text for key, text in view.items()), "readers disagree"
                found |= view
            self._read[store] = found
        return self._read[store]

    def _view(self, store: tuple[Stored, ...], conversation: str, others: list[str]) -> dict[str, str | None]:
        now = runtime("reader", self._scenario.limits)
        reading = begin(AskingStore(), conversation, others, None, received=0.0, runtime=now)
        snapshot = run(reading, dict(zip(self._world.keys, store, strict=True)))
        assert isinstance(snapshot, Snapshot)
        return {key: text_of(state) for key, state in snapshot.documents.items()}

    def _story(self, state: State, path: list[Step]) -> str:
        lines = [f"{at:3}. {who} {what} {key}" for at, (who, what, key) in enumerate(path, 1)]
        lines += ["then, where nobody goes on:"]
        lines += [f"     {key}: {stored[1]}" for key, stored in zip(self._world.keys, state.store, strict=True)]
        lines += [f"     {key} counts as {text!r}" for key, text in self._documents(state.store).items()]
        for number, progress in enumerate(state.actors):
            answer = " and ".join(progress.node.sent) or "nobody"
            lines.append(f"     {self._world.actors[number].name} has answered {answer}")
        lines.append("     and no order of whole turns explains that")
        return "\n".join(["", *lines])


def _path(came_from: Mapping[State, tuple[State, Step] | None], state: State) -> list[Step]:
    path = []
    link = came_from[state]
    while link is not None:
        state, step = link
        path.append(step)
        link = came_from[state]
    return path[::-1]
