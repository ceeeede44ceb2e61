"""What Bot Framework's documentation promises of state, and what a conditional storage adds to it."""

from __future__ import annotations

import asyncio
import copy
from dataclasses import dataclass, field
from typing import Any

import pytest

from bots.state import ConversationState, PrivateConversationState, UserState
from storage import ABSENT, ANY, StateDecodeError, StateEncodeError, StorageConflict, Write
from tests.unit.turns import CONVERSATION, USER, CountingStorage, new_turn


@dataclass
class Profile:
    name: str | None = None
    tags: list[Any] = field(default_factory=list)


@dataclass
class Order:
    items: list[Any] = field(default_factory=list)


class WelcomeUserState:
    """A class as the SDK's samples have them: no dataclass, a default for each argument."""

    def __init__(self, did_welcome_user: bool = False) -> None:
        self.did_welcome_user = did_welcome_user


@pytest.fixture
def storage() -> CountingStorage:
    return CountingStorage()


@pytest.fixture
def state(storage: CountingStorage) -> ConversationState:
    return ConversationState(storage)


async def stored(storage: CountingStorage, key: str = CONVERSATION) -> Any:
    """The document's value, or None; not counted."""
    found = await CountingStorage(storage._documents).load([key])
    return found[key].value if found else None


async def put(storage: CountingStorage, value: dict[str, Any]) -> None:
    """Another turn writes the document; not counted."""
    await CountingStorage(storage._documents).save({CONVERSATION: Write(value, ANY)})


async def test_each_scope_has_its_own_document(storage: CountingStorage) -> None:
    turn = new_turn()
    for scope in (ConversationState(storage), UserState(storage), PrivateConversationState(storage)):
        await scope.create_property("p").set(turn, type(scope).__name__)
        await scope.save_changes(turn)
    assert await stored(storage, CONVERSATION) == {"p": "ConversationState"}
    assert await stored(storage, USER) == {"p": "UserState"}
    assert await stored(storage, f"{CONVERSATION}/users/u1/") == {"p": "PrivateConversationState"}


async def test_a_property_needs_a_name(state: ConversationState) -> None:
    with pytest.raises(TypeError, match="name"):
        state.create_property("")
    assert state.create_property("p").name == "p"


@pytest.mark.parametrize("name", ["e_tag", "$turn"])
async def test_a_name_that_is_not_the_bots_is_refused_for_a_property_and_its_value_never_lost(
    storage: CountingStorage, state: ConversationState, name: str
) -> None:
    with pytest.raises(ValueError, match="cannot be called"):
        state.create_property(name)
    with pytest.raises(ValueError, match="cannot be called"):
        await state.set_property_value(new_turn(), name, 1)
    assert storage.calls == []


async def test_a_second_save_in_a_turn_saves_and_a_third_has_nothing_to_do(
    storage: CountingStorage, state: ConversationState
) -> None:
    turn, accessor = new_turn(), state.create_property("p")
    for value in (1, 2):
        await accessor.set(turn, value)
        await state.save_changes(turn)
    await state.save_changes(turn)
    assert await stored(storage) == {"p": 2}
    assert storage.calls == ["load", "save", "save"]


async def test_a_turn_that_only_reads_writes_nothing_and_creates_nothing(
    storage: CountingStorage, state: ConversationState
) -> None:
    turn = new_turn()
    assert await state.create_property("p").get(turn) is None
    await state.save_changes(turn)
    assert storage.calls == ["load"]
    assert await stored(storage) is None


async def test_a_turn_that_touches_no_state_asks_the_storage_nothing(
    storage: CountingStorage, state: ConversationState
) -> None:
    turn = new_turn()
    await state.save_changes(turn)
    await state.save_changes(turn, force=True)
    assert storage.calls == []


@pytest.mark.parametrize("value", [{}, {"p": 1}])
async def test_a_document_is_read_once_a_turn_also_when_it_is_empty(
    storage: CountingStorage, state: ConversationState, value: dict[str, Any]
) -> None:
    await put(storage, value)
    turn = new_turn()
    for name in ("p", "q", "p"):
        await state.create_property(name).get(turn)
    assert storage.calls == ["load"]


