"""A dataclass is stored as its annotations say, or not at all: checked when written and when read."""

from __future__ import annotations

import dataclasses
import enum
import logging
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Optional, TypedDict
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import Codec, StateDecodeError, StateEncodeError

if TYPE_CHECKING:
    from somewhere import Unknown  # type: ignore[import-not-found]


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Size(enum.IntEnum):
    SMALL = 1


class Flavour(enum.StrEnum):
    SWEET = "sweet"


class Options(TypedDict):
    loud: bool


class Plain:
    pass


@dataclasses.dataclass
class Address:
    street: str
    since: date | None = None


@dataclasses.dataclass
class Profile:
    name: str = None  # type: ignore[assignment]  # as the SDK's samples write it
    age: int = 0
    weight: float = 0.0
    tags: list[str] = dataclasses.field(default_factory=list)
    scores: dict[str, list[int]] = dataclasses.field(default_factory=dict)
    pair: tuple[int, str] = (0, "")
    color: Color = Color.RED
    colors: list[Color] = dataclasses.field(default_factory=list)
    size: Size | None = None
    flavour: Flavour = Flavour.SWEET
    address: Optional[Address] = None  # noqa: UP045 - as older code has it
    addresses: dict[str, Address] = dataclasses.field(default_factory=dict)
    parent: Profile | None = None
    joined: datetime | None = None
    waited: timedelta | None = None
    price: Decimal | None = None
    reference: UUID | None = None
    numbers: set[int] = dataclasses.field(default_factory=set)
    picture: bytes = b""
    either: int | str | None = None
    mood: Literal["good", "bad"] = "good"
    options: Options | None = None
    any_sequence: Sequence[int] = ()
    any_mapping: Mapping[str, int] | None = None
    anything: Any = None
    plain: Plain | None = None
    kinds: ClassVar[int] = 3


PROFILES = st.builds(
    Profile,
    name=st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    age=st.integers(-(2**63) + 1, 2**63 - 1),
    weight=st.floats(allow_nan=False, allow_infinity=False),
    tags=st.lists(st.sampled_from("abc"), max_size=3),
    scores=st.dictionaries(st.sampled_from("abc"), st.lists(st.integers(0, 9), max_size=2), max_size=2),
    color=st.sampled_from(Color),
    colors=st.lists(st.sampled_from(Color), max_size=2),
    size=st.none() | st.sampled_from(Size),
    address=st.none() | st.builds(Address, st.sampled_from("ab"), st.none() | st.dates()),
    joined=st.none() | st.datetimes(timezones=st.just(UTC)).map(lambda at: at.replace(fold=0)),
    waited=st.none() | st.timedeltas(),
    price=st.none() | st.decimals(allow_nan=False, allow_infinity=False),
    reference=st.none() | st.uuids(),
    numbers=st.sets(st.integers(0, 6), max_size=3),
    picture=st.binary(max_size=3),
    either=st.none() | st.integers(0, 9) | st.sampled_from("ab"),
    any_sequence=st.lists(st.integers(0, 9), max_size=2) | st.tuples(st.integers(0, 9)),
    parent=st.none() | st.builds(Profile),
)


def codec() -> Codec:
    made = Codec()
    made.register(Profile)
    made.register(Plain)
    return made


@given(PROFILES)
def test_a_dataclass_comes_back_as_it_was_with_the_classes_of_its_annotations(profile: Profile) -> None:
    back = codec().decode(codec().encode({"p": profile}, "k"), "k")["p"]
    assert back == profile
    assert repr(back) == repr(profile)  # 1 is no True, and 1.0 no 1


WRONG: list[tuple[str, Any, str]] = [
    ("name", 7, "name"),
    ("age", "7", "age"),
    ("age", True, "age"),
    ("age", 1.5, "age"),
    ("age", None, "age"),
    ("weight", "heavy", "weight"),
    ("tags", ["a", "b", "c", 4], "tags[3]"),
    ("tags", ("a",), "tags"),
    ("tags", "abc", "tags"),
    ("scores", {"maths": [1, "2"]}, "scores.maths[1]"),
    ("pair", (1, 2), "pair[1]"),
    ("pair", [1, "a"], "pair"),
    ("color", "green", "color"),
    ("colors", [Color.RED, "green"], "colors[1]"),
    ("address", {"street": "Main"}, "address"),
    ("address", Plain(), "address"),
    ("addresses", {"home": Address("Main"), "work": None}, "addresses.work"),
    ("addresses", {"home": Address(7)}, "addresses.home.street"),  # type: ignore[arg-type]
    ("parent", Profile(parent=Profile(tags=[1])), "parent.parent.tags[0]"),  # type: ignore[list-item]
    ("joined", "2026-01-01", "joined"),
    ("joined", date(2026, 1, 1), "joined"),
    ("either", 1.5, "either"),
    ("mood", "fair", "mood"),
    ("numbers", {"a"}, "numbers"),
    ("plain", Address("Main"), "plain"),
]


