"""State in this process's memory: gone when it ends, and as strict about ETags as any service."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import ClassVar, NamedTuple

from storage.base import StateStorage
from storage.codec import dumps, loads
from storage.contract import Document, Write


class _Stored(NamedTuple):
    text: bytes  # the JSON text, not the value: what goes in and comes out is a copy
    etag: str


class MemoryStorage(StateStorage):
    """Keeps documents as JSON text in `documents`; storages built on the same dict share their state."""

    transactional: ClassVar[bool] = True

    def __init__(self, documents: dict[str, _Stored] | None = None) -> None:
        super().__init__()
        self._documents = {} if documents is None else documents

    def __str__(self) -> str:
        return "memory (gone when the process ends)"

    async def open(self) -> None:
        """Nothing to connect to."""

    async def aclose(self) -> None:
        """Nothing to close; the documents live as long as their dict."""

    async def ping(self) -> None:
        """Memory always answers."""

    async def load(self, keys: Iterable[str]) -> dict[str, Document]:
        found = ((key, self._documents.get(key)) for key in keys)
        return {key: Document(loads(stored.text, key), stored.etag) for key, stored in found if stored}

    async def save(self, writes: Mapping[str, Write]) -> dict[str, str]:
        changes = {
            key: None if write.value is None else _Stored(dumps(write.value, key), uuid.uuid4().hex)
            for key, write in writes.items()
        }
        for key, write in writes.items():
            stored = self._documents.get(key)
            write.require(key, stored.etag if stored else None)
        for key, change in changes.items():
            if change is None:
                self._documents.pop(key, None)
            else:
                self._documents[key] = change
        return {key: change.etag for key, change in changes.items() if change}

    async def keys(self, prefix: str = "") -> AsyncIterator[str]:
        for key in tuple(self._documents):  # which others may change between two keys
            if key.startswith(prefix):
                yield key