@pytest.mark.parametrize("default", [0, False, 0.0, "", [], {}])
async def test_a_falsy_default_is_returned_and_stored(
    storage: CountingStorage, state: ConversationState, default: object
) -> None:
    turn = new_turn()
    got = await state.create_property("p").get(turn, default)
    assert (type(got), got) == (type(default), default)
    await state.save_changes(turn)
    assert await stored(storage) == {"p": default}


@pytest.mark.parametrize("value", [0, False, "", [], {}, None])
async def test_a_falsy_value_is_kept_and_no_default_replaces_it(state: ConversationState, value: object) -> None:
    accessor = state.create_property("p")
    turn = new_turn()
    await accessor.set(turn, value)
    await state.save_changes(turn)
    got = await accessor.get(new_turn(), "default")
    assert (type(got), got) == (type(value), value)


@pytest.mark.parametrize(("before", "after"), [(1, True), (0, False), (1, 1.0), (True, 1), ([0], [False])])
async def test_a_value_that_python_takes_for_equal_is_a_change(
    storage: CountingStorage, state: ConversationState, before: object, after: object
) -> None:
    await put(storage, {"p": before})
    turn = new_turn()
    await state.create_property("p").set(turn, after)
    await state.save_changes(turn)
    assert repr(await stored(storage)) == repr({"p": after})


async def test_a_default_is_copied(state: ConversationState) -> None:
    default = {"items": [1]}
    got = await state.create_property("p").get(new_turn(), default)
    got["items"].append(2)
    assert default == {"items": [1]}


async def test_a_value_mutated_in_place_is_saved(storage: CountingStorage, state: ConversationState) -> None:
    accessor = state.create_property("p")
    for turn in (new_turn(), new_turn()):
        (await accessor.get(turn, Profile)).tags.append("x")
        await state.save_changes(turn)
    assert (await accessor.get(new_turn(), Profile)).tags == ["x", "x"]


async def test_what_was_saved_no_longer_follows_the_object(storage: CountingStorage, state: ConversationState) -> None:
    turn = new_turn()
    value = await state.create_property("p").get(turn, [1])
    await state.save_changes(turn)
    value.append(2)
    assert await stored(storage) == {"p": [1]}
    await state.save_changes(turn)
    assert await stored(storage) == {"p": [1, 2]}


@pytest.mark.parametrize("loaded", [False, True])
async def test_clear_state_forgets_all_and_the_next_save_writes_the_empty_document(
    storage: CountingStorage, state: ConversationState, loaded: bool
) -> None:
    await put(storage, {"p": 1, "q": 2})
    turn, accessor = new_turn(), state.create_property("p")
    if loaded:
        assert await accessor.get(turn) == 1
    await state.clear_state(turn)
    assert await accessor.get(turn, "default") == "default"
    await accessor.delete(turn)
    assert await stored(storage) == {"p": 1, "q": 2}
    await state.save_changes(turn)
    assert await stored(storage) == {}


async def test_clear_state_keeps_the_etag_so_another_turns_write_is_not_lost(
    storage: CountingStorage, state: ConversationState
) -> None:
    await put(storage, {"p": 1})
    turn = new_turn()
    await state.clear_state(turn)
    await put(storage, {"p": 2})
    with pytest.raises(StorageConflict):
        await state.save_changes(turn)
    assert await stored(storage) == {"p": 2}


@pytest.mark.parametrize("loaded", [False, True])
@pytest.mark.parametrize("value", [None, {"p": 1}])
async def test_delete_removes_the_document_at_once_and_the_turn_may_go_on(
    storage: CountingStorage, state: ConversationState, loaded: bool, value: dict[str, Any] | None
) -> None:
    if value is not None:
        await put(storage, value)
    turn, accessor = new_turn(), state.create_property("p")
    if loaded:
        await state.load(turn)
    await state.delete(turn)
    assert await stored(storage) is None
    assert await accessor.get(turn) is None
    await state.save_changes(turn)
    assert await stored(storage) is None
    await accessor.set(turn, 2)
    await state.save_changes(turn)
    assert await stored(storage) == {"p": 2}


