"""Running real coroutines one storage operation at a time, any number of times from any point.

A coroutine cannot be copied, but ours are functions of what the storage answered. So an actor's progress is
the sequence of those answers, kept as a tree: each node knows the operation that comes next. Only a node that
nobody has reached before runs code; the exploration itself then walks the tree.
"""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any, ClassVar

from bots.turn.runtime import Limits, Runtime
from storage.contract import ABSENT, ANY, Document, DocumentStore, Write
from storage.errors import StorageConflict, StorageUnavailable
from storage.expiry import DAY
from tests.exploration.turns import CONVERSATIONS, Again, Delivery, Next, Phase, Running, Script

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

UNAVAILABLE = ("unavailable",)
CONFLICT = ("conflict",)
Answer = tuple[Any, ...]
Change = tuple[str, str | None, str | None]  # key, expected ETag ("*" anything, None absent), text (None: delete)


@dataclasses.dataclass(frozen=True)
class Operation:
    """One call of the storage: the keys to load, or the changes to save."""

    keys: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()


class _Ask:
    def __init__(self, operation: Operation) -> None:
        self.operation = operation

    def __await__(self) -> Any:
        return (yield self.operation)


def got(answer: Answer) -> Answer:
    """The answer of a call. Raises what it says."""
    if answer == UNAVAILABLE:
        raise StorageUnavailable("no answer")
    if answer == CONFLICT:
        raise StorageConflict("one of the documents", None, None)
    return answer


class AskingStore(DocumentStore):
    """The contract, each call of which is handed to whoever drives the coroutine."""

    transactional: ClassVar[bool] = False

    def life(self, key: str) -> int | None:
        return DAY if key in CONVERSATIONS else None

    async def open(self) -> None:
        raise AssertionError

    async def aclose(self) -> None:
        raise AssertionError

    async def ping(self) -> None:
        raise AssertionError

    async def ask(self, operation: Operation) -> Answer:
        """Hand the call over. Raises what the answer says."""
        return got(await _Ask(operation))

    async def load(self, keys: Iterable[str]) -> dict[str, Document]:
        answer = await self.ask(Operation(keys=tuple(keys)))
        return {key: Document(json.loads(text), etag) for key, etag, text in answer if text is not None}

    async def save(self, writes: Mapping[str, Write]) -> dict[str, str]:
        changes = tuple((key, _expected(write), _text(write)) for key, write in writes.items())
        return dict(await self.ask(Operation(changes=changes)))

    def keys(self, prefix: str = "") -> AsyncIterator[str]:
        raise AssertionError


class TransactionalAskingStore(AskingStore):
    transactional: ClassVar[bool] = True


class Node:
    """An actor after certain answers: what it asks next (None: it has ended) and what it has sent so far.

    The answers are those of the present phase. Of earlier ones only the number of the attempt is left, and
    what the phase before has handed over; so attempts that begin after different failures are one node, and
    so on.
    """

    __slots__ = ("answers", "attempt", "children", "operation", "phase", "received", "sent", "sent_before")

    def __init__(self, attempt: int, received: float, phase: Phase | None, sent_before: tuple[str, ...]) -> None:
        self.attempt = attempt
        self.received = received
        self.phase = phase
        self.sent_before = self.sent = sent_before
        self.answers: tuple[Answer, ...] = ()
        self.operation: Operation | None = None
        self.children: dict[Answer, Node] = {}

    def child(self, answer: Answer, operation: Operation, sent: tuple[str, ...]) -> Node:
        node = Node(self.attempt, self.received, self.phase, self.sent_before)
        node.answers, node.operation, node.sent = (*self.answers, answer), operation, sent
        return node


START = ("start",)


class Actor:
    """The tree of all that one delivery may do. An answer begins with the time at which it arrives."""

    def __init__(
        self,
        name: str,
        delivery: Delivery,
        script: Script,
        store: DocumentStore,
        limits: Limits,
        txn: str | None,
    ) -> None:
        self.name = name
        self.root = Node(0, 0.0, None, ())
        self._delivery = delivery
        self._script = script
        self._store = store
        self._txn = txn
        self._first: dict[object, Node] = {}
        self._live: tuple[Node, Running] | None = None
        self._now = 0.0
        self._attempt = 0
        self._sent: list[str] = []
        self._runtime = Runtime(
            wall=lambda: self._now,
            monotonic=lambda: self._now,
            sleep=_no_sleep,
            new_txn=lambda: self._txn or f"{self.name}{self._attempt}",
            limits=limits,
        )

    def start(self, attempt: int, received: float, time: float, sent: tuple[str, ...] = ()) -> Node:
        """The node of an attempt's first operation."""
        if attempt > self._delivery.attempts:
            return self._enter(attempt, received, time, "", None, sent)
        phase = self._script(self._store, self._runtime, self._delivery, received)
        return self._enter(attempt, received, time, "", phase, sent)

    def after(self, node: Node, time: float, answer: Answer) -> Node:
        """The node that `answer` leads to."""
        child = node.children.get((time, answer))
        if child is None:
            child = node.children[(time, answer)] = self._run(node, time, answer)
        return child

    def _enter(
        self,
        attempt: int,
        received: float,
        time: float,
        past: str,
        phase: Phase | None,
        sent: tuple[str, ...],
    ) -> Node:
        key = (attempt, received, time, past, sent) if phase else sent
        if key not in self._first:
            self._first[key] = node = Node(attempt, received, phase, sent)
            if phase:
                self._first[key] = self._run(node, time, START)
        return self._first[key]

    def _run(self, node: Node, time: float, answer: Answer) -> Node:
        live, self._live = self._live, None
        self._attempt = node.attempt
        if live is not None and live[0] is node:
            running, self._sent[:] = live[1], node.sent
        else:
            self._sent[:] = node.sent_before
            assert node.phase is not None
            running = node.phase(self._sent.append)
            for then, earlier in node.answers:
                self._step(running, then, earlier)
        came = self._step(running, time, answer)
        sent = tuple(self._sent)
        if isinstance(came, Again):
            return self.start(node.attempt + 1, node.received, time, sent)
        if isinstance(came, Next):
            return self._enter(node.attempt, node.received, time, came.fingerprint, came.phase, sent)
        if came is None:
            return self._enter(node.attempt, node.received, time, "", None, sent)
        child = node.child((time, answer), came, sent)
        self._live = (child, running)
        return child

    def _step(self, running: Running, time: float, answer: Answer) -> Operation | Next | Again | None:
        """The next operation, or how the phase ended."""
        self._now = time
        try:
            asked: Operation = running.send(None if answer == START else answer)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        return asked


async def _no_sleep(_: float) -> None:
    return


def _expected(write: Write) -> str | None:
    if write.expect is ABSENT:
        return None
    return "*" if write.expect is ANY else str(write.expect)


def _text(write: Write) -> str | None:
    return None if write.value is None else json.dumps(write.value, separators=(",", ":"))