@pytest.mark.parametrize(("name", "value", "place"), WRONG)
def test_what_does_not_fit_its_annotation_is_neither_written_nor_read(name: str, value: Any, place: str) -> None:
    with pytest.raises(StateEncodeError) as unwritten:
        codec().encode({"UserProfile": Profile(**{name: value})}, "the key")
    assert (unwritten.value.key, unwritten.value.where) == ("the key", f"UserProfile.{place}")

    spelled = codec().encode(Profile(), "k")
    inner = Codec()
    inner.register(Unchecked)
    inner.register(Plain)
    inner.register(Address)
    inner.register(Color)
    if place.count(".") < 1 or name == "scores":
        spelled[name] = inner.encode(value, "k")
        with pytest.raises(StateDecodeError) as unread:
            codec().decode({"UserProfile": spelled}, "the key")
        assert (unread.value.key, unread.value.where) == ("the key", f"UserProfile.{place}")


@dataclasses.dataclass
class Unchecked:
    anything: Any = None


def test_a_number_that_the_service_answers_as_an_integer_is_a_float_again() -> None:
    spelled = codec().encode(Profile(weight=70.0), "k")
    spelled["weight"] = 70  # Cosmos DB
    assert repr(codec().decode(spelled, "k").weight) == "70.0"


def test_an_enumeration_that_was_stored_as_its_value_is_a_member_again() -> None:
    spelled = codec().encode(Profile(), "k")
    spelled |= {"color": "blue", "colors": ["red"], "size": 1, "flavour": "sweet"}
    back = codec().decode(spelled, "k")
    assert (back.color, back.colors, back.size, back.flavour) == (Color.BLUE, [Color.RED], Size.SMALL, Flavour.SWEET)


def test_a_member_that_an_enumeration_no_longer_has_is_refused() -> None:
    spelled = codec().encode(Profile(), "k")
    spelled["anything"] = {"py/reduce": [{"py/type": f"{__name__}.Color"}, {"py/tuple": ["green"]}]}
    with pytest.raises(StateDecodeError, match=r"Profile\.anything: 'green' is not a valid Color"):
        codec().decode(spelled, "k")