async def test_delete_does_not_take_another_turns_write_with_it(
    storage: CountingStorage, state: ConversationState
) -> None:
    await put(storage, {"p": 1})
    turn = new_turn()
    await state.load(turn)
    await put(storage, {"p": 2})
    with pytest.raises(StorageConflict):
        await state.delete(turn)
    assert await stored(storage) == {"p": 2}


async def test_a_deleted_property_is_gone_and_the_others_stay(
    storage: CountingStorage, state: ConversationState
) -> None:
    await put(storage, {"p": 1, "q": 2})
    turn = new_turn()
    await state.create_property("p").delete(turn)
    await state.create_property("absent").delete(turn)
    await state.save_changes(turn)
    assert await stored(storage) == {"q": 2}


async def test_load_with_force_reads_again_and_drops_what_was_changed(
    storage: CountingStorage, state: ConversationState
) -> None:
    await put(storage, {"p": 1})
    turn, accessor = new_turn(), state.create_property("p")
    await accessor.set(turn, "mine")
    await put(storage, {"p": 2})
    await state.load(turn)
    assert await accessor.get(turn) == "mine"
    await state.load(turn, force=True)
    assert await accessor.get(turn) == 2
    await accessor.set(turn, 3)
    await state.save_changes(turn)
    assert await stored(storage) == {"p": 3}


async def test_save_with_force_writes_what_is_unchanged_and_still_conflicts(
    storage: CountingStorage, state: ConversationState
) -> None:
    await put(storage, {"p": 1})
    turn = new_turn()
    await state.load(turn)
    await state.save_changes(turn, force=True)
    assert storage.calls == ["load", "save"]
    await put(storage, {"p": 2})
    with pytest.raises(StorageConflict):
        await state.save_changes(turn, force=True)
    assert await stored(storage) == {"p": 2}


async def test_of_two_turns_that_create_the_document_one_conflicts(
    storage: CountingStorage, state: ConversationState
) -> None:
    turns = [new_turn(), new_turn()]
    for number, turn in enumerate(turns):
        await state.create_property("p").set(turn, number)
    await state.save_changes(turns[1])
    with pytest.raises(StorageConflict):
        await state.save_changes(turns[0])
    assert await stored(storage) == {"p": 1}


async def test_of_two_turns_that_change_the_document_one_conflicts_also_after_its_own_first_save(
    storage: CountingStorage, state: ConversationState
) -> None:
    turn, other, accessor = new_turn(), new_turn(), state.create_property("p")
    await accessor.set(turn, 1)
    await state.save_changes(turn)
    await accessor.set(other, 2)
    await state.save_changes(other)
    await accessor.set(turn, 3)
    with pytest.raises(StorageConflict):
        await state.save_changes(turn)
    assert await stored(storage) == {"p": 2}


async def test_a_stale_turn_does_not_bring_a_deleted_document_back(
    storage: CountingStorage, state: ConversationState
) -> None:
    await put(storage, {"p": 1})
    turn, other = new_turn(), new_turn()
    await state.create_property("p").set(turn, 2)
    await state.delete(other)
    with pytest.raises(StorageConflict):
        await state.save_changes(turn)
    assert await stored(storage) is None


async def test_properties_that_are_asked_for_side_by_side_are_all_kept(
    storage: CountingStorage, state: ConversationState
) -> None:
    turn = new_turn()
    values = await asyncio.gather(*(state.create_property(name).get(turn, list) for name in "pqr"))
    for value in values:
        value.append(1)
    await state.save_changes(turn)
    assert await stored(storage) == {"p": [1], "q": [1], "r": [1]}


async def test_values_may_be_had_from_the_state_itself_before_anything_is_loaded(
    storage: CountingStorage, state: ConversationState
) -> None:
    await put(storage, {"p": 1, "q": 2})
    assert await state.get_property_value(new_turn(), "p") == 1
    with pytest.raises(KeyError):
        await state.get_property_value(new_turn(), "absent")
    turn = new_turn()
    await state.set_property_value(turn, "p", 3)
    await state.delete_property_value(turn, "q")
    await state.save_changes(turn)
    assert await stored(storage) == {"p": 3}


