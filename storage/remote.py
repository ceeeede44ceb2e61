"""What the backends of a remote service have in common: one request a document, all of a call side by side."""

from __future__ import annotations

import abc
import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import Any, ClassVar, Final, NamedTuple, Protocol, TypeVar

from storage.base import StateStorage
from storage.codec import dumps
from storage.contract import ABSENT, Document, Write
from storage.errors import StateDecodeError, StateEncodeError, StorageConflict, StorageError, StorageUnavailable
from storage.expiry import NEVER, Expiry, is_due, is_over
from storage.limits import Limits
from storage.retries import Budget, retried
from storage.service_errors import TOO_MANY_REQUESTS, reason, retry_after, status_of
from storage.side_by_side import side_by_side
from storage.telemetry import measured

T = TypeVar("T")

TOO_LARGE: Final = 413  # HTTP status
TIMEOUT: Final = 4.0  # seconds for an operation with its retries: a turn's load, note and commit fit in 12
OPENING: Final = 10.0  # seconds at start-up, where connections and the identity's token are new


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
        clients: closed with the storage, in this order. They must not retry by themselves.
        timeout: seconds for an operation with its retries; a single request has half of that, so that one that
            hangs on a dead connection can go out again on another.
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
        self._timeout = timeout
        self._budget = Budget()

    @abc.abstractmethod
    async def _open(self) -> None:
        """`open`, without retries; called again after it has failed."""

    @abc.abstractmethod
    async def _load_one(self, key: str) -> Stored | None:
        """Read one document; None where the service says that it does not exist."""

    @abc.abstractmethod
    async def _save_one(self, key: str, write: Write, text: bytes | None) -> str | None:
        """Apply one write, whose value's JSON is `text`; return the new ETag, or None for a delete."""

    @abc.abstractmethod
    def _size(self, key: str, text: bytes) -> int:
        """The bytes that the service is sent, and counts, for a document whose JSON is `text`."""

    async def open(self) -> None:
        await retried(self._open, _retry_after, budget=self._budget, seconds=OPENING)

    @measured("load")
    async def load(self, keys: Iterable[str]) -> dict[str, Document]:
        unique = list(dict.fromkeys(keys))
        found = await side_by_side([partial(self._find, key) for key in unique])
        return {key: document for key, document in zip(unique, found, strict=True) if document}

    @measured("save")
    async def save(self, writes: Mapping[str, Write]) -> dict[str, str]:
        # All are encoded before any is sent: one that cannot be stored must not leave half a call behind.
        texts = {key: None if write.value is None else self._text(key, write.value) for key, write in writes.items()}
        etags = await side_by_side([partial(self._put, key, write, texts[key]) for key, write in writes.items()])
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

    async def _lives(self, key: str, written: float, life: int | None) -> bool:
        """Whether a document that was listed is to be told; one whose life is over is deleted as in `_find`."""
        if not is_over(life, self._clock() - written):
            return True
        try:
            return await self._find(key) is not None
        except StateDecodeError:
            return True  # it is there, for a person to mend

    async def _find(self, key: str) -> Document | None:
        """The document, unless there is none or its life is over.

        Such a one is deleted before it is called absent: so nobody who has read it can write it any more, and a
        write that expects it to be absent succeeds.
        """
        while (stored := await self._load_again(key)) is not None:
            age = self._clock() - stored.written
            if not is_over(stored.life, age):
                due = is_due(stored.life, age) or stored.life_changes
                return stored.document._replace(due=due)
            with suppress(StorageConflict):  # it was written meanwhile, so look again
                await self._save_again(key, Write(None, stored.document.etag), None)
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
        return await self._retried(lambda: self._load_one(key))

    async def _save_again(self, key: str, write: Write, text: bytes | None) -> str | None:
        """`_save_one`, with retries. A conflict after a try without an answer may be with that very try."""
        unanswered: Exception | None = None

        async def attempt() -> str | None:
            nonlocal unanswered
            try:
                return await self._save_one(key, write, text)
            except StorageConflict as conflict:
                if unanswered is None:
                    raise
                reason = f"{self}: whether {key!r} was written is not known: a try was not answered, the next refused"
                raise StorageUnavailable(reason) from conflict
            except StorageUnavailable as error:
                if status_of(error.__cause__) != TOO_MANY_REQUESTS:
                    unanswered = error
                raise

        return await self._retried(attempt)

    async def _retried(self, attempt: Callable[[], Awaitable[T]]) -> T:
        try:
            async with asyncio.timeout(self._timeout):
                return await retried(attempt, _retry_after, budget=self._budget, seconds=self._timeout)
        except TimeoutError as error:
            raise StorageUnavailable(f"{self}: no answer within {self._timeout:g} s") from error

    async def aclose(self) -> None:
        async with AsyncExitStack() as closing:  # one that fails to close keeps no other open
            for client in reversed(self._clients):
                closing.push_async_callback(client.close)

    def _too_large(self, key: str, text: bytes | None) -> StateEncodeError:  # definite: it would be refused again
        return StateEncodeError(key, "the document", f"is larger than {self} takes: {len(text or b'')} bytes")

    @asynccontextmanager
    async def _asking(self, what: str, seconds: float | None = None) -> AsyncIterator[None]:
        """Bound a request in time (None: half an operation's); raise `StorageUnavailable` for what the SDK lets out.

        More than its own errors: an AttributeError for an answer in another form, say. The rest is caught inside.
        """
        seconds = seconds or self._timeout / 2
        try:
            async with asyncio.timeout(seconds):
                yield
        except StorageError:
            raise
        except TimeoutError as error:
            raise StorageUnavailable(f"{self} {what}: no answer within {seconds:g} s") from error
        except Exception as error:
            raise StorageUnavailable(f"{self} {what}: {reason(error)}") from error


def _retry_after(error: Exception) -> float | None:
    return retry_after(error.__cause__) if isinstance(error, StorageUnavailable) else None
