"""Running real coroutines one storage operation at a time, any number of times from any point.

A coroutine cannot be copied, but ours are functions of what the storage answered. So an actor's progress is the
sequence of those answers, kept as a tree: each node knows the operation that comes next. Only a node that
nobody has reached before runs code; the exploration itself then walks the tree.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, ClassVar

from bots.turn.runtime import Limits, Runtime
from storage.contract import ABSENT, ANY, Document, DocumentStore, Write
from storage.errors import StorageConflict, StorageUnavailable

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
        answer = yield self.operation
        if answer == UNAVAILABLE:
            raise StorageUnavailable("no answer")
        if answer == CONFLICT:
            raise StorageConflict(self.operation.changes[0][0], None, None)
        return answer


class AskingStore(DocumentStore):
    """The contract, each call of which is handed to whoever drives the coroutine."""

    transactional: ClassVar[bool] = False

    async def open(self) -> None:
        raise AssertionError

    async def aclose(self) -> None:
        raise AssertionError

    async def ping(self) -> None:
        raise AssertionError

    async def load(self, keys: Iterable[str]) -> dict[str, Document]:
        answer = await _Ask(Operation(keys=tuple(keys)))
        return {key: Document(json.loads(text), etag) for key, etag, text in answer if text is not None}

    async def save(self, writes: Mapping[str, Write]) -> dict[str, str]:
        changes = tuple((key, _expected(write), _text(write)) for key, write in writes.items())
        return dict(await _Ask(Operation(changes=changes)))


class TransactionalAskingStore(AskingStore):
    transactional: ClassVar[bool] = True


class Node:
    """An actor after certain answers: what it asks next (None: it has ended) and what it has sent so far."""

    __slots__ = ("answers", "children", "operation", "sent")

    def __init__(self, answers: tuple[Answer, ...], operation: Operation | None, sent: tuple[str, ...]) -> None:
        self.answers = answers
        self.operation = operation
        self.sent = sent
        self.children: dict[Answer, Node] = {}


Script = Callable[[DocumentStore, Runtime, Callable[[str], None]], Coroutine[Operation, Answer, None]]


class Actor:
    """The tree of all that one script may do. An answer begins with the time at which it arrives."""

    def __init__(self, name: str, script: Script, store: DocumentStore, limits: Limits, txn: str | None) -> None:
        self.name = name
        self._script = script
        self._store = store
        self._limits = limits
        self._txn = txn
        self.root = Node((), None, ())
        self._live: tuple[Node, Coroutine[Operation, Answer, None], list[str], list[float]] | None = None
        self.nodes = 1

    def after(self, node: Node, time: float, answer: Answer) -> Node:
        """The node that `answer` leads to."""
        child = node.children.get((time, answer))
        if child is None:
            child = node.children[(time, answer)] = self._run(node, time, answer)
            self.nodes += 1
        return child

    def _run(self, node: Node, time: float, answer: Answer) -> Node:
        if self._live is not None and self._live[0] is node:
            _, coroutine, sent, now = self._live
            operation = _step(coroutine, sent, now, time, answer)
        else:
            coroutine, sent, now = self._start()
            operation = None
            for then, earlier in (*node.answers, (time, answer)):
                operation = _step(coroutine, sent, now, then, earlier)
        child = Node((*node.answers, (time, answer)), operation, tuple(sent))
        self._live = (child, coroutine, sent, now)
        return child

    def _start(self) -> tuple[Coroutine[Operation, Answer, None], list[str], list[float]]:
        sent: list[str] = []
        now = [0.0]
        numbers = itertools.count(1)

        async def sleep(_: float) -> None:
            return

        runtime = Runtime(
            wall=lambda: now[0],
            monotonic=lambda: now[0],
            sleep=sleep,
            new_txn=lambda: self._txn or f"{self.name}{next(numbers)}",
            limits=self._limits,
        )
        return self._script(self._store, runtime, sent.append), sent, now


def _step(
    coroutine: Coroutine[Operation, Answer, None], sent: list[str], now: list[float], time: float, answer: Answer
) -> Operation | None:
    now[0] = time
    try:
        return coroutine.send(None if answer == ("start",) else answer)  # type: ignore[arg-type]
    except StopIteration:
        return None


def _expected(write: Write) -> str | None:
    if write.expect is ABSENT:
        return None
    return "*" if write.expect is ANY else str(write.expect)


def _text(write: Write) -> str | None:
    return None if write.value is None else json.dumps(write.value, separators=(",", ":"))
