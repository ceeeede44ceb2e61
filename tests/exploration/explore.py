"""What is explored of the protocol: deliveries that run it on one storage, and what must be so in every state."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import TYPE_CHECKING

from bots.turn.runtime import Limits
from tests.exploration.actors import Actor, AskingStore, TransactionalAskingStore
from tests.exploration.calls import Storage, Stored
from tests.exploration.reading import Reader
from tests.exploration.search import Explored, Search, Step
from tests.exploration.serial import Happened, explains
from tests.exploration.turns import CONVERSATIONS, Delivery, Script, delivering
from tests.exploration.world import State, World, answered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

LIMITS = Limits(loads=6, patience=0, tries=3, ledger_entries=3, ledger_age=100.0, seen=4)


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


class Exploration:
    """A scenario as a world that can be searched."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        keys = tuple(
            dict.fromkeys([*scenario.history, *(key for each in scenario.deliveries for key in each.turn.keys)])
        )
        actors = tuple(self._actor(number, each) for number, each in enumerate(scenario.deliveries))
        self._world = World(Storage(keys, scenario.transactional), actors, scenario.times)
        self._reader = Reader(keys, CONVERSATIONS.intersection(keys), scenario.limits)
        self._explained: dict[object, bool] = {}
        self._before = self._reader.documents(self.start().store)

    def exhaust(self, at_most: int = 5_000_000) -> Explored:
        """Visit every state; raise `ViolationError` with a shortest schedule to a wrong one."""
        return Search(self).exhaust(at_most)

    def walk(self, walks: int, seed: int) -> Explored:
        """Take random walks to the end of the scenario, checking every state on the way."""
        return Search(self).walk(walks, seed)

    def start(self) -> State:
        return self._world.start(self._scenario.history, self._scenario.faults)

    def steps(self, state: State) -> Iterator[tuple[Step, Callable[[], State]]]:
        for step, after in self._world.steps(state):
            yield step, partial(_same, after)

    def answered(self, state: State) -> int:
        return len(answered(state))

    def wrong(self, state: State) -> list[str]:
        happened = self._happened(state)
        key = (state.store, happened)
        if key not in self._explained:
            self._explained[key] = explains(self._before, happened, self._reader.documents(state.store))
        return [] if self._explained[key] else self._story(state)

    def _actor(self, number: int, delivery: Delivery) -> Actor:
        scenario = self._scenario
        store = TransactionalAskingStore() if scenario.transactional else AskingStore()

        name, txn = f"{delivery.turn.name}{number}", delivery.turn.name if scenario.activity_is_txn else None
        return Actor(name, delivery, scenario.script, store, scenario.limits, txn)

    def _happened(self, state: State) -> tuple[Happened, ...]:
        """The turns so far: deliveries of one activity together, those that only read each for itself."""
        turns: dict[str, Happened] = {}
        names = [each.turn.name for each in self._scenario.deliveries]
        for number, progress in enumerate(state.actors):
            if progress.before_it is None:
                continue
            turn = self._scenario.deliveries[number].turn
            name = turn.name if turn.writes else f"{turn.name}{number}"
            after = frozenset(names[other] for other in progress.before_it)
            before = turns.get(name, Happened(turn, (), after))
            turns[name] = Happened(turn, before.replies + progress.node.sent, before.after & after)
        return tuple(turns.values())

    def _story(self, state: State) -> list[str]:
        lines = ["then, where nobody goes on:"]
        lines += [f"     {key}: {stored[1]}" for key, stored in zip(self._world.storage.keys, state.store, strict=True)]
        lines += [f"     {key} counts as {text!r}" for key, text in self._reader.documents(state.store).items()]
        for number, progress in enumerate(state.actors):
            answer = " and ".join(progress.node.sent) or "nobody"
            lines.append(f"     {self._world.actors[number].name} has answered {answer}")
        return [*lines, "     and no order of whole turns explains that"]


def _same(state: State) -> State:
    return state
