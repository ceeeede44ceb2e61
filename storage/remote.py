"""What the backends of a remote service have in common: one request a document, all of a call side by side."""

from __future__ import annotations

import abc
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import Any, ClassVar, Final, NamedTuple, Protocol, TypeVar

from azure.core import MatchConditions

from storage.base import StateStorage
from storage.codec import dumps
from storage.contract import ABSENT, Document, JsonObject, Write
from storage.errors import StateDecodeError, StateEncodeError, StorageConflict
from storage.expiry import NEVER, Expiry, is_due, is_over
from storage.limits import Limits
from storage.service import TIMEOUT, Service
from storage.side_by_side import side_by_side
from storage.telemetry import measured

T = TypeVar("T")

TOO_LARGE: Final = 413  # HTTP status
REMEMBERED: Final = 500  # documents for which what only depends on the key is kept, at most 32 KB each


class Closable(Protocol):
    """A client or credential of the Azure SDKs."""

    async def close(self) -> None: ...


class Stored(NamedTuple):
    """A document as the service holds it.

    Attributes:
        etag: opaque.
        value: decodes it. Raises `StateDecodeError`.
        written: when, in seconds since the epoch.
        life: in seconds from then, or None for ever.
        life_changes: whether its next write gives it another one.
    """

    etag: str
    value: Callable[[], JsonObject]
    written: float
    life: int | None
    life_changes: bool = False


class RemoteStorage(StateStorage):
    """A backend without transactions over several documents.

    Args:
        clients: closed with the storage, in this order. They must not retry by themselves.
        timeout: seconds for an operation with its retries; see `Service`.
        limits: of one document.
        expiry, clock: as for every `StateStorage`.
    """

    transactional: ClassVar[bool] = False

    def __init__(
        self,
        *clients: Closable,
        limits: Limits,
        timeout: float = TIMEOUT,
        expiry: Expiry = NEVER,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(expiry, clock)
        self._clients = clients
        self._limits = limits
        self._service = Service(self, timeout)
        self._asking = self._service.asking

    @abc.abstractmethod
    async def _open(self) -> None:
        """`open`, without retries; called again after it has failed."""

    @abc.abstractmethod
    async def _load_one(self, key: str) -> Stored | None:
        """Read one document; None where the service says that it does not exist."""

    @abc.abstractmethod
    async def _load_text(self, key: str) -> bytes | None:
        """Read one document's text; None as above."""

    @abc.abstractmethod
    async def _save_one(self, key: str, write: Write, text: bytes | None) -> str | None:
        """Apply one write, whose value's JSON is `text`; return the new ETag, or None for a delete."""

    @abc.abstractmethod
    def _size(self, key: str, text: bytes) -> int:
        """The bytes that the service is sent, and counts, for a document whose JSON is `text`."""

    async def open(self) -> None:
        await self._service.opened(self._open)

    @measured("load")
    async def load(self, keys: Iterable[str]) -> dict[str, Document]:
        unique = list(dict.fromkeys(keys))
        found = await side_by_side([partial(self._find, key) for key in unique])
        return {key: document for key, document in zip(unique, found, strict=True) if document}

    async def text(self, key: str) -> bytes | None:
        return await self._service.asked(lambda: self._load_text(key))

    @measured("save")
    async def save(self, writes: Mapping[str, Write]) -> dict[str, str]:
        # All are encoded before any is sent: one that cannot be stored must not leave half a call behind.
        texts = {key: None if write.value is None else self._text(key, write.value) for key, write in writes.items()}
        etags = await side_by_side([partial(self._put, key, write, texts[key]) for key, write in writes.items()])
        return {key: etag for key, etag in zip(writes, etags, strict=True) if etag}

    async def _paged(self, pages: AsyncIterator[AsyncIterator[T]]) -> AsyncGenerator[T]:
        """Yield the items of a listing, whose pages are a request each."""
        while True:
            async with self._asking("cannot be listed"):
                try:
                    page = [item async for item in await anext(pages)]
                except StopAsyncIteration:
                    return
            for item in page:
                yield item

    async def _lives(self, key: str, written: float, life: int | None) -> bool:
        """Whether a document that was listed is to be told; one whose life is over is deleted as in `_find`."""
        if not is_over(life, self._clock() - written):
            return True
        try:
            if not self.only_looks and await self._find(key):
                return True
        except StateDecodeError:
            return True  # it is there, for a person to mend
        self.skipped.over += 1
        return False

    async def _find(self, key: str) -> Document | None:
        """The document, unless there is none or its life is over, which is judged before it is decoded.

        Such a one is deleted before it is called absent: so nobody who has read it can write it any more, and a
        write that expects it to be absent succeeds.
        """
        while (stored := await self._load_again(key)) is not None:
            age = self._clock() - stored.written
            if not is_over(stored.life, age):
                due = is_due(stored.life, age) or stored.life_changes
                return Document(stored.value(), stored.etag, due)
            if self.only_looks:
                break
            with suppress(StorageConflict):  # it was written meanwhile, so look again
                await self._save_again(key, Write(None, stored.etag), None)
                break
        return None

    async def _put(self, key: str, write: Write, text: bytes | None) -> str | None:
        try:
            return await self._save_again(key, write, text)
        except StorageConflict:
            is_expired = write.expect is ABSENT and self.life(key) is not None and await self._find(key) is None
            if not is_expired:
                raise
        return await self._save_again(key, write, text)

    def _text(self, key: str, value: Mapping[str, Any]) -> bytes:
        text = dumps(value, key)
        self._limits.check(key, value, text, self._size(key, text))
        return text

    async def _load_again(self, key: str) -> Stored | None:
        """`_load_one`, with retries."""
        return await self._service.asked(lambda: self._load_one(key))

    async def _save_again(self, key: str, write: Write, text: bytes | None) -> str | None:
        """`_save_one`, with retries."""
        return await self._service.written(key, lambda: self._save_one(key, write, text))

    async def aclose(self) -> None:
        async with AsyncExitStack() as closing:  # one that fails to close keeps no other open
            for client in reversed(self._clients):
                closing.push_async_callback(client.close)

    def _too_large(self, key: str, text: bytes | None) -> StateEncodeError:  # definite: it would be refused again
        return StateEncodeError(key, "the document", f"is larger than {self} takes: {len(text or b'')} bytes")


def if_match(write: Write) -> dict[str, Any]:
    """The options of a request of the Azure SDKs that carries the ETag that the write expects, if any."""
    if write.expected_etag is None:
        return {}
    return {"etag": write.expected_etag, "match_condition": MatchConditions.IfNotModified}
