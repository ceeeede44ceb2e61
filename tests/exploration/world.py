"""A world of deliveries and one storage, and every step that can happen next in it.

What can go wrong, as often as the scenario allows, is what `calls` tells. A crash needs no step: it is an actor
that takes none any more, and the invariants are checked in every state as if all who have not finished had
crashed there.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, NamedTuple

from tests.exploration.calls import Done, Storage, Store, Stored

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.exploration.actors import Actor, Change, Node
    from tests.exploration.search import Step


class Progress(NamedTuple):
    """An actor: where it is, what its present call has done, and who had been answered when it started."""

    node: Node
    done: Done = ()
    before_it: frozenset[int] | None = None


class State(NamedTuple):
    store: Store
    flying: tuple[Change, ...]  # writes that nobody waits for any more
    actors: tuple[Progress, ...]
    faults: int
    time: int


@dataclasses.dataclass(frozen=True)
class World:
    """The rules: who takes part, over which storage, how many faults there may be, and the times to come."""

    storage: Storage
    actors: tuple[Actor, ...]
    times: tuple[float, ...] = (0.0,)

    def start(self, history: Mapping[str, Stored], faults: int) -> State:
        """The state before anybody has begun."""
        store = tuple(history.get(key, (0, None)) for key in self.storage.keys)
        return State(store, (), tuple(Progress(actor.root) for actor in self.actors), faults, 0)

    def steps(self, state: State) -> Iterator[tuple[Step, State]]:
        """Every step possible in `state`, and the state after it."""
        for number, progress in enumerate(state.actors):
            who = self.actors[number]
            if progress.node is who.root:
                if state.time:
                    continue  # the channel has given up delivering
                now = self.times[state.time]
                progress = Progress(who.start(1, now, now), (), answered(state))
            if progress.node.operation is not None:
                yield from self._call(state, number, progress)
        for at, change in enumerate(state.flying):
            store, landed = self.storage.apply(state.store, change)
            rest = self.storage.flying(store, state.flying[:at] + state.flying[at + 1 :])
            yield (
                ("a late write", "lands" if landed else "is refused", change[0]),
                state._replace(store=store, flying=rest),
            )
        if state.time + 1 < len(self.times):
            yield ("time", "passes", ""), state._replace(time=state.time + 1)

    def _call(self, state: State, number: int, progress: Progress) -> Iterator[tuple[Step, State]]:
        who, operation = self.actors[number], progress.node.operation
        assert operation is not None
        for taken in self.storage.steps(operation, progress.done, state.store, state.faults > 0):
            if taken.answer is None:
                after = progress._replace(done=taken.done)
            else:
                node = who.after(progress.node, self.times[state.time], taken.answer)
                after = Progress(node, (), progress.before_it)
            yield (
                (who.name, taken.what, taken.keys),
                State(
                    taken.store,
                    self.storage.flying(taken.store, state.flying + taken.flying),
                    (*state.actors[:number], after, *state.actors[number + 1 :]),
                    state.faults - taken.fault,
                    state.time,
                ),
            )


def answered(state: State) -> frozenset[int]:
    """The actors whose replies have left."""
    return frozenset(number for number, progress in enumerate(state.actors) if progress.node.sent)
