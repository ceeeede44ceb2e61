"""What is explored of the middleware: activities that a channel delivers to replicas, and what must be so always."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator

from bots.adapter import APOLOGY
from tests.exploration.calls import Storage, Store
from tests.exploration.deployment import Deployment, Steps
from tests.exploration.mail import Mail, Place, State
from tests.exploration.process import PARTS, Program, conversation_key, user_key
from tests.exploration.reading import Reader
from tests.exploration.replicas import Replicas
from tests.exploration.search import Explored, Search
from tests.exploration.serial import Happened, explains
from tests.exploration.turns import Turn


@dataclasses.dataclass(frozen=True)
class Case:
    """What is explored.

    Attributes:
        deliveries: the turns and, for each, the replicas to which the channel delivers it at any time.
        history: turns that have taken place before, one after the other.
        replicas: how many there are.
        faults: how many calls of the storage or the channel may go wrong.
        crashes: how many replicas may be killed.
        times: the clock's readings in order; it moves on at any moment.
        sleeps: how often a task may wait for time to pass.
        program: what a replica runs.
    """

    deliveries: tuple[tuple[Turn, tuple[int, ...]], ...]
    history: tuple[Turn, ...] = ()
    replicas: int = 2
    faults: int = 0
    crashes: int = 0
    times: tuple[float, ...] = (0.0,)
    sleeps: int = 2
    program: Program = dataclasses.field(default_factory=Program)


class Investigation:
    """A case as a world that can be searched. `replicas` tells what was found out about the processes."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._turns = {turn.name: turn for turn, _ in case.deliveries}
        every = {turn.name: turn for turn in case.history} | self._turns
        conversations = {conversation_key(turn.conversation): turn.conversation for turn in every.values()}
        others = {user_key(name): name for turn in every.values() for name in turn.others}
        self._names = conversations | others
        self._storage = Storage(tuple(self._names), case.program.transactional)
        self._reader = Reader(self._storage.keys, conversations, case.program.limits)
        self.replicas = Replicas(case.program, every)
        self._deployment = Deployment(self._turns, self._storage, self.replicas, case.times, case.sleeps)
        self._store = self._after(case.history)
        self._before = self._documents(self._store)
        self._explained: dict[object, bool] = {}

    def exhaust(self, at_most: int = 1_000_000) -> Explored:
        """Visit every state; raise `ViolationError` with a shortest schedule to a wrong one."""
        with contextlib.closing(self.replicas):
            return Search(self).exhaust(at_most)

    def walk(self, walks: int, seed: int) -> Explored:
        """Take random walks to the end of the case, checking every state on the way."""
        with contextlib.closing(self.replicas):
            return Search(self).walk(walks, seed)

    def start(self) -> State:
        mail = tuple(Mail(waiting) for _, waiting in self._case.deliveries)
        places = (Place(self.replicas.root),) * self._case.replicas
        return State(self._store, (), places, mail, self._case.faults, self._case.crashes, 0)

    def steps(self, state: State) -> Steps:
        return self._deployment.steps(state)

    def answered(self, state: State) -> int:
        return sum(bool(mail.acknowledged) for mail in state.mail)

    def wrong(self, state: State) -> list[str]:
        reasons = [state.wrong] if state.wrong else [*self._replies(state), *self._end(state)]
        if not reasons and not self._explains(state):
            reasons = ["no order of whole turns explains that"]
        return self._story(state, reasons) if reasons else []

    def _after(self, history: tuple[Turn, ...]) -> Store:
        """The storage after these turns, each delivered when nobody else is about."""
        store: Store = ((0, None),) * len(self._names)
        for turn in history:
            deployment = Deployment({turn.name: turn}, self._storage, self.replicas)
            state = State(store, (), (Place(self.replicas.root),), (Mail((0,)),), 0, 0, 0)
            while step := next(deployment.work(state), None):
                state = step[1]()
            store = state.store
        return store

    def _replies(self, state: State) -> Iterator[str]:
        for turn, mail in zip(self._turns.values(), state.mail, strict=True):
            if turn.writes:
                yield from _in_order(turn, [text for _, text in mail.shown], bool(mail.acknowledged))
                continue
            if not turn.raises:
                yield from _told(turn, mail)
                continue
            for number in range(1, mail.delivered + 1):
                delivery = f"{turn.name}{number}"
                texts = [text for shown, text in mail.shown if shown == delivery]
                yield from _in_order(turn, texts, delivery in mail.acknowledged)

    def _end(self, state: State) -> Iterator[str]:
        """Where nothing is left to be done, all must be done."""
        if next(self._deployment.work(state), None) is None and not self._deployment.is_cut(state):
            for turn, mail in zip(self._turns.values(), state.mail, strict=True):
                if not mail.acknowledged:
                    yield f"{turn.name} is never acknowledged"

    def _explains(self, state: State) -> bool:
        happened = tuple(self._happened(state))
        key = state.store, happened
        if key not in self._explained:
            self._explained[key] = explains(self._before, happened, self._documents(state.store))
        return self._explained[key]

    def _happened(self, state: State) -> Iterator[Happened]:
        """The turns so far; of those that leave nothing each delivery is one, and those that raise are none."""
        writing = {name for name, turn in self._turns.items() if turn.writes}
        for turn, mail in zip(self._turns.values(), state.mail, strict=True):
            after = frozenset(each for at, each in enumerate(self._turns) if at in mail.before and each in writing)
            told = [(delivery, text.partition(" ")[2]) for delivery, text in mail.shown]
            if turn.writes and mail.delivered:
                yield Happened(turn, tuple(dict.fromkeys(text for _, text in told)), after)
            elif not turn.raises:
                for delivery in dict.fromkeys(each for each, _ in told):
                    yield Happened(turn, tuple(dict.fromkeys(text for each, text in told if each == delivery)), after)

    def _documents(self, store: Store) -> dict[str, str | None]:
        return {self._names[key]: text for key, text in self._reader.documents(store).items()}

    def _story(self, state: State, reasons: list[str]) -> list[str]:
        lines = ["then, where nobody goes on:"]
        lines += [f"     {key}: {text}" for key, (_, text) in zip(self._storage.keys, state.store, strict=True)]
        lines += [f"     {name} counts as {text!r}" for name, text in self._documents(state.store).items()]
        for name, mail in zip(self._turns, state.mail, strict=True):
            shown = ", ".join(f"{text!r} of {delivery}" for delivery, text in mail.shown) or "nothing"
            lines.append(f"     {name}: the user saw {shown}; acknowledged: {' '.join(mail.acknowledged) or 'no'}")
        return [*lines, *(f"     {reason}" for reason in reasons)]


