"""State in this process's memory: gone when it ends, and as strict about ETags as any service."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any, ClassVar, Final, NamedTuple

from storage.base import StateStorage
from storage.codec import dumps, loads
from storage.contract import Document, JsonObject, Write
from storage.expiry import NEVER, Expiry, is_due, is_over
from storage.limits import Limits
from storage.telemetry import measured

_SWEEP_EVERY: Final = 3_600  # seconds


class _Stored(NamedTuple):
    text: bytes  # the JSON text, not the value: what goes in and comes out is a copy
    etag: str
    written: float  # seconds since the epoch


class MemoryStorage(StateStorage):
    """Keeps documents as JSON text in `documents`; storages built on the same dict share their state."""

    transactional: ClassVar[bool] = True

    def __init__(
        self,
        documents: dict[str, _Stored] | None = None,
        expiry: Expiry = NEVER,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(expiry, clock)
        self._documents = {} if documents is None else documents
        self._limits = Limits()
        self._swept = clock()

    def __str__(self) -> str:
        return "memory (gone when the process ends)"

    async def open(self) -> None:
        """Nothing to connect to."""

    async def aclose(self) -> None:
        """Nothing to close; the documents live as long as their dict."""

    async def ping(self) -> None:
        """Memory always answers."""

    @measured("load")
    async def load(self, keys: Iterable[str]) -> dict[str, Document]:
        now = self._clock()
        found = ((key, self._present(key, now)) for key in keys)
        return {
            key: Document(self._value(stored, key), stored.etag, is_due(self.life(key), now - stored.written))
            for key, stored in found
            if stored
        }

    async def text(self, key: str) -> bytes | None:
        stored = self._documents.get(key)
        return stored.text if stored else None

    @measured("save")
    async def save(self, writes: Mapping[str, Write]) -> dict[str, str]:
        now = self._clock()
        changes = {key: self._stored(key, write.value, now) for key, write in writes.items()}
        for key, write in writes.items():
            stored = self._present(key, now)
            write.require(key, stored.etag if stored else None)
        for key, change in changes.items():
            if change is None:
                self._documents.pop(key, None)
            else:
                self._documents[key] = change
        self._sweep(now)
        return {key: change.etag for key, change in changes.items() if change}

    async def keys(self, prefix: str = "") -> AsyncIterator[str]:
        for key in tuple(self._documents):  # which others may change between two keys
            if not key.startswith(prefix) or key not in self._documents:
                continue
            if self._present(key, self._clock()):
                yield key
            else:
                self.skipped.over += 1

    def _stored(self, key: str, value: Mapping[str, Any] | None, now: float) -> _Stored | None:
        if value is None:
            return None
        text = dumps(value, key)
        self._limits.check(key, value, text, len(text))
        return _Stored(text, uuid.uuid4().hex, now)

    def _value(self, stored: _Stored, key: str) -> JsonObject:
        return loads(stored.text, key, self.stock_jsonpickle)

    def _present(self, key: str, now: float) -> _Stored | None:
        stored = self._documents.get(key)
        return None if stored is None or is_over(self.life(key), now - stored.written) else stored

    def _sweep(self, now: float) -> None:
        """Now and then, let go of all whose life is over."""
        if self._expiry and now - self._swept >= _SWEEP_EVERY:
            self._swept = now
            for key in [key for key in self._documents if self._present(key, now) is None]:
                del self._documents[key]
