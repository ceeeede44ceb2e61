"""Faults to plant into the process of a bot: each takes away one thing without which a turn is no transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from botbuilder.core import TurnContext

from bots.turn import delivery, ledger
from bots.turn.middleware import TurnTransaction
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


FAULTS: dict[str, Callable[[], None]] = {
    fault.__name__: fault
    for fault in (no_transaction, no_ledger, replies_before_the_commit, unconditional_writes, every_note_committed)
}


def _write_anything(backend: Any) -> None:
    save = backend.save

    async def careless(self: Any, writes: Mapping[str, Write]) -> Any:
        return await save(self, {key: Write(write.value, ANY) for key, write in writes.items()})

    _plant(backend, "save", careless)


def _plant(where: Any, name: str, what: Callable[..., Any]) -> None:
    setattr(where, name, what)
