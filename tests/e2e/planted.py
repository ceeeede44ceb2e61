"""Faults to plant into the process of a bot: each takes away one thing without which a turn is no transaction."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from botbuilder.core import TurnContext

from bots.turn import commit, delivery, ledger, middleware
from bots.turn.commit import Attempt
from bots.turn.middleware import TurnTransaction
from bots.turn.outcome import Aborted, Committed
from bots.turn.runtime import Runtime
from bots.turn.snapshot import Snapshot, begin
from bots.turn.view import Verdict, View
from storage.blob import BlobStorage
from storage.contract import ANY, Write
from storage.cosmos import CosmosStorage
from storage.sqlite import SqliteStorage


def no_transaction() -> None:
    """The bot's own saves are all there is, each on its own."""

    async def on_turn(_self: TurnTransaction, _context: TurnContext, logic: Callable[[], Awaitable[None]]) -> None:
        await logic()

    _plant(TurnTransaction, "on_turn", on_turn)


def no_ledger() -> None:
    """No activity is ever recognised as one that was handled."""
    _plant(ledger, "find", lambda *_: None)


def replies_before_the_commit() -> None:
    """Replies leave as soon as the logic is done, whatever becomes of the attempt."""
    run = TurnTransaction._run

    async def eager(self: TurnTransaction, scene: Any, *rest: Any) -> Any:
        changes, replies = await run(self, scene, *rest)
        for reply in replies:
            await delivery._deliver(scene.outlet, reply)
        return changes, replies

    _plant(TurnTransaction, "_run", eager)


def unconditional_writes() -> None:
    """Every write replaces whatever is there."""
    for backend in (SqliteStorage, BlobStorage, CosmosStorage):
        _write_anything(backend)


def every_note_committed() -> None:
    """What an attempt left in a document counts, whether it committed or not."""
    _plant(View, "verdict", lambda self, key: Verdict.COMMITTED if self.held[key].note else None)


def conversation_first() -> None:
    """The decision is written before what it decides."""

    class Hasty(Attempt):
        async def run(self) -> Committed | Aborted:
            self.txn = self.snapshot.runtime.new_txn()
            self.written = self.new_versions()
            decided = await self.decide()
            if isinstance(decided, Committed) and self.written:
                await self.place_notes()
            return decided

    _plant(commit, "Attempt", Hasty)


def no_touch() -> None:
    """Nobody waits for an undecided note, or decides it: it is written over as if it were an aborted one."""
    _plant(Snapshot, "pending", frozenset())


def transaction_named_by_the_activity() -> None:
    """Every attempt for an activity has the same name."""

    async def named(*arguments: Any, runtime: Runtime, **options: Any) -> Any:
        name = str(arguments[-1])
        return await begin(*arguments, runtime=dataclasses.replace(runtime, new_txn=lambda: name), **options)

    _plant(middleware, "begin", named)


def evicted_by_count() -> None:
    """The ledger keeps the last three entries, however young others are."""
    append: Callable[..., ledger.Ledger] = ledger.append

    def by_count(*arguments: Any) -> Any:
        *others, limits = arguments
        return append(*others, dataclasses.replace(limits, ledger_entries=3, ledger_age=-1.0))

    _plant(ledger, "append", by_count)


FAULTS: dict[str, Callable[[], None]] = {
    fault.__name__: fault
    for fault in (
        no_transaction,
        no_ledger,
        replies_before_the_commit,
        unconditional_writes,
        every_note_committed,
        conversation_first,
        no_touch,
        transaction_named_by_the_activity,
        evicted_by_count,
    )
}


def _write_anything(backend: Any) -> None:
    save = backend.save

    async def careless(self: Any, writes: Mapping[str, Write]) -> Any:
        return await save(self, {key: Write(write.value, ANY) for key, write in writes.items()})

    _plant(backend, "save", careless)


def _plant(where: Any, name: str, what: object) -> None:
    setattr(where, name, what)
