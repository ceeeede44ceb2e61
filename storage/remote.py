"""What the backends of a remote service have in common: one request a document, all of a call side by side."""

from __future__ import annotations

import abc
import asyncio
import ipaddress
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, ClassVar, Final, NamedTuple, Protocol, TypeVar
from urllib.parse import urlsplit

from storage.base import StateStorage
from storage.codec import dumps
from storage.contract import ABSENT, Document, Write
from storage.errors import StateEncodeError, StorageConflict, StorageError, StorageUnavailable
from storage.expiry import NEVER, Expiry, is_due, is_over
from storage.limits import Limits

T = TypeVar("T")

TOO_LARGE: Final = 413  # HTTP status
_PATIENCE: Final = 10.0  # seconds for a request with its retries; a channel waits 15 s for the whole turn
_HINTS: Final = {
    401: "the credentials are refused",
    403: "the credentials are refused, or their role is missing",
    404: "it does not exist; create it, or set STORAGE_CREATE=true",
}


class Closable(Protocol):
    """A client or credential of the Azure SDKs."""

    async def close(self) -> None: ...


class Stored(NamedTuple):
    """A document as the service holds it.

    Attributes:
        written: when, in seconds since the epoch.
        life: in seconds from then, or None for ever.
        life_changes: whether its next write gives it another one.
    """

    document: Document
    written: float
    life: int | None
    life_changes: bool = False


class RemoteStorage(StateStorage):
    """A backend without transactions over several documents.

    Args:
        clients: closed with the storage, in this order.
        limits: of one document.
        expiry, clock: as for every `StateStorage`.
    """

    transactional: ClassVar[bool] = False

    def __init__(
        self, *clients: Closable, limits: Limits, expiry: Expiry = NEVER, clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__(expiry, clock)
        self._clients = clients
        self._limits = limits

    @abc.abstractmethod
    async def _load_one(self, key: str) -> Stored | None:
        """Read one document; None where the service says that it does not exist."""

    @abc.abstractmethod
    async def _save_one(self, key: str, write: Write, text: bytes | None) -> str | None:
        """Apply one write, whose value's JSON is `text`; return the new ETag, or None for a delete."""

    @abc.abstractmethod
    def _size(self, key: str, text: bytes) -> int:
        """The bytes that the service is sent, and counts, for a document whose JSON is `text`."""

    async def load(self, keys: Iterable[str]) -> dict[str, Document]:
        unique = list(dict.fromkeys(keys))
        found = await _side_by_side([self._find(key) for key in unique])
        return {key: document for key, document in zip(unique, found, strict=True) if document}

    async def save(self, writes: Mapping[str, Write]) -> dict[str, str]:
        # All are encoded before any is sent: one that cannot be stored must not leave half a call behind.
        texts = {key: None if write.value is None else self._text(key, write.value) for key, write in writes.items()}
        etags = await _side_by_side([self._put(key, write, texts[key]) for key, write in writes.items()])
        return {key: etag for key, etag in zip(writes, etags, strict=True) if etag}

    async def _paged(self, pages: AsyncIterator[AsyncIterator[T]]) -> AsyncIterator[T]:
        """Yield the items of a listing, whose pages are a request each."""
        while True:
            async with self._asking("cannot be listed"):
                try:
                    page = [item async for item in await anext(pages)]
                except StopAsyncIteration:
                    return
            for item in page:
                yield item

    async def _find(self, key: str) -> Document | None:
        """The document, unless there is none or its life is over.

        Such a one is deleted before it is called absent: so nobody who has read it can write it any more, and a
        write that expects it to be absent succeeds.
        """
        while (stored := await self._load_one(key)) is not None:
            age = self._clock() - stored.written
            if not is_over(stored.life, age):
                due = is_due(stored.life, age) or stored.life_changes
                return stored.document._replace(due=due)
            with suppress(StorageConflict):  # it was written meanwhile, so look again
                await self._save_one(key, Write(None, stored.document.etag), None)
                break
        return None

    async def _put(self, key: str, write: Write, text: bytes | None) -> str | None:
        try:
            return await self._save_one(key, write, text)
        except StorageConflict:
            is_expired = write.expect is ABSENT and self.life(key) is not None and await self._find(key) is None
            if not is_expired:
                raise
        return await self._save_one(key, write, text)

    def _text(self, key: str, value: Mapping[str, Any]) -> bytes:
        text = dumps(value, key)
        self._limits.check(key, value, text, self._size(key, text))
        return text

    async def aclose(self) -> None:
        async with AsyncExitStack() as closing:  # one that fails to close keeps no other open
            for client in reversed(self._clients):
                closing.push_async_callback(client.close)

    def _too_large(self, key: str, text: bytes | None) -> StateEncodeError:
        # Definite: sent again, it would be refused again.
        return StateEncodeError(key, "the document", f"is larger than {self} takes: {len(text or b'')} bytes")

    @asynccontextmanager
    async def _asking(self, what: str) -> AsyncIterator[None]:
        """Bound a request in time, and raise `StorageUnavailable` for whatever the SDK lets out.

        That is more than the SDK's own errors: an AttributeError for an answer in a form it does not expect, a
        binascii.Error for a malformed key. What the backend understands it catches inside.
        """
        try:
            async with asyncio.timeout(_PATIENCE):
                yield
        except StorageError:
            raise
        except TimeoutError as error:
            raise StorageUnavailable(f"{self} {what}: no answer within {_PATIENCE:.0f} s") from error
        except Exception as error:
            raise StorageUnavailable(f"{self} {what}: {_reason(error)}") from error


async def _side_by_side(requests: list[Awaitable[T]]) -> list[T]:
    """Await all, and only then raise: a conflict before any other error, for it is what the caller can act on."""
    if len(requests) == 1:
        return [await requests[0]]
    results = await asyncio.gather(*requests, return_exceptions=True)
    errors = [result for result in results if isinstance(result, BaseException)]
    if errors:
        raise next((error for error in errors if isinstance(error, StorageConflict)), errors[0])
    return [result for result in results if not isinstance(result, BaseException)]


def _reason(error: Exception) -> str:
    said = next(iter(str(error).splitlines()), "") or type(error).__name__
    hint = _HINTS.get(getattr(error, "status_code", 0) or 0)
    return f"{hint} ({said})" if hint else said


def may_create(create: bool | None, url: str) -> bool:
    """Whether to make what is missing at `url`: as asked for, otherwise on an emulator of this machine only."""
    return is_loopback(url) if create is None else create


def is_loopback(url: str) -> bool:
    """Whether `url` points at this machine, where emulators listen."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
