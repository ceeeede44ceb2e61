"""Every JSON object comes back as it was, under every key, and belongs to its caller alone."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import pytest

from storage import ABSENT, ANY, Document, StateEncodeError, StateStorage, Write
from tests.contract.cases import KEYS, KEYS_AT_ONCE, LOOK_ALIKES, VALUES


class TestValues:
    @pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
    async def test_a_value_comes_back_as_it_was(self, storage: StateStorage, value: dict[str, Any]) -> None:
        etag = (await storage.save({"k": Write(value, ABSENT)}))["k"]

        same = await storage.load(["k"]) == {"k": Document(value, etag)}
        assert same  # a name of its own: pytest would compare 1.5 MB line by line to explain a difference

    async def test_the_order_of_members_is_kept(self, storage: StateStorage) -> None:
        await storage.save({"k": Write({"z": 1, "a": 2, "m": 3}, ABSENT)})

        assert list((await storage.load(["k"]))["k"].value) == ["z", "a", "m"]

    async def test_truth_values_and_numbers_are_not_confused(self, storage: StateStorage) -> None:
        await storage.save({"k": Write({"values": [True, 1, False, 0, None]}, ABSENT)})

        values = (await storage.load(["k"]))["k"].value["values"]
        assert [type(value) for value in values] == [bool, int, bool, int, type(None)]

    @pytest.mark.parametrize("expect", [ABSENT, ANY])
    async def test_saving_leaves_the_value_as_it_was(self, storage: StateStorage, expect: Any) -> None:
        value = copy.deepcopy(VALUES["names of others"])

        await storage.save({"k": Write(value, expect)})

        assert value == VALUES["names of others"]

    async def test_a_change_after_saving_is_not_stored(self, storage: StateStorage) -> None:
        value: dict[str, Any] = {"list": [1], "object": {}}
        await storage.save({"k": Write(value, ABSENT)})

        value["list"].append(2)
        value["object"]["new"] = 1

        assert (await storage.load(["k"]))["k"].value == {"list": [1], "object": {}}

    async def test_a_change_during_saving_is_not_stored(self, storage: StateStorage) -> None:
        value: dict[str, Any] = {"list": [1]}
        saving = asyncio.create_task(storage.save({"k": Write(value, ABSENT)}))
        await asyncio.sleep(0)
        value["list"].append(2)
        await saving

        # Either the one or the other, but what one reader sees every reader sees.
        first, second = [(await storage.load(["k"]))["k"].value for _ in range(2)]
        assert first == second
        assert first["list"] in ([1], [1, 2])

    async def test_a_change_after_loading_is_not_stored(self, storage: StateStorage) -> None:
        await storage.save({"k": Write({"list": [1]}, ABSENT)})

        (await storage.load(["k"]))["k"].value["list"].append(2)

        assert (await storage.load(["k"]))["k"].value == {"list": [1]}

    @pytest.mark.parametrize(
        "bad", [float("nan"), float("inf"), object(), b"bytes", {1, 2}, "\ud800"], ids=lambda bad: type(bad).__name__
    )
    async def test_what_is_not_json_is_refused_before_anything_is_written(
        self, storage: StateStorage, bad: object
    ) -> None:
        with pytest.raises(StateEncodeError) as refused:
            await storage.save({"good": Write({"n": 1}, ABSENT), "bad": Write({"inner": [bad]}, ABSENT)})

        assert refused.value.key == "bad"
        assert await storage.load(["good", "bad"]) == {}

    async def test_state_where_the_sdk_keeps_the_etag_is_refused_and_not_silently_lost(
        self, storage: StateStorage
    ) -> None:
        with pytest.raises(StateEncodeError, match="e_tag"):
            await storage.save({"k": Write({"n": 1, "e_tag": "mine"}, ABSENT)})

        assert await storage.load(["k"]) == {}

    async def test_what_is_too_deep_to_be_read_is_not_written(self, storage: StateStorage) -> None:
        value: dict[str, Any] = {}
        for _ in range(200):
            value = {"inner": value}

        with pytest.raises(StateEncodeError, match="127 levels"):
            await storage.save({"k": Write(value, ABSENT)})

        assert await storage.load(["k"]) == {}

    async def test_an_integer_is_exact_or_refused(self, storage: StateStorage) -> None:
        nanoseconds, exact = 1_774_787_400_123_456_789, storage.largest_integer
        if nanoseconds > exact:
            with pytest.raises(StateEncodeError, match="exactly"):
                await storage.write({"k": {"at": nanoseconds}})
        await storage.write({"k": {"at": min(nanoseconds, exact)}})

        assert (await storage.read(["k"]))["k"]["at"] == min(nanoseconds, exact)


class TestKeys:
    @pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
    async def test_a_key_names_one_document(self, storage: StateStorage, key: str) -> None:
        assert await storage.load([key]) == {}

        first = (await storage.save({key: Write({"n": 1}, ABSENT)}))[key]
        assert await storage.load([key]) == {key: Document({"n": 1}, first)}

        second = (await storage.save({key: Write({"n": 2}, first)}))[key]
        assert await storage.load([key]) == {key: Document({"n": 2}, second)}

        assert await storage.save({key: Write(None, second)}) == {}
        assert await storage.load([key]) == {}

    @pytest.mark.parametrize("keys", LOOK_ALIKES.values(), ids=LOOK_ALIKES)
    async def test_look_alikes_are_documents_of_their_own(self, storage: StateStorage, keys: list[str]) -> None:
        await storage.save({keys[0]: Write({"key": 0}, ABSENT)})
        assert (await storage.load(keys)).keys() == {keys[0]}

        etags = await storage.save({key: Write({"key": i}, ABSENT) for i, key in enumerate(keys) if i})

        assert len(set(etags.values())) == len(keys) - 1
        found = await storage.load(keys)
        assert {key: document.value for key, document in found.items()} == {k: {"key": i} for i, k in enumerate(keys)}

    async def test_all_keys_live_in_one_store_side_by_side(self, storage: StateStorage) -> None:
        await storage.save({key: Write({"key": i}, ABSENT) for i, key in enumerate(KEYS_AT_ONCE)})

        found = await storage.load(KEYS_AT_ONCE)

        assert [found[key].value for key in KEYS_AT_ONCE] == [{"key": i} for i in range(len(KEYS_AT_ONCE))]
