"""The requests of one call to a service: sent at once, but not all of a thousand."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from storage.errors import StorageConflict

T = TypeVar("T")

AT_ONCE: Final = 50  # requests of one call on their way


async def side_by_side(requests: list[Callable[[], Awaitable[T]]]) -> list[T]:
    """Send all, and only when all are over raise: a conflict before any other error, on which the caller can act."""
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
