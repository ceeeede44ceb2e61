"""A remote service, as it is asked: every request is bounded in time, every operation is tried again a few times."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from storage.errors import StorageConflict, StorageError, StorageUnavailable
from storage.retries import Budget, retried
from storage.service_errors import TOO_MANY_REQUESTS, reason, retry_after, status_of

T = TypeVar("T")

TIMEOUT: Final = 4.0  # seconds for an operation with its retries: a turn's load, note and commit fit in 12
OPENING: Final = 10.0  # seconds at start-up, where connections and the identity's token are new


class Service:
    """One service.

    Args:
        name: whose text names it in errors.
        timeout: seconds for an operation with its retries; a single request has half of that, so that one that
            hangs on a dead connection can go out again on another.
    """

    def __init__(self, name: object, timeout: float) -> None:
        self._name = name
        self._timeout = timeout
        self._budget = Budget()

    @asynccontextmanager
    async def asking(self, what: str, seconds: float | None = None) -> AsyncIterator[None]:
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
            raise StorageUnavailable(f"{self._name} {what}: no answer within {seconds:g} s") from error
        except Exception as error:
            raise StorageUnavailable(f"{self._name} {what}: {reason(error)}") from error

    async def opened(self, attempt: Callable[[], Awaitable[None]]) -> None:
        """Run `attempt`, with retries for as long as a start may take."""
        await retried(attempt, _retry_after, budget=self._budget, seconds=OPENING)

    async def asked(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Return what `attempt` returns, with retries. Raises `StorageUnavailable` when time is up."""
        try:
            async with asyncio.timeout(self._timeout):
                return await retried(attempt, _retry_after, budget=self._budget, seconds=self._timeout)
        except TimeoutError as error:
            raise StorageUnavailable(f"{self._name}: no answer within {self._timeout:g} s") from error

    async def written(self, key: str, write: Callable[[], Awaitable[T]]) -> T:
        """`asked`, for a write. A conflict after a try without an answer may be with that very try."""
        unanswered: Exception | None = None

        async def attempt() -> T:
            nonlocal unanswered
            try:
                return await write()
            except StorageConflict as conflict:
                if unanswered is None:
                    raise
                unknown = f"whether {key!r} was written is not known: a try was not answered, the next refused"
                raise StorageUnavailable(f"{self._name}: {unknown}") from conflict
            except StorageUnavailable as error:
                if status_of(error.__cause__) != TOO_MANY_REQUESTS:
                    unanswered = error
                raise

        return await self.asked(attempt)


def _retry_after(error: Exception) -> float | None:
    return retry_after(error.__cause__) if isinstance(error, StorageUnavailable) else None
