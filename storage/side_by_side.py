"""Requests to a service that go out together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from storage.errors import StorageConflict

T = TypeVar("T")


async def side_by_side(requests: list[Awaitable[T]]) -> list[T]:
    """Await all, and only then raise: a conflict before any other error, for it is what the caller can act on."""
    if len(requests) == 1:
        return [await requests[0]]
    results = await asyncio.gather(*requests, return_exceptions=True)
    errors = [result for result in results if isinstance(result, BaseException)]
    if errors:
        raise next((error for error in errors if isinstance(error, StorageConflict)), errors[0])
    return [result for result in results if not isinstance(result, BaseException)]