@pytest.mark.parametrize("default", [Profile, Profile("Ada", ["x"]), WelcomeUserState, WelcomeUserState(True)])
async def test_a_class_named_as_default_or_an_instance_of_it_may_be_stored(
    storage: CountingStorage, default: Any
) -> None:
    expected = default() if isinstance(default, type) else copy.deepcopy(default)
    for _ in range(2):
        fresh = ConversationState(CountingStorage(storage._documents))  # a new process: nothing is registered yet
        turn = new_turn()
        got = await fresh.create_property("p").get(turn, default)
        assert (type(got), vars(got)) == (type(expected), vars(expected))
        assert got is not default
        await fresh.save_changes(turn)
    assert (await stored(storage))["p"]["py/object"] == f"{__name__}.{type(expected).__qualname__}"


async def test_a_typed_property_that_no_bot_names_in_this_turn_survives_untouched(storage: CountingStorage) -> None:
    turn, first = new_turn(), ConversationState(storage)
    await first.create_property("profile").get(turn, Profile("Ada", [WelcomeUserState.__name__]))
    await first.create_property("order").get(turn, Order([1, {"a": None}]))
    await first.save_changes(turn)
    before = await stored(storage)

    turn, second = new_turn(), ConversationState(CountingStorage(storage._documents))
    (await second.create_property("profile").get(turn, Profile)).name = "Grace"
    await second.save_changes(turn)
    after = await stored(storage)
    assert after["profile"]["name"] == "Grace"
    assert after["order"] == before["order"]


async def test_a_class_that_only_a_function_names_is_read_by_a_process_that_has_not_written_it(
    storage: CountingStorage,
) -> None:
    for name in ("Ada", "Grace"):
        fresh = CountingStorage(storage._documents)
        state, turn = ConversationState(fresh), new_turn()
        profile = await state.create_property("p").get(turn, lambda: Profile(tags=["new"]))
        assert (profile.name, profile.tags) == (None if name == "Ada" else "Ada", ["new"])
        profile.name = name
        await state.save_changes(turn)


async def test_a_turn_that_reads_beside_an_unnamed_class_writes_nothing(storage: CountingStorage) -> None:
    await put(storage, {"order": {"py/object": "somewhere.Else", "items": [1]}, "p": 1})
    turn, state = new_turn(), ConversationState(storage)
    assert await state.create_property("p").get(turn) == 1
    await state.save_changes(turn)
    assert storage.calls == ["load"]


async def test_a_class_that_nobody_registered_is_refused_with_its_path_and_nothing_is_written(
    storage: CountingStorage, state: ConversationState
) -> None:
    turn = new_turn()
    (await state.create_property("order").get(turn, Order)).items = ["ok", {"who": Profile("Ada")}]
    with pytest.raises(StateEncodeError, match=r"order\.items\[1\]\.who.*Profile, which is not registered"):
        await state.save_changes(turn)
    assert storage.calls == ["load"]


async def test_a_stored_class_that_the_bot_does_not_name_is_refused_with_its_path_when_asked_for(
    storage: CountingStorage, state: ConversationState
) -> None:
    await put(storage, {"order": {"items": [{"py/object": "somewhere.Else"}]}})
    with pytest.raises(StateDecodeError, match=r"order\.items\[0\].*somewhere\.Else") as caught:
        await state.create_property("order").get(new_turn())
    assert (caught.value.key, caught.value.where) == (CONVERSATION, "order.items[0]")


async def test_an_attribute_that_a_class_no_longer_has_is_kept(
    storage: CountingStorage, state: ConversationState
) -> None:
    await put(storage, {"profile": {"py/object": f"{__name__}.Profile", "name": "Ada", "surname": "Lovelace"}})
    turn = new_turn()
    (await state.create_property("profile").get(turn, Profile)).name = "Augusta"
    await state.save_changes(turn)
    document = (await stored(storage))["profile"]
    assert (document["name"], document["surname"]) == ("Augusta", "Lovelace")


async def test_a_document_that_could_run_code_is_refused(storage: CountingStorage, state: ConversationState) -> None:
    evil = {"py/reduce": [{"py/function": "os.system"}, {"py/tuple": ["true"]}]}
    await CountingStorage(storage._documents).save({CONVERSATION: Write({"p": evil}, ABSENT)})
    with pytest.raises(StateDecodeError, match="could run code"):
        await state.load(new_turn())
