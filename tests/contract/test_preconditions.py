"""What a write may expect of a document, and what happens when it does not hold: the same on every backend."""

from __future__ import annotations

import pytest

from storage import ABSENT, ANY, Document, StateStorage, StorageConflict, Write

STALE = '"0x0000000000000000"'


async def create(storage: StateStorage, key: str = "k", **value: object) -> str:
    """Create a document and return its ETag."""
    return (await storage.save({key: Write(value, ABSENT)}))[key]


async def delete(storage: StateStorage, key: str = "k") -> None:
    await storage.save({key: Write(None, ANY)})


class TestPreconditions:
    async def test_what_was_never_written_is_absent(self, storage: StateStorage) -> None:
        assert await storage.load(["k"]) == {}

    async def test_what_was_written_is_read_with_its_etag(self, storage: StateStorage) -> None:
        etag = await create(storage, n=1)

        assert await storage.load(["k"]) == {"k": Document({"n": 1}, etag)}

    async def test_creating_what_exists_conflicts_and_changes_nothing(self, storage: StateStorage) -> None:
        etag = await create(storage, n=1)

        with pytest.raises(StorageConflict) as conflict:
            await create(storage, n=2)

        assert (conflict.value.key, conflict.value.expected) == ("k", None)
        assert conflict.value.current in (None, etag)
        assert await storage.load(["k"]) == {"k": Document({"n": 1}, etag)}

    async def test_creating_after_a_delete_succeeds(self, storage: StateStorage) -> None:
        await create(storage, n=1)
        await delete(storage)

        etag = await create(storage, n=2)

        assert await storage.load(["k"]) == {"k": Document({"n": 2}, etag)}

    async def test_an_update_on_the_present_etag_replaces_the_whole_value(self, storage: StateStorage) -> None:
        etag = await create(storage, n=1, old=True)

        new = await storage.save({"k": Write({"n": 2}, etag)})

        assert await storage.load(["k"]) == {"k": Document({"n": 2}, new["k"])}

    async def test_a_stale_update_conflicts_and_changes_nothing(self, storage: StateStorage) -> None:
        stale = await create(storage, n=1)
        present = (await storage.save({"k": Write({"n": 2}, stale)}))["k"]

        with pytest.raises(StorageConflict) as conflict:
            await storage.save({"k": Write({"n": 3}, stale)})

        assert (conflict.value.key, conflict.value.expected) == ("k", stale)
        assert conflict.value.current in (None, present)
        assert await storage.load(["k"]) == {"k": Document({"n": 2}, present)}

    async def test_a_stale_update_to_the_value_that_is_there_conflicts_too(self, storage: StateStorage) -> None:
        stale = await create(storage, n=1)
        await storage.save({"k": Write({"n": 1}, ANY)})

        with pytest.raises(StorageConflict):
            await storage.save({"k": Write({"n": 1}, stale)})

    async def test_an_update_of_what_never_was_conflicts_and_creates_nothing(self, storage: StateStorage) -> None:
        with pytest.raises(StorageConflict):
            await storage.save({"k": Write({"n": 1}, STALE)})

        assert await storage.load(["k"]) == {}

    async def test_a_stale_update_after_a_delete_conflicts_and_does_not_resurrect(self, storage: StateStorage) -> None:
        stale = await create(storage, n=1)
        await delete(storage)

        with pytest.raises(StorageConflict) as conflict:
            await storage.save({"k": Write({"n": 2}, stale)})

        assert (conflict.value.expected, conflict.value.current) == (stale, None)
        assert await storage.load(["k"]) == {}

    async def test_a_stale_update_after_delete_and_recreate_conflicts(self, storage: StateStorage) -> None:
        stale = await create(storage, n=1)
        await delete(storage)
        present = await create(storage, n=1)

        with pytest.raises(StorageConflict):
            await storage.save({"k": Write({"n": 2}, stale)})

        assert await storage.load(["k"]) == {"k": Document({"n": 1}, present)}

    async def test_anything_goes_creates_and_replaces(self, storage: StateStorage) -> None:
        await storage.save({"k": Write({"n": 1}, ANY)})
        second = await storage.save({"k": Write({"n": 2}, ANY)})

        assert await storage.load(["k"]) == {"k": Document({"n": 2}, second["k"])}

    async def test_no_two_versions_share_an_etag(self, storage: StateStorage) -> None:
        etags = [await create(storage, n=1)]
        for _ in range(20):
            etags += (await storage.save({"k": Write({"n": 1}, etags[-1])})).values()
            etags += (await storage.save({"k": Write({"n": 1}, ANY)})).values()
            await delete(storage)
            etags.append(await create(storage, n=1))

        assert all(etags)
        assert len(set(etags)) == len(etags) == 61


class TestDeletes:
    async def test_an_unconditional_delete_removes_any_version_and_returns_no_etag(self, storage: StateStorage) -> None:
        await create(storage, n=1)

        assert await storage.save({"k": Write(None, ANY)}) == {}
        assert await storage.load(["k"]) == {}

    async def test_an_unconditional_delete_of_what_is_absent_is_no_error(self, storage: StateStorage) -> None:
        assert await storage.save({"k": Write(None, ANY)}) == {}

    async def test_a_delete_on_the_present_etag_removes_the_document(self, storage: StateStorage) -> None:
        etag = await create(storage, n=1)

        assert await storage.save({"k": Write(None, etag)}) == {}
        assert await storage.load(["k"]) == {}

    async def test_a_stale_delete_conflicts_and_removes_nothing(self, storage: StateStorage) -> None:
        stale = await create(storage, n=1)
        present = (await storage.save({"k": Write({"n": 2}, stale)}))["k"]

        with pytest.raises(StorageConflict) as conflict:
            await storage.save({"k": Write(None, stale)})

        assert (conflict.value.key, conflict.value.expected) == ("k", stale)
        assert await storage.load(["k"]) == {"k": Document({"n": 2}, present)}

    async def test_a_delete_with_an_etag_conflicts_with_absence(self, storage: StateStorage) -> None:
        stale = await create(storage, n=1)
        await delete(storage)

        with pytest.raises(StorageConflict):
            await storage.save({"k": Write(None, stale)})

        assert await storage.load(["k"]) == {}