def test_annotations_that_say_nothing_at_run_time_leave_their_fields_unchecked(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @dataclasses.dataclass
    class Odd:
        unknown: Unknown = 1
        local: Profile | NotThere = 2  # type: ignore[name-defined]  # noqa: F821
        checked: int = 3

    made = Codec()
    with caplog.at_level(logging.WARNING):
        made.register(Odd)
    assert [record.getMessage().partition(" is stored")[0].rpartition(".")[2] for record in caplog.records] == [
        "unknown",
        "local",
    ]
    assert made.decode(made.encode(Odd("a", "b"), "k"), "k") == Odd("a", "b")
    with pytest.raises(StateEncodeError, match="checked"):
        made.encode(Odd(checked="c"), "k")  # type: ignore[arg-type]


@dataclasses.dataclass(slots=True)
class Slotted:
    x: int
    y: int = dataclasses.field(default=0, init=False)


@dataclasses.dataclass(frozen=True)
class Frozen:
    x: int


@pytest.mark.parametrize("cls", [Slotted, Frozen])
def test_dataclasses_of_every_kind_come_back(cls: Any) -> None:
    made = Codec()
    made.register(cls)
    assert made.decode(made.encode(cls(1), "k"), "k") == cls(1)


@pytest.mark.parametrize("name", ["__class__", "__dict__", "__init__", "py/seq", "py/newargs", "py/initargs"])
def test_no_attribute_reaches_behind_an_object(name: str) -> None:
    for tag in ("Profile", "Plain"):
        with pytest.raises(StateDecodeError, match="could run code"):
            codec().decode({"py/object": f"{__name__}.{tag}", name: {}}, "k")


@pytest.mark.parametrize("value", [Color, len, lambda: 1, Plain, object(), type, range(3), bytearray()])
def test_what_is_no_data_is_refused_when_it_is_written(value: Any) -> None:
    with pytest.raises(StateEncodeError, match=r"'k' at UserProfile\.anything"):
        codec().encode({"UserProfile": Profile(anything=value)}, "k")


def test_a_subclass_of_a_container_would_come_back_as_less_and_is_refused() -> None:
    class Counts(dict[str, int]):
        pass

    with pytest.raises(StateEncodeError, match=r"counts: .*plain dict"):
        codec().encode({"counts": Counts(a=1)}, "k")


@dataclasses.dataclass
class Ordered:
    lines: list[str] = dataclasses.field(default_factory=list)
    total: int = dataclasses.field(init=False)
    currency: dataclasses.InitVar[str] = "EUR"

    def __post_init__(self, currency: str) -> None:
        self.lines.append(currency)
        self.total = len(self.lines)


@dataclasses.dataclass
class Seeded:
    seed: dataclasses.InitVar[int]
    value: int = 0

    def __post_init__(self, seed: int) -> None:
        self.value += seed


@dataclasses.dataclass
class OwnInit:
    x: int
    y: int = 0

    def __init__(self, both: int) -> None:
        self.x = self.y = both


@dataclasses.dataclass(init=False)
class Bare:
    x: int = 1
    tags: list[str] = dataclasses.field(default_factory=list)


@pytest.mark.parametrize("made", [Ordered(), Seeded(3), OwnInit(2)])
def test_a_dataclass_comes_back_as_it_was_without_being_made_anew(made: Any) -> None:
    there = Codec()
    there.register(type(made))
    back = there.decode(there.encode(made, "k"), "k")
    assert (type(back), vars(back)) == (type(made), vars(made))


def test_a_field_that_is_absent_gets_its_default_and_a_list_of_its_own() -> None:
    there = Codec()
    there.register(Bare)
    first, second = there.decode([{"py/object": f"{__name__}.Bare", "x": 2}, {"py/object": f"{__name__}.Bare"}], "k")
    assert (first.x, first.tags, second.x) == (2, [], 1)
    assert first.tags is not second.tags


@pytest.mark.parametrize("cls", [Address, Slotted])
def test_an_object_without_a_field_that_has_no_default_is_neither_written_nor_read(cls: Any) -> None:
    there = Codec()
    there.register(cls)
    name = dataclasses.fields(cls)[0].name
    with pytest.raises(StateEncodeError, match=rf"at p: .* lacks '{name}'"):
        there.encode({"p": object.__new__(cls)}, "k")
    with pytest.raises(StateDecodeError, match=rf"at p: .* lacks '{name}'"):
        there.decode({"p": {"py/object": f"{__name__}.{cls.__name__}"}}, "k")


def test_an_attribute_that_could_not_be_read_back_is_refused_when_it_is_written() -> None:
    for value in (Profile(), Plain()):
        vars(value)["__x__"] = 1
        with pytest.raises(StateEncodeError, match="__x__"):
            codec().encode({"p": value}, "k")


def test_an_attribute_for_which_a_class_has_no_slot_is_refused_with_its_name() -> None:
    there = Codec()
    there.register(Slotted)
    with pytest.raises(StateDecodeError, match=r"at p: .*no attribute 'z'"):
        there.decode({"p": {"py/object": f"{__name__}.Slotted", "x": 1, "z": 2}}, "k")


@dataclasses.dataclass
class Lazy:
    some: Iterable[int] = ()
    nested: Sequence[Iterable[int]] = ()
    bare: Iterable = ()  # type: ignore[type-arg]
    iterator: Iterator[int] = ()  # type: ignore[assignment]
    generator: Generator[int] = ()  # type: ignore[assignment]


def test_what_is_only_said_to_be_iterable_comes_back_as_it_was() -> None:
    there = Codec()
    there.register(Lazy)
    lazy = Lazy([1, 2], [[1], (2,)], {"a": 1}, [3], (4,))  # type: ignore[arg-type]
    assert vars(there.decode(there.encode(lazy, "k"), "k")) == vars(lazy)
    with pytest.raises(StateEncodeError, match=r"Lazy\.some"):
        there.encode(Lazy(some=7), "k")  # type: ignore[arg-type]


@dataclasses.dataclass
class Basket(dict[str, int]):
    owner: str = ""


def test_a_dataclass_that_is_a_container_too_cannot_be_registered() -> None:
    with pytest.raises(TypeError, match="Basket cannot be registered"):
        Codec().register(Basket)


@pytest.mark.parametrize("value", [bytearray(), len, object(), range(3), Basket()])
def test_what_cannot_be_registered_is_refused_without_advice_to_register_it(value: Any) -> None:
    with pytest.raises(StateEncodeError) as refused:
        codec().encode({"x": value}, "k")
    assert "register(" not in str(refused.value)


@pytest.mark.parametrize("tag", ["collections.OrderedDict", "collections.ChainMap", "builtins.bytearray"])
def test_what_stock_wrote_of_a_class_that_cannot_be_registered_is_refused_by_name_only(tag: str) -> None:
    with pytest.raises(StateDecodeError, match=tag) as refused:
        codec().decode({"x": {"py/object": tag}}, "k")
    assert "register(" not in str(refused.value)
