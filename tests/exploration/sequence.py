"""One coroutine at a time on the model of the storage: how a world begins, and what a reader finds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from bots.turn.runtime import Limits, Runtime
from tests.exploration.actors import AskingStore, Operation
from tests.exploration.calls import Stored, etag_of
from tests.exploration.turns import Delivery, Next, delivering

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

Result = TypeVar("Result")
Store = dict[str, Stored]


def history(*deliveries: Delivery, but_the_last_stops_after: int | None = None, at: float = 0.0) -> Store:
    """The documents after these deliveries, of which the last may crash after so many storage operations.

    `at` is when they were, in seconds; an exploration begins at 0.
    """
    store: Store = {}
    for number, delivery in enumerate(deliveries):
        last = number == len(deliveries) - 1
        run(_deliver(delivery, number, at), store, but_the_last_stops_after if last else None)
    return store


def run(coroutine: Coroutine[Operation, Any, Result], store: Store, operations: int | None = None) -> Result | None:
    """Drive a coroutine to its end, or for so many operations, with nobody else about."""
    answer: object = None
    done = 0
    while True:
        try:
            operation = coroutine.send(answer)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        if done == operations:
            coroutine.close()
            return None
        done += 1
        answer = _load(store, operation.keys) if operation.keys else _save(store, operation)


def runtime(name: str, limits: Limits, at: float = 0.0) -> Runtime:
    """A runtime whose clocks stand still."""
    return Runtime(wall=lambda: at, monotonic=_zero, new_txn=lambda: name, limits=limits)


async def _deliver(delivery: Delivery, number: int, at: float) -> None:
    now = runtime(f"{delivery.turn.name}{number}", Limits(), at)
    following = await delivering(AskingStore(), now, delivery, 0.0)(_nobody)
    while isinstance(following, Next):
        following = await following.phase(_nobody)
    assert following is None, "somebody else was about"


def _nobody(_: str) -> None:
    return


def _load(store: Mapping[str, Stored], keys: tuple[str, ...]) -> object:
    return tuple((key, etag_of(key, store[key]), store[key][1]) for key in keys if key in store)


def _save(store: Store, operation: Operation) -> object:
    for key, expected, text in operation.changes:
        found = store.get(key, (0, None))
        assert expected in ("*", None if found[1] is None else etag_of(key, found)), "somebody else was about"
        store[key] = (found[0] + 1, text)
    return tuple((key, etag_of(key, store[key])) for key, _, text in operation.changes if text is not None)


def _zero() -> float:
    return 0.0
