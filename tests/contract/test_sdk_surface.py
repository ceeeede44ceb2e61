"""botbuilder's `Storage` on every backend: items carry their ETag as `e_tag`, and objects come back as objects."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from botbuilder.core import ConversationState, MessageFactory, StoreItem, TurnContext
from botbuilder.core.adapters import TestAdapter

from storage import ABSENT, StateDecodeError, StateEncodeError, StateStorage, StorageConflict, Write
from tests.conftest import Connect


@dataclasses.dataclass
class Address:
    street: str
    zip_code: str | None = None


@dataclasses.dataclass
class Person:
    name: str
    addresses: list[Address] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(slots=True)
class Slotted:
    name: str


class TestItems:
    async def test_an_item_comes_back_with_its_etag_inside(self, storage: StateStorage) -> None:
        etags = await storage.write({"k": {"n": 1}})

        assert await storage.read(["k", "absent"]) == {"k": {"n": 1, "e_tag": etags["k"]}}

    async def test_what_was_read_can_be_changed_and_written(self, storage: StateStorage) -> None:
        await storage.write({"k": {"n": 1}})

        items = await storage.read(["k"])
        items["k"]["n"] = 2
        await storage.write(items)

        assert (await storage.read(["k"]))["k"]["n"] == 2

    async def test_the_etag_is_not_part_of_the_stored_value(self, storage: StateStorage) -> None:
        await storage.write({"k": {"n": 1, "e_tag": "*"}})

        assert (await storage.load(["k"]))["k"].value == {"n": 1}

    @pytest.mark.parametrize("anything", [{}, {"e_tag": None}, {"e_tag": "*"}], ids=str)
    async def test_no_etag_none_and_star_overwrite_any_version(
        self, storage: StateStorage, anything: dict[str, Any]
    ) -> None:
        await storage.write({"k": {"n": 1, **anything}})
        await storage.write({"k": {"n": 2, **anything}})

        assert (await storage.read(["k"]))["k"]["n"] == 2

    async def test_a_stale_e_tag_conflicts(self, storage: StateStorage) -> None:
        await storage.write({"k": {"n": 1}})
        stale = await storage.read(["k"])
        await storage.write(await storage.read(["k"]))

        with pytest.raises(StorageConflict):
            await storage.write(stale)

    async def test_a_stale_e_tag_after_a_delete_conflicts_and_does_not_resurrect(self, storage: StateStorage) -> None:
        await storage.write({"k": {"n": 1}})
        stale = await storage.read(["k"])
        await storage.delete(["k"])

        with pytest.raises(StorageConflict):
            await storage.write(stale)

        assert await storage.read(["k"]) == {}

    @pytest.mark.parametrize("wrong", ["", 7, False], ids=repr)
    async def test_an_e_tag_that_is_none_is_an_error_and_nothing_is_written(
        self, storage: StateStorage, wrong: object
    ) -> None:
        with pytest.raises(ValueError, match="e_tag"):
            await storage.write({"good": {"n": 1}, "bad": {"e_tag": wrong}})

        assert await storage.read(["good", "bad"]) == {}

    async def test_writing_leaves_the_item_as_it_was(self, storage: StateStorage) -> None:
        item = {"n": [1], "e_tag": "*"}

        await storage.write({"k": item})

        assert item == {"n": [1], "e_tag": "*"}

    async def test_delete_removes_what_is_there_and_ignores_what_is_not(self, storage: StateStorage) -> None:
        await storage.write({"a": {}, "b": {}, "c": {}})

        await storage.delete(["a", "b", "absent"])

        assert (await storage.read(["a", "b", "c", "absent"])).keys() == {"c"}

    async def test_no_keys_read_and_delete_nothing_and_no_changes_write_nothing(self, storage: StateStorage) -> None:
        await storage.delete([])

        assert await storage.read([]) == {}
        assert await storage.write({}) == {}

    async def test_none_is_an_error_that_says_what_is_required(self, storage: StateStorage) -> None:
        with pytest.raises(ValueError, match="Keys are required when reading"):
            await storage.read(None)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="Changes are required when writing"):
            await storage.write(None)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="Keys are required when deleting"):
            await storage.delete(None)  # type: ignore[arg-type]

    @pytest.mark.parametrize("item", [None, 1, "text", [1], Slotted("Ada")], ids=lambda item: type(item).__name__)
    async def test_what_cannot_carry_an_etag_is_no_item(self, storage: StateStorage, item: object) -> None:
        storage.codec.register(Slotted)

        with pytest.raises(TypeError, match="an item is"):
            await storage.write({"k": item})


class TestObjects:
    async def test_a_registered_dataclass_is_an_item_and_keeps_its_etag(self, storage: StateStorage) -> None:
        storage.codec.register(Person)
        storage.codec.register(Address)
        await storage.write({"k": Person("Ada", [Address("St James's Square"), Address("Ockham Park", "GU23")])})

        person = (await storage.read(["k"]))["k"]
        assert person == Person("Ada", [Address("St James's Square"), Address("Ockham Park", "GU23")])
        person.name = "Ada Lovelace"
        await storage.write({"k": person})

        assert (await storage.read(["k"]))["k"].name == "Ada Lovelace"
        with pytest.raises(StorageConflict):
            await storage.write({"k": person})

    async def test_a_registered_dataclass_is_a_member(self, storage: StateStorage) -> None:
        storage.codec.register(Address)
        await storage.write({"k": {"home": Address("Ockham Park"), "pair": (1, "two")}})

        item = (await storage.read(["k"]))["k"]

        assert (item["home"], item["pair"]) == (Address("Ockham Park"), (1, "two"))

    async def test_a_store_item_of_the_sdk_comes_back(self, storage: StateStorage) -> None:
        await storage.write({"k": StoreItem(n=1, e_tag="*")})

        item = (await storage.read(["k"]))["k"]
        assert isinstance(item, StoreItem)
        assert item.n == 1
        await storage.write({"k": item})
        with pytest.raises(StorageConflict):
            await storage.write({"k": item})

    async def test_an_object_nobody_registered_is_refused_before_anything_is_written(
        self, storage: StateStorage
    ) -> None:
        with pytest.raises(StateEncodeError, match=r"home.*not registered"):
            await storage.write({"good": {"n": 1}, "bad": {"home": Address("Ockham Park")}})

        assert await storage.read(["good", "bad"]) == {}

    async def test_a_stored_object_nobody_registered_raises_and_is_not_read_as_empty(
        self, storage: StateStorage
    ) -> None:
        await storage.save({"k": Write({"home": {"py/object": "os.path.Address", "street": "x"}}, ABSENT)})

        with pytest.raises(StateDecodeError, match=r"home.*os\.path\.Address"):
            await storage.read(["k"])

    async def test_what_could_run_code_is_not_read(self, storage: StateStorage) -> None:
        await storage.save({"k": Write({"x": {"py/reduce": [{"py/function": "os.system"}, ["true"]]}}, ABSENT)})

        with pytest.raises(StateDecodeError, match="py/reduce"):
            await storage.read(["k"])


async def test_conversation_state_counts_across_adapters_and_storages(connect: Connect) -> None:
    async def say(text: str) -> None:
        async with connect() as storage:
            state = ConversationState(storage)
            count = state.create_property("count")

            async def logic(context: TurnContext) -> None:
                n = (await count.get(context, lambda: 0) or 0) + 1
                await count.set(context, n)
                await state.save_changes(context)
                await context.send_activity(MessageFactory.text(f"{n}"))

            flow = await TestAdapter(logic).send("hello")
            await flow.assert_reply(text)

    for expected in ("1", "2", "3"):
        await say(expected)
