"""The documents of bot state that is used outside of a turn: by a job, a script, or an adapter's error handler."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping

from bots.turn.commit import touch
from bots.turn.envelope import TURN, build_document
from bots.turn.runtime import Runtime
from bots.turn.snapshot import held_still
from bots.turn.view import Verdict, View, forgets
from storage.contract import Document, DocumentStore, JsonObject, Write
from storage.errors import StorageUnavailable


class OutsideDocuments:
    """A storage's documents as the last committed turn left them; writes go straight to the storage."""

    def __init__(self, store: DocumentStore) -> None:
        self._store = store
        self._runtime = Runtime()

    async def load(self, keys: Iterable[str]) -> dict[str, Document]:
        """Return the documents that exist, those with an undo note as they are once its turn is decided."""
        found = await self._store.load(keys)
        return {key: await self._decided(key, document) for key, document in found.items()}

    async def save(self, writes: Mapping[str, Write]) -> dict[str, str]:
        """As the storage does."""
        return await self._store.save(writes)

    async def _decided(self, key: str, document: Document) -> Document:
        decider = _decider(document.value)
        before: Mapping[str, str | None] | None = None
        for _ in range(self._runtime.limits.loads if decider else 0):
            found = await self._store.load([decider, key])
            view = View.parse(decider, [key], [], found, functools.partial(forgets, self._store, self._runtime.wall()))
            held = view.held[key]
            if held.note and held.note.decider != decider:
                decider, before = held.note.decider, None
                continue
            if view.verdict(key) in (None, Verdict.COMMITTED) or held_still(self._store, before, view):
                if view.verdict(key) is not Verdict.UNDECIDED:
                    return Document(build_document(view.resolved(key)) or {}, held.etag or "")
                await touch(self._store, {decider: view.own})
            before = view.versions()
        if decider:
            raise StorageUnavailable(f"{key!r}: it does not hold still; try again")
        return document


def _decider(value: JsonObject) -> str:
    """The conversation that decides about the document's note; empty where it has none. `View` checks the rest."""
    turn = value.get(TURN)
    note = turn.get("undo") if isinstance(turn, dict) else None
    decider = note.get("decider") if isinstance(note, dict) else None
    return decider if isinstance(decider, str) else ""
