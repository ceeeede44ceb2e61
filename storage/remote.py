"""What the backends of a remote service have in common: one request a document, all of a call side by side."""

from __future__ import annotations

import abc
import asyncio
import ipaddress
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import ClassVar, Final, Protocol, TypeVar
from urllib.parse import urlsplit

from storage.base import StateStorage
from storage.codec import dumps
from storage.contract import Document, Write
from storage.errors import StateEncodeError, StorageConflict, StorageError, StorageUnavailable
from storage.retries import Budget, retried
from storage.service_errors import TOO_MANY_REQUESTS, reason, retry_after, status_of

T = TypeVar("T")

TOO_LARGE: Final = 413  # HTTP status
TIMEOUT: Final = 4.0  # seconds for an operation with its retries: a turn's load, note and commit fit in 12
AT_ONCE: Final = 50  # requests of one call on their way
OPENING: Final = 10.0  # seconds for a request at start-up, where connections and the identity's token are new


class Closable(Protocol):
    """A client or credential of the Azure SDKs."""

    async def close(self) -> None: ...


class RemoteStorage(StateStorage):
    """A backend without transactions over several documents.

    Args:
        clients: closed with the storage, in this order. They must not retry by themselves.
        timeout: seconds for an operation with its retries; a single request has half of that, so that one that
            hangs on a dead connection can go out again on another.
    """

    transactional: ClassVar[bool] = False

    def __init__(self, *clients: Closable, timeout: float = TIMEOUT) -> None:
        super().__init__()
        self._clients = clients
        self._timeout = timeout
        self._budget = Budget()

    @abc.abstractmethod
    async def _open(self) -> None:
        """`open`, without retries; called again after it has failed."""

    @abc.abstractmethod
    async def _load_one(self, key: str) -> Document | None:
        """Read one document; None where the service says that it does not exist."""

    @abc.abstractmethod
    async def _save_one(self, key: str, write: Write, text: bytes | None) -> str | None:
        """Apply one write, whose value's JSON is `text`; return the new ETag, or None for a delete."""

    async def open(self) -> None:
        await retried(self._open, _retry_after, budget=self._budget, seconds=OPENING)

    async def load(self, keys: Iterable[str]) -> dict[str, Document]:
        unique = list(dict.fromkeys(keys))
        found = await _side_by_side([partial(self._load_again, key) for key in unique])
        return {key: document for key, document in zip(unique, found, strict=True) if document}

    async def save(self, writes: Mapping[str, Write]) -> dict[str, str]:
        # All are encoded before any is sent: one that cannot be stored must not leave half a call behind.
        texts = {key: None if write.value is None else dumps(write.value, key) for key, write in writes.items()}
        etags = await _side_by_side(
            [partial(self._save_again, key, write, texts[key]) for key, write in writes.items()]
        )
        return {key: etag for key, etag in zip(writes, etags, strict=True) if etag}

    async def _load_again(self, key: str) -> Document | None:
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

    def _too_large(self, key: str, text: bytes | None) -> StateEncodeError:
        # Definite: sent again, it would be refused again.
        return StateEncodeError(key, "the document", f"is larger than {self} takes: {len(text or b'')} bytes")

    @asynccontextmanager
    async def _asking(self, what: str, seconds: float | None = None) -> AsyncIterator[None]:
        """Bound a request in time (None: half an operation's), and raise `StorageUnavailable` for whatever the SDK
        lets out.

        That is more than the SDK's own errors: an AttributeError for an answer in a form it does not expect, a
        binascii.Error for a malformed key. What the backend understands it catches inside.
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


async def _side_by_side(requests: list[Callable[[], Awaitable[T]]]) -> list[T]:
    """Send all, and only when all are over raise: a conflict before any other error, for it is what the caller can act
    on.
    """
    if len(requests) == 1:
        return [await requests[0]()]
    places = asyncio.Semaphore(AT_ONCE)

    async def sent(request: Callable[[], Awaitable[T]]) -> T:
        async with places:  # the time limits begin then
            return await request()

    results = await asyncio.gather(*map(sent, requests), return_exceptions=True)
    errors = [result for result in results if isinstance(result, BaseException)]
    if errors:
        raise next((error for error in errors if isinstance(error, StorageConflict)), errors[0])
    return [result for result in results if not isinstance(result, BaseException)]


def _retry_after(error: Exception) -> float | None:
    return retry_after(error.__cause__) if isinstance(error, StorageUnavailable) else None


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
