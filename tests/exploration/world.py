"""A world of deliveries and one storage, and every step that can happen next in it.

The storage is the contract: each key of a load or a save is a step of its own, in any order, unless the
storage is transactional. What can go wrong, as often as the scenario allows: a load is not answered; a write
is not answered, and lands at any later time or never; a write lands and is answered with a conflict (an SDK
that retried its own success). A crash needs no step: it is an actor that takes none any more, and the
invariants are checked in every state as if all who have not finished had crashed there.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, NamedTuple

from tests.exploration.actors import CONFLICT, UNAVAILABLE, Actor, Answer, Change, Node

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Stored = tuple[int, str | None]  # how often the key was written, and its text (None: absent)
Step = tuple[str, str, str]  # who, what, the key or ""


class Progress(NamedTuple):
    """An actor: where it is, what its present call has done, and who had been answered when it started."""

    node: Node
    done: tuple[tuple[str, object], ...] = ()
    before_it: frozenset[int] | None = None


class State(NamedTuple):
    store: tuple[Stored, ...]
    flying: tuple[Change, ...]  # writes that nobody waits for any more
    actors: tuple[Progress, ...]
    faults: int
    time: int


@dataclasses.dataclass(frozen=True)
class World:
    """The rules: who takes part, over which keys, how many faults there may be, and the times to come."""

    keys: tuple[str, ...]
    actors: tuple[Actor, ...]
    transactional: bool = False
    times: tuple[float, ...] = (0.0,)

    def start(self, history: Mapping[str, Stored], faults: int) -> State:
        """The state before anybody has begun."""
        store = tuple(history.get(key, (0, None)) for key in self.keys)
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
            if progress.node.operation is None:
                continue
            if progress.node.operation.keys:
                yield from self._load(state, number, progress)
            else:
                yield from self._save(state, number, progress)
        for at, change in enumerate(state.flying):
            store, landed = self._apply(state.store, change)
            rest = state.flying[:at] + state.flying[at + 1 :]
            yield (
                ("a late write", "lands" if landed else "is refused", change[0]),
                state._replace(store=store, flying=rest),
            )
        if state.time + 1 < len(self.times):
            yield ("time", "passes", ""), state._replace(time=state.time + 1)

    def _load(self, state: State, number: int, progress: Progress) -> Iterator[tuple[Step, State]]:
        name, operation = self.actors[number].name, progress.node.operation
        assert operation is not None
        if state.faults and not progress.done:
            failed = self._answered(state, number, progress, UNAVAILABLE)
            yield (name, "loads, and gets no answer", ""), failed._replace(faults=state.faults - 1)
        if self.transactional:
            every = tuple((key, self._at(state.store, key)) for key in operation.keys)
            yield (
                (name, "loads", " ".join(operation.keys)),
                self._answered(state, number, progress, _found(every)),
            )
            return
        read = dict(progress.done)
        for key in operation.keys:
            if key in read:
                continue
            done = tuple(sorted((*progress.done, (key, self._at(state.store, key)))))
            if len(done) < len(operation.keys):
                yield (name, "loads", key), self._with(state, number, progress._replace(done=done))
            else:
                yield (name, "loads", key), self._answered(state, number, progress, _found(done))

    def _save(self, state: State, number: int, progress: Progress) -> Iterator[tuple[Step, State]]:
        operation = progress.node.operation
        assert operation is not None
        if self.transactional:
            yield from self._save_all(state, number, progress)
            return
        done = dict(progress.done)
        for change in operation.changes:
            if change[0] in done:
                continue
            store, landed = self._apply(state.store, change)
            after = state._replace(store=store)
            said = "ok" if landed else "conflict"
            yield self._saved(after, number, progress, change, said, f"saves ({said})")
            if state.faults:
                lost = state._replace(faults=state.faults - 1, flying=tuple(sorted((*state.flying, change), key=str)))
                yield self._saved(lost, number, progress, change, "lost", "saves, and gets no answer")
                if landed:
                    wrong = after._replace(faults=state.faults - 1)
                    yield self._saved(wrong, number, progress, change, "conflict", "saves, and is told of a conflict")

    def _saved(
        self, state: State, number: int, progress: Progress, change: Change, said: str, what: str
    ) -> tuple[Step, State]:
        operation = progress.node.operation
        assert operation is not None
        step = (self.actors[number].name, what, change[0])
        etag = etag_of(change[0], self._at(state.store, change[0]))
        done = tuple(sorted((*progress.done, (change[0], etag if said == "ok" and change[2] is not None else said))))
        if len(done) < len(operation.changes):
            return step, self._with(state, number, progress._replace(done=done))
        outcomes = {outcome for _, outcome in done}
        answer: Answer = UNAVAILABLE if "lost" in outcomes else CONFLICT if "conflict" in outcomes else done
        return step, self._answered(state, number, progress, answer)

    def _save_all(self, state: State, number: int, progress: Progress) -> Iterator[tuple[Step, State]]:
        name, operation = self.actors[number].name, progress.node.operation
        assert operation is not None
        store, landed = state.store, True
        for change in operation.changes:
            store, one = self._apply(store, change)
            landed = landed and one
        keys = " ".join(change[0] for change in operation.changes)
        if not landed:
            yield (name, "saves (conflict)", keys), self._answered(state, number, progress, CONFLICT)
            store = state.store
        else:
            etags = tuple((change[0], etag_of(change[0], self._at(store, change[0]))) for change in operation.changes)
            yield (name, "saves", keys), self._answered(state._replace(store=store), number, progress, etags)
        if state.faults:
            for said, answer in (("gets no answer", UNAVAILABLE), ("is told of a conflict", CONFLICT)):
                for after in {state.store, store}:
                    faulty = state._replace(store=after, faults=state.faults - 1)
                    yield (name, f"saves, and {said}", keys), self._answered(faulty, number, progress, answer)

    def _answered(self, state: State, number: int, progress: Progress, answer: Answer) -> State:
        node = self._after(state, number, progress.node, answer)
        return self._with(state, number, Progress(node, (), progress.before_it))

    def _after(self, state: State, number: int, node: Node, answer: Answer) -> Node:
        return self.actors[number].after(node, self.times[state.time], answer)

    def _with(self, state: State, number: int, progress: Progress) -> State:
        return state._replace(actors=(*state.actors[:number], progress, *state.actors[number + 1 :]))

    def _at(self, store: tuple[Stored, ...], key: str) -> Stored:
        return store[self.keys.index(key)]

    def _apply(self, store: tuple[Stored, ...], change: Change) -> tuple[tuple[Stored, ...], bool]:
        key, expected, text = change
        at = self.keys.index(key)
        version, present = store[at]
        found = None if present is None else etag_of(key, store[at])
        if expected not in ("*", found):
            return store, False
        return (*store[:at], (version + 1, text), *store[at + 1 :]), True


def answered(state: State) -> frozenset[int]:
    """The actors whose replies have left."""
    return frozenset(number for number, progress in enumerate(state.actors) if progress.node.sent)


def etag_of(key: str, stored: Stored) -> str:
    return f"{key}.{stored[0]}"


def _found(read: tuple[tuple[str, object], ...]) -> Answer:
    return tuple((key, etag_of(key, stored), stored[1]) for key, stored in read)  # type: ignore[arg-type,index]
