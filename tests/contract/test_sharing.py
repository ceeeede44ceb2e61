"""Many tasks, several storages on one store, and storages that come back: nothing is lost, on every backend."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter

import pytest

from storage import ABSENT, ANY, Document, StateStorage, StorageConflict, Write
from tests.conftest import Connect
from tests.contract.cases import KEYS_AT_ONCE

TASKS = 50


async def increment(storage: StateStorage, key: str) -> None:
    """Add one to the document's `n`, reading again after each conflict."""
    for _ in range(10 * TASKS):
        document = (await storage.load([key])).get(key)
        n, expect = (document.value["n"], document.etag) if document else (0, ABSENT)
        try:
            await storage.save({key: Write({"n": n + 1}, expect)})
        except StorageConflict:
            continue
        return
    raise AssertionError(f"{key!r} conflicts for ever")


async def counts(storage: StateStorage, *keys: str) -> list[int]:
    found = await storage.load(keys)
    return [found[key].value["n"] if key in found else 0 for key in keys]


class TestManyTasks:
    async def test_of_many_creators_one_wins_and_its_value_stays(self, storage: StateStorage) -> None:
        results = await asyncio.gather(
            *(storage.save({"k": Write({"task": task}, ABSENT)}) for task in range(TASKS)), return_exceptions=True
        )

        winners = [task for task, result in enumerate(results) if not isinstance(result, StorageConflict)]
        assert len(winners) == 1
        assert (await storage.load(["k"])) == {"k": Document({"task": winners[0]}, results[winners[0]]["k"])}  # type: ignore[index]

    async def test_of_many_updates_of_one_version_one_wins(self, storage: StateStorage) -> None:
        etag = (await storage.save({"k": Write({}, ABSENT)}))["k"]

        results = await asyncio.gather(
            *(storage.save({"k": Write({"task": task}, etag)}) for task in range(TASKS)), return_exceptions=True
        )

        winners = [task for task, result in enumerate(results) if not isinstance(result, StorageConflict)]
        assert len(winners) == 1
        assert (await storage.load(["k"]))["k"].value == {"task": winners[0]}

    async def test_of_an_update_and_a_delete_of_one_version_one_wins(self, storage: StateStorage) -> None:
        for _ in range(10):
            etag = (await storage.save({"k": Write({"n": 1}, ANY)}))["k"]

            updated, deleted = await asyncio.gather(
                storage.save({"k": Write({"n": 2}, etag)}),
                storage.save({"k": Write(None, etag)}),
                return_exceptions=True,
            )

            assert isinstance(updated, StorageConflict) != isinstance(deleted, StorageConflict)
            exists = "k" in await storage.load(["k"])
            assert exists == isinstance(deleted, StorageConflict)

    async def test_no_increment_of_many_tasks_on_one_key_is_lost(self, storage: StateStorage) -> None:
        await asyncio.gather(*(increment(storage, "k") for _ in range(TASKS)))

        assert await counts(storage, "k") == [TASKS]

    async def test_no_increment_on_any_key_is_lost(self, storage: StateStorage) -> None:
        # Neighbours share most of their keys, so that every key is fought for, and together they cover all.
        keys = [[KEYS_AT_ONCE[(5 * task + i) % len(KEYS_AT_ONCE)] for i in range(12)] for task in range(TASKS)]

        async def work(task: int) -> None:
            for key in keys[task]:
                await increment(storage, key)

        await asyncio.gather(*map(work, range(TASKS)))

        expected = Counter(itertools.chain.from_iterable(keys))
        assert len(expected) == len(KEYS_AT_ONCE)
        assert await counts(storage, *expected) == [*expected.values()]


class TestSeveralStorages:
    async def test_a_closed_and_reopened_storage_still_has_the_state(self, connect: Connect) -> None:
        async with connect() as first:
            etags = await first.save({key: Write({"key": key}, ABSENT) for key in ("a/b", "c|d")})

        async with connect() as second:
            found = await second.load(["a/b", "c|d"])
            assert found == {key: Document({"key": key}, etags[key]) for key in ("a/b", "c|d")}
            await second.save({"a/b": Write({}, etags["a/b"])})

    async def test_closing_twice_is_no_error(self, connect: Connect) -> None:
        async with connect() as storage:
            await storage.aclose()

    async def test_closing_what_was_never_opened_is_no_error(self, connect: Connect) -> None:
        await connect().aclose()

    async def test_an_open_storage_answers_a_ping(self, storage: StateStorage) -> None:
        await storage.ping()

    async def test_what_one_storage_writes_another_reads_at_once(self, connect: Connect) -> None:
        async with connect() as one, connect() as other:
            etag = (await one.save({"k": Write({"n": 1}, ABSENT)}))["k"]
            assert await other.load(["k"]) == {"k": Document({"n": 1}, etag)}

            await other.save({"k": Write(None, etag)})
            assert await one.load(["k"]) == {}

    async def test_of_two_storages_with_one_version_the_second_conflicts(self, connect: Connect) -> None:
        async with connect() as one, connect() as other:
            etag = (await one.save({"k": Write({"n": 1}, ABSENT)}))["k"]
            await other.save({"k": Write({"n": 2}, etag)})

            with pytest.raises(StorageConflict):
                await one.save({"k": Write({"n": 3}, etag)})

    async def test_no_increment_of_two_storages_is_lost(self, connect: Connect) -> None:
        async with connect() as one, connect() as other:
            await asyncio.gather(*(increment(storage, "k") for storage in (one, other) for _ in range(15)))

            assert await counts(one, "k") == [30]

    async def test_a_transaction_is_seen_whole_or_not_at_all(self, connect: Connect) -> None:
        """Where several keys are one transaction, a reader of all of them sees them of one moment."""
        async with connect() as one, connect() as other:
            keys = [f"k{i}" for i in range(5)]

            async def write() -> None:
                for n in range(30):
                    await one.save({key: Write({"n": n}, ANY) for key in keys})

            writing = asyncio.create_task(write())
            while not writing.done():
                assert len(set(await counts(other, *keys))) == 1 or not one.transactional
                await asyncio.sleep(0)
            await writing
