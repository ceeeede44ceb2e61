"""Several documents in one call: all are answered for, and a bad one is named."""

from __future__ import annotations

import pytest

from storage import ABSENT, ANY, Document, StateStorage, StorageConflict, Write
from tests.contract.test_preconditions import STALE, create


class TestSeveralKeys:
    async def test_load_answers_for_those_that_exist(self, storage: StateStorage) -> None:
        await create(storage, "a", n=1)
        await create(storage, "c", n=3)

        found = await storage.load(["a", "b", "c"])

        assert {key: document.value for key, document in found.items()} == {"a": {"n": 1}, "c": {"n": 3}}

    async def test_load_of_no_keys_finds_nothing(self, storage: StateStorage) -> None:
        assert await storage.load([]) == {}

    async def test_load_of_one_key_twice_finds_it(self, storage: StateStorage) -> None:
        etag = await create(storage, "a", n=1)

        assert await storage.load(["a", "b", "a", "b"]) == {"a": Document({"n": 1}, etag)}

    async def test_load_takes_keys_that_can_be_iterated_only_once(self, storage: StateStorage) -> None:
        await create(storage, "a", n=1)

        assert (await storage.load(iter(["a"]))).keys() == {"a"}

    async def test_saving_nothing_does_nothing(self, storage: StateStorage) -> None:
        assert await storage.save({}) == {}

    async def test_a_call_may_create_update_and_delete_side_by_side(self, storage: StateStorage) -> None:
        old = {key: await create(storage, key, n=1) for key in ("updated", "deleted", "any")}

        new = await storage.save(
            {
                "created": Write({"n": 2}, ABSENT),
                "updated": Write({"n": 2}, old["updated"]),
                "deleted": Write(None, old["deleted"]),
                "any": Write({"n": 2}, ANY),
            }
        )

        found = await storage.load(["created", "updated", "deleted", "any"])
        assert found == {key: Document({"n": 2}, new[key]) for key in ("created", "updated", "any")}

    async def test_one_bad_write_of_several_conflicts_by_name(self, storage: StateStorage) -> None:
        etag = await create(storage, "good", n=1)
        writes = {
            "created": Write({"n": 2}, ABSENT),
            "bad": Write({"n": 2}, STALE),
            "good": Write({"n": 2}, etag),
        }

        with pytest.raises(StorageConflict) as conflict:
            await storage.save(writes)

        assert conflict.value.key == "bad"
        values = {key: document.value["n"] for key, document in (await storage.load(writes)).items()}
        assert values == ({"good": 1} if storage.transactional else {"created": 2, "good": 2})

    async def test_300_keys_in_one_call_are_all_written_and_read(self, storage: StateStorage) -> None:
        values = {f"conversation/{i}": {"n": i} for i in range(300)}

        etags = await storage.save({key: Write(value, ABSENT) for key, value in values.items()})

        assert await storage.load(values) == {key: Document(value, etags[key]) for key, value in values.items()}
