"""Searching the states of any world: every one of them, breadth first, or random walks where there are too many."""

from __future__ import annotations

import dataclasses
import random
import time
from collections import deque
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping

Step = tuple[str, str, str]  # who, what, the keys or texts
State = TypeVar("State", bound="Hashable")


class ViolationError(AssertionError):
    """Raised with the schedule that breaks an invariant, step by step."""


@dataclasses.dataclass(frozen=True)
class Explored:
    """What was visited; `answered` is the largest number of deliveries answered in one state."""

    states: int
    steps: int
    answered: int
    seconds: float


class Searched(Protocol[State]):
    """A world: where it begins, what can happen next, and what is wrong with a state."""

    def start(self) -> State: ...

    def steps(self, state: State) -> Iterator[tuple[Step, Callable[[], State]]]:
        """Every step possible, each with a function that takes it and tells the state after it."""

    def answered(self, state: State) -> int:
        """The number of deliveries answered."""

    def wrong(self, state: State) -> list[str]:
        """The story's end in a state that must not be; nothing in one that may."""


class Search(Generic[State]):
    def __init__(self, world: Searched[State]) -> None:
        self._world = world

    def exhaust(self, at_most: int = 5_000_000) -> Explored:
        """Visit every state; raise `ViolationError` with a shortest schedule to a wrong one."""
        began = time.perf_counter()
        start = self._world.start()
        came_from: dict[State, tuple[State, Step] | None] = {start: None}
        waiting = deque([start])
        steps = most = 0
        while waiting:
            state = waiting.popleft()
            for step, take in self._world.steps(state):
                after = take()
                steps += 1
                if after in came_from:
                    continue
                came_from[after] = (state, step)
                if wrong := self._world.wrong(after):
                    raise _violation(_path(came_from, after), wrong)
                most = max(most, self._world.answered(after))
                waiting.append(after)
            assert len(came_from) <= at_most, f"more than {at_most} states"
        return Explored(len(came_from), steps, most, time.perf_counter() - began)

    def walk(self, walks: int, seed: int) -> Explored:
        """Take random walks to the end of the scenario, checking every state on the way."""
        began, choose = time.perf_counter(), random.Random(seed)  # noqa: S311 - a reproducible search, no secret
        steps = most = 0
        for _ in range(walks):
            state, path = self._world.start(), list[Step]()
            while options := list(self._world.steps(state)):
                step, take = choose.choice(options)
                state = take()
                path.append(step)
                steps += 1
                if wrong := self._world.wrong(state):
                    raise _violation(path, wrong)
            most = max(most, self._world.answered(state))
        return Explored(walks, steps, most, time.perf_counter() - began)


def _violation(path: list[Step], wrong: list[str]) -> ViolationError:
    lines = [f"{at:3}. {who} {what} {keys}" for at, (who, what, keys) in enumerate(path, 1)]
    return ViolationError("\n".join(["", *lines, *wrong]))


def _path(came_from: Mapping[State, tuple[State, Step] | None], state: State) -> list[Step]:
    path = []
    link = came_from[state]
    while link is not None:
        state, step = link
        path.append(step)
        link = came_from[state]
    return path[::-1]
