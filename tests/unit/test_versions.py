"""State is kept for years, while its classes change: versions, upgrades, former names."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from bots.state import ConversationState
from storage import ABSENT, Codec, StateDecodeError, StateEncodeError, Write
from storage.spelling import Undecoded
from tests.unit.turns import CONVERSATION, CountingStorage, new_turn

State = dict[str, Any]


def split_name(old: State) -> State:
    first, _, last = old.pop("name").partition(" ")
    return {**old, "first_name": first, "last_name": last}


def add_initials(old: State) -> State:
    return {**old, "initials": old["first_name"][0] + old["last_name"][0]}


@dataclasses.dataclass
class Profile:
    first_name: str = ""
    last_name: str = ""
    initials: str = ""
    schema_version: int = 3
    readable_by: int = 2

    UPGRADES: ClassVar[dict[int, Callable[[State], State]]] = {1: split_name, 2: add_initials}
    FORMER_NAMES: ClassVar[tuple[str, ...]] = ("old_bot.models.User",)


TAG = f"{__name__}.Profile"
VERSION_1 = {"py/object": TAG, "name": "Ada Lovelace"}


def codec() -> Codec:
    made = Codec()
    made.register(Profile)
    return made


@pytest.mark.parametrize(
    "old",
    [
        VERSION_1,
        {**VERSION_1, "schema_version": 1},
        {**VERSION_1, "py/object": "old_bot.models.User"},
        {"py/object": TAG, "schema_version": 2, "readable_by": 1, "first_name": "Ada", "last_name": "Lovelace"},
    ],
)
def test_an_old_object_is_upgraded_step_by_step_and_written_as_the_new_version(old: State) -> None:
    profile = codec().decode({"p": old}, "k")["p"]
    assert profile == Profile("Ada", "Lovelace", "AL", 3, 2)
    assert codec().encode(profile, "k") == {
        "py/object": TAG,
        "first_name": "Ada",
        "last_name": "Lovelace",
        "initials": "AL",
        "schema_version": 3,
        "readable_by": 2,
    }


def test_upgrading_leaves_the_document_as_it_was() -> None:
    document = {"p": dict(VERSION_1)}
    codec().decode(document, "k")
    assert document == {"p": VERSION_1}


async def test_an_old_document_is_written_back_only_when_the_turn_changes_something() -> None:
    storage = CountingStorage()
    await storage.save({CONVERSATION: Write({"profile": VERSION_1, "count": 1}, ABSENT)})
    for change in (False, True):
        storage.calls.clear()
        state, turn = ConversationState(storage), new_turn()
        assert (await state.create_property("profile").get(turn, Profile)).initials == "AL"
        if change:
            await state.create_property("count").set(turn, 2)
        await state.save_changes(turn)
        assert storage.calls == ["load", "save"][: 1 + change]
    [document] = (await storage.load([CONVERSATION])).values()
    assert document.value["profile"]["schema_version"] == 3


@pytest.mark.parametrize("readable", [{}, {"readable_by": 4}, {"readable_by": "1"}, {"readable_by": True}])
def test_what_newer_code_wrote_is_refused_by_name(readable: State) -> None:
    newer = {"py/object": TAG, "schema_version": 4, "what": {"py/object": "only.newer.code.Knows"}, **readable}
    with pytest.raises(StateDecodeError, match=rf"{TAG} of version 4, .* knows version 3") as refused:
        codec().decode({"p": newer}, "the key")
    assert (refused.value.key, refused.value.where) == ("the key", "p")


def test_what_newer_code_marked_as_readable_is_read_and_written_back_with_all_it_has() -> None:
    newer = {
        "py/object": TAG,
        "first_name": "Ada",
        "last_name": "Lovelace",
        "initials": "AL",
        "schema_version": 4,
        "readable_by": 3,
        "nickname": {"a": [1]},
    }
    profile = codec().decode(newer, "k")
    profile.first_name = "Augusta"
    assert codec().encode(profile, "k") == {**newer, "first_name": "Augusta"}


@pytest.mark.parametrize("version", [0, -1, "2", True, 1.0, None, []])
def test_a_version_that_is_none_is_refused(version: Any) -> None:
    with pytest.raises(StateDecodeError, match=r"p\.schema_version"):
        codec().decode({"p": {**VERSION_1, "schema_version": version}}, "k")


def test_a_step_that_fails_is_named_with_class_and_key() -> None:
    with pytest.raises(StateDecodeError, match=rf"'the key' at p: .*step 1 of {TAG}.UPGRADES raised KeyError: 'name'"):
        codec().decode({"p": {"py/object": TAG}}, "the key")


def test_what_the_steps_make_is_checked_as_everything_else() -> None:
    old = {"py/object": TAG, "schema_version": 2, "first_name": "Ada", "last_name": ["Lovelace"]}
    made = Codec()
    made.register(Careless)
    with pytest.raises(StateDecodeError, match=r"p\.initials"):
        made.decode({"p": {**old, "py/object": f"{__name__}.Careless"}}, "k")


@dataclasses.dataclass
class Careless:
    first_name: str = ""
    initials: str = ""
    schema_version: int = 3

    UPGRADES: ClassVar[dict[int, Callable[[State], State]]] = {1: dict, 2: lambda old: {**old, "initials": 7}}


def test_an_object_of_an_older_version_is_not_written() -> None:
    with pytest.raises(StateEncodeError, match=r"p\.schema_version.*writes version 3"):
        codec().encode({"p": Profile(schema_version=2)}, "k")


def variant(**attributes: Any) -> Any:
    annotations = {name: "int" for name in attributes if name.islower()}
    return dataclasses.dataclass(type("Variant", (), {"__annotations__": annotations, **attributes}))


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"schema_version": 3, "UPGRADES": {1: dict}}, "lacks the step from version 2 to 3"),
        ({"schema_version": 2}, "lacks the step from version 1 to 2"),
        ({"schema_version": 1, "UPGRADES": {1: dict}}, "has a step from version 1"),
        ({"UPGRADES": {1: dict}}, "has a step from version 1"),
        ({"schema_version": 0}, "schema_version must have"),
        ({"schema_version": "1"}, "schema_version must have"),
        ({"schema_version": 1, "readable_by": 2}, "readable_by is 2, above"),
        ({"FORMER_NAMES": "old.Name"}, "FORMER_NAMES must be a tuple"),
    ],
)
def test_incomplete_versions_are_refused_when_the_class_is_registered(attributes: State, reason: str) -> None:
    with pytest.raises(TypeError, match=reason):
        Codec().register(variant(**attributes))


def test_a_class_that_moved_is_found_under_a_name_given_when_it_is_registered() -> None:
    made = Codec()
    made.register(Profile)
    made.register(Profile, "older_bot.User")
    assert made.decode({**VERSION_1, "py/object": "older_bot.User"}, "k").first_name == "Ada"


def test_a_former_name_is_nobody_elses() -> None:
    made = Codec()
    made.register(Profile)

    @dataclasses.dataclass
    class Other:
        x: int = 0

    for name in (TAG, "old_bot.models.User"):
        with pytest.raises(TypeError, match="cannot be a former name"):
            made.register(Other, name)


def test_a_class_is_not_registered_under_what_is_anothers_former_name() -> None:
    made = Codec()
    made.register(Unversioned, TAG)
    for _again in range(2):
        with pytest.raises(TypeError, match=f"'{TAG}' cannot be a former name of .*Unversioned"):
            made.register(Profile)
    assert isinstance(made.decode({"py/object": TAG, "name": "Ada"}, "k"), Unversioned)


def test_a_class_that_was_made_anew_takes_the_place_of_the_old_one_with_its_former_names() -> None:
    made = Codec()
    made.register(Profile)
    again: Any = dataclasses.dataclass(type("Profile", (Profile,), {"FORMER_NAMES": Profile.FORMER_NAMES}))
    again.__module__, again.__qualname__ = Profile.__module__, Profile.__qualname__
    made.register(again)
    assert type(made.decode({**VERSION_1, "py/object": "old_bot.models.User"}, "k")) is again


@dataclasses.dataclass
class Unversioned:
    """As the class was before its first version step, to which a deployment is rolled back."""

    name: str = ""


UNVERSIONED_TAG = f"{__name__}.Unversioned"


def test_a_class_without_versions_is_version_1_and_refuses_what_newer_code_wrote() -> None:
    made = Codec()
    made.register(Unversioned)
    newer = {"py/object": UNVERSIONED_TAG, "first_name": "Ada", "schema_version": 2}
    with pytest.raises(StateDecodeError, match=rf"{UNVERSIONED_TAG} of version 2, .* knows version 1"):
        made.decode({"p": newer}, "k")


def test_a_class_without_versions_reads_and_keeps_what_newer_code_marked_as_readable() -> None:
    made = Codec()
    made.register(Unversioned)
    newer = {"py/object": UNVERSIONED_TAG, "name": "Ada", "nick": "A", "schema_version": 2, "readable_by": 1}
    assert made.encode(made.decode({"p": newer}, "k"), "k") == {"p": newer}


@pytest.mark.parametrize(("version", "readable"), [(4, 4), (4, None), ("3", 1), (True, 1), (None, 1)])
def test_a_version_that_this_code_could_not_read_again_is_not_written(version: Any, readable: Any) -> None:
    profile = Profile()
    vars(profile).update(schema_version=version, readable_by=readable)
    with pytest.raises(StateEncodeError, match=r"p"):
        codec().encode({"p": profile}, "k")


def test_an_object_that_was_made_without_its_version_is_written_with_it() -> None:
    profile = object.__new__(Profile)
    vars(profile).update(first_name="Ada", last_name="Lovelace", initials="AL")
    assert codec().encode(profile, "k")["schema_version"] == 3


class Color(enum.Enum):
    RED = "red"


def only_red(old: State) -> State:
    return {"color": Color.RED if isinstance(old["color"], Undecoded) else old["color"], "place": old["place"]}


@dataclasses.dataclass
class Car:
    """Had green ones once, and a dealer of a class that is gone."""

    color: Color = Color.RED
    place: object = None
    schema_version: int = 2
    UPGRADES: ClassVar[dict[int, Callable[[State], State]]] = {1: only_red}


GREEN = {"py/reduce": [{"py/type": f"{__name__}.Color"}, {"py/tuple": ["green"]}]}
GONE = {"py/object": "old_bot.models.Dealer", "name": "Eve"}
OLD_CAR = {"py/object": f"{__name__}.Car", "color": GREEN, "dealer": GONE, "place": 1}


class TestWhatCanNoLongerBeDecoded:
    @pytest.fixture
    def codec(self) -> Codec:
        made = Codec()
        made.register(Car)
        return made

    def test_of_an_old_object_it_is_given_to_the_steps(self, codec: Codec) -> None:
        assert codec.decode({"car": OLD_CAR}, "k")["car"] == Car(Color.RED, 1)

    def test_it_is_refused_where_the_steps_leave_it(self, codec: Codec) -> None:
        with pytest.raises(StateDecodeError, match=r"at car.place.name: .*py/function") as refused:
            codec.decode({"car": {**OLD_CAR, "place": {"name": {"py/function": "os.system"}}}}, "k")
        assert refused.value.where == "car.place.name"

    def test_it_is_what_is_told_where_a_step_does_not_expect_it(self, codec: Codec) -> None:
        with pytest.raises(StateDecodeError, match=r"old_bot\.models\.Dealer, which is not registered"):
            codec.decode({"car": {"py/object": f"{__name__}.Car", "dealer": GONE}}, "k")

    def test_in_an_object_of_this_version_it_is_refused(self, codec: Codec) -> None:
        with pytest.raises(StateDecodeError, match="green"):
            codec.decode({"car": {**OLD_CAR, "schema_version": 2}}, "k")
