"""Storages with one fault each, of kinds that are in use elsewhere; the suite has to find every one of them."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from storage import ANY, Document, StorageConflict, StorageUnavailable, Write
from storage.blob import BlobStorage
from storage.memory import MemoryStorage
from storage.remote import Stored


class LastWriterWins(MemoryStorage):
    """Takes every write, whatever it expects."""

    async def save(self, writes: Mapping[str, Write]) -> dict[str, str]:
        return await super().save({key: Write(write.value, ANY) for key, write in writes.items()})


class BlindCreation(MemoryStorage):
    """Checks ETags, but creates unconditionally, as the stock storages do."""

    async def save(self, writes: Mapping[str, Write]) -> dict[str, str]:
        blind = {key: Write(w.value, w.expect if isinstance(w.expect, str) else ANY) for key, w in writes.items()}
        return await super().save(blind)


class Resurrecting(MemoryStorage):
    """Brings a deleted document back on a stale write, as an upsert with If-Match does."""

    async def save(self, writes: Mapping[str, Write]) -> dict[str, str]:
        present = await self.load(writes)
        return await super().save({k: w if k in present else Write(w.value, ANY) for k, w in writes.items()})


class CheckThenAct(MemoryStorage):
    """Checks the preconditions, and lets others in before it writes."""

    async def save(self, writes: Mapping[str, Write]) -> dict[str, str]:
        present = await self.load(writes)
        for key, write in writes.items():
            write.require(key, present[key].etag if key in present else None)
        await asyncio.sleep(0)
        return await super().save({key: Write(write.value, ANY) for key, write in writes.items()})


class NotAtomic(MemoryStorage):
    """Says that it is transactional, and writes one document after the other."""

    async def save(self, writes: Mapping[str, Write]) -> dict[str, str]:
        etags: dict[str, str] = {}
        for key, write in writes.items():
            etags |= await super().save({key: write})
        return etags


class GivesUpEarly(MemoryStorage):
    """Says that it is not transactional, and leaves the writes after a bad one undone."""

    transactional = False


class _Live(NamedTuple):
    value: Any
    text: bytes
    etag: str
    written: float = 0.0


class Aliasing(MemoryStorage):
    """Keeps and hands out the caller's own objects, as the stock memory storage does."""

    async def load(self, keys: Iterable[str]) -> dict[str, Document]:
        found: dict[str, Any] = {key: self._documents[key] for key in keys if key in self._documents}
        return {key: Document(live.value, live.etag) for key, live in found.items()}

    async def save(self, writes: Mapping[str, Write]) -> dict[str, str]:
        etags = await super().save(writes)
        live: dict[str, Any] = {key: _Live(writes[key].value, b"", etag) for key, etag in etags.items()}
        self._documents.update(live)
        return etags


class MarksItsInput(MemoryStorage):
    """Leaves the new ETag in the value it was given."""

    async def save(self, writes: Mapping[str, Write]) -> dict[str, str]:
        etags = await super().save(writes)
        for key, etag in etags.items():
            writes[key].value["etag"] = etag  # type: ignore[index]
        return etags


class _OwnEtags(MemoryStorage):
    """Makes its ETags itself."""

    def etag(self, text: bytes, before: str | None) -> str:
        raise NotImplementedError

    async def save(self, writes: Mapping[str, Write]) -> dict[str, str]:
        before = {key: self._documents[key].etag for key in writes if key in self._documents}
        for key in await super().save(writes):
            stored = self._documents[key]
            self._documents[key] = stored._replace(etag=self.etag(stored.text, before.get(key)))
        return {key: self._documents[key].etag for key, write in writes.items() if write.value is not None}


class CountsVersions(_OwnEtags):
    """Numbers the versions of a document, and starts again after a delete."""

    def etag(self, text: bytes, before: str | None) -> str:
        return str(int(before or 0) + 1)


class HashesContent(_OwnEtags):
    """Takes the content's hash for its ETag, so that a value that comes back has its old one."""

    def etag(self, text: bytes, before: str | None) -> str:
        return hashlib.sha256(text).hexdigest()


class _SpellsKeys(MemoryStorage):
    """Keeps documents under another spelling of their keys."""

    def spell(self, key: str) -> str:
        raise NotImplementedError

    async def load(self, keys: Iterable[str]) -> dict[str, Document]:
        keys = list(keys)
        found = await super().load(self.spell(key) for key in keys)
        return {key: found[self.spell(key)] for key in keys if self.spell(key) in found}

    async def save(self, writes: Mapping[str, Write]) -> dict[str, str]:
        etags: dict[str, str] = {}
        for key, write in writes.items():
            saved = await super().save({self.spell(key): write})
            etags |= {key: saved[self.spell(key)]} if saved else {}
        return etags


class StockEscapes(_SpellsKeys):
    """Spells a tab before "2" and a backslash alike."""

    def spell(self, key: str) -> str:
        return "".join(f"*{ord(char)}" if char in "\\?/#\t\n\r*" else char for char in key)


class FoldsCase(_SpellsKeys):
    """Takes keys that differ in case for one."""

    def spell(self, key: str) -> str:
        return key.casefold()


class CutsKeys(_SpellsKeys):
    """Cuts long keys off."""

    def spell(self, key: str) -> str:
        return key[:255]


class SwallowsConflicts(MemoryStorage):
    """Reports a conflict as a success."""

    async def save(self, writes: Mapping[str, Write]) -> dict[str, str]:
        try:
            return await super().save(writes)
        except StorageConflict:
            return {key: document.etag for key, document in (await self.load(writes)).items()}


class SwallowsOutages(BlobStorage):
    """Takes a service that does not answer for one that has no such document, as the stock Blob storage does."""

    async def _load_one(self, key: str) -> Stored | None:
        try:
            return await super()._load_one(key)
        except StorageUnavailable:
            return None
