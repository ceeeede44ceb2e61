"""A listing tells every document's key, whatever it is, and takes the memory of one page."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest
from azure.storage.blob.aio import BlobServiceClient

from config import Settings
from storage import ABSENT, ANY, StateDecodeError, StateStorage, Write, create_storage
from storage.keys import blob_name
from tests.conftest import Connect
from tests.contract.cases import KEYS, KEYS_AT_ONCE

MANY = 10_000


async def listed(storage: StateStorage, prefix: str = "") -> list[str]:
    return [key async for key in storage.keys(prefix)]


async def test_an_empty_store_lists_nothing(storage: StateStorage) -> None:
    assert await listed(storage) == []


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
async def test_a_key_is_listed_as_it_is(storage: StateStorage, key: str) -> None:
    await storage.save({key: Write({"n": 1}, ABSENT)})

    assert await listed(storage) == [key]
    assert await listed(storage, key[: len(key) // 2]) == [key]
    assert await listed(storage, key + "x") == []


async def test_all_keys_are_listed_side_by_side(storage: StateStorage) -> None:
    await storage.save({key: Write({"n": 1}, ABSENT) for key in KEYS_AT_ONCE})

    assert sorted(await listed(storage)) == KEYS_AT_ONCE
    for prefix in {key[:2] for key in KEYS_AT_ONCE}:
        assert sorted(await listed(storage, prefix)) == [key for key in KEYS_AT_ONCE if key.startswith(prefix)]


async def test_a_deleted_document_is_not_listed(storage: StateStorage) -> None:
    await storage.save({"a": Write({}, ABSENT), "b": Write({}, ABSENT)})
    await storage.save({"a": Write(None, ANY)})

    assert await listed(storage) == ["b"]


async def test_a_prefix_is_not_a_pattern(storage: StateStorage) -> None:
    await storage.save({key: Write({}, ABSENT) for key in ("a%b", "aXb", "a_b", "A%b", "a%")})

    assert sorted(await listed(storage, "a%")) == ["a%", "a%b"]
    assert await listed(storage, "a_") == ["a_b"]


async def test_documents_may_be_deleted_and_written_while_they_are_listed(storage: StateStorage) -> None:
    keys = {f"k/{i}" for i in range(50)}
    await storage.save({key: Write({}, ABSENT) for key in keys})

    found = set()
    async for key in storage.keys():
        found.add(key)
        await storage.save({key: Write(None, ANY), "new": Write({}, ANY)})

    assert found - {"new"} == keys


async def test_ten_thousand_keys_are_listed_once_each_without_holding_them(connect: Connect) -> None:
    async with connect(storage_timeout=60.0) as storage:  # a busy emulator is no failure
        keys = [f"emulator/conversations/{'c' * 200}{i}" for i in range(MANY)]
        for start in range(0, MANY, 200):
            await storage.save({key: Write({}, ABSENT) for key in keys[start : start + 200]})
        expected = sum(map(hash, keys))
        await anext(storage.keys())  # what the SDK allocates once

        tracemalloc.start()
        try:
            count = total = peak_of_first = 0
            async for key in storage.keys("emulator/"):
                count, total = count + 1, total + hash(key)
                if count == MANY // 4:
                    peak_of_first = tracemalloc.get_traced_memory()[1]
                    tracemalloc.reset_peak()
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

        assert (count, total) == (MANY, expected)
        assert peak < 1.2 * peak_of_first


@pytest.mark.blob
async def test_a_blob_that_tells_no_key_stops_no_listing(blob_settings: Settings, caplog: Any) -> None:
    key = "k" * 3_000
    async with create_storage(blob_settings) as storage:
        await storage.save({key: Write({"n": 1}, ABSENT), "other": Write({}, ABSENT)})
        async with BlobServiceClient.from_connection_string(blob_settings.blob_connection_string) as service:
            blob = service.get_blob_client(blob_settings.blob_container, blob_name(key))
            await blob.upload_blob(b"{", overwrite=True)

        assert await listed(storage) == ["other"]
        assert "cannot be told" in caplog.text
        with pytest.raises(StateDecodeError):
            await storage.load([key])
