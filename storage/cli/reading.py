"""Reading many documents, one or a few at a time, without stopping at those that cannot be read."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from typing import Final, NamedTuple

from storage.contract import Document, DocumentStore
from storage.errors import StateDecodeError

AT_ONCE: Final = 32  # documents in memory, and requests under way


class Found(NamedTuple):
    """A document that was listed, or why it cannot be read."""

    key: str
    document: Document | None
    error: StateDecodeError | None = None


async def each(store: DocumentStore, keys: AsyncIterable[str]) -> AsyncIterator[Found]:
    """Yield the documents of these keys that exist, in their order. Raises `StorageUnavailable`."""
    async for batch in batches(keys):
        for found in await read(store, batch):
            yield found


async def batches(keys: AsyncIterable[str]) -> AsyncIterator[list[str]]:
    """Yield the keys in groups of at most `AT_ONCE`."""
    batch: list[str] = []
    async for key in keys:
        batch.append(key)
        if len(batch) == AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


async def read(store: DocumentStore, keys: list[str]) -> list[Found]:
    """Return the documents of these keys that exist, in their order. Raises `StorageUnavailable`."""
    try:
        found = await store.load(keys)
    except StateDecodeError as error:
        if len(keys) == 1:
            return [Found(keys[0], None, error)]
        return [found for key in keys for found in await read(store, [key])]
    return [Found(key, found[key]) for key in keys if key in found]