def _told(turn: Turn, mail: Mail) -> Iterator[str]:
    """The replies of a turn that leaves nothing: each delivery makes them anew, and sends what is missing."""
    by_content: dict[str, list[str]] = {}
    for _, text in mail.shown:
        by_content.setdefault(text.partition(" ")[2], []).append(text)
    for texts in by_content.values():
        yield from _in_order(turn, texts, acknowledged=False)
    if mail.acknowledged and all(len(set(texts)) < PARTS for texts in by_content.values()):
        yield f"{turn.name}: acknowledged, and the user saw no complete answer"


def _in_order(turn: Turn, texts: list[str], acknowledged: bool) -> Iterator[str]:
    """Each reply came at least once, and none before the one in front of it."""
    first = list(dict.fromkeys(texts))
    parts = [APOLOGY.index(text) + 1 if turn.raises and text in APOLOGY else _part(text) for text in first]
    if parts != list(range(1, len(parts) + 1)) or (acknowledged and len(parts) != PARTS):
        yield f"{turn.name}: the user saw {first}, acknowledged: {acknowledged}"
    if turn.raises and any(text not in APOLOGY for text in first):
        yield f"{turn.name}: the user saw a reply of a turn that has failed: {first}"


def _part(text: str) -> int:
    number = text.partition(" ")[0]
    return int(number) if number.isdigit() else 0
