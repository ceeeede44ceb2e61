"""Values that a stock bot could store beside plain JSON: read as what they were, or refused by place, and never run.

The texts are made by the installed jsonpickle. Those of jsonpickle 1, which all releases of botbuilder before 4.17.1
bring along, are recorded: `jsonpickle.encode(...)` of 1.4.1 on the Python that is named.
"""

from __future__ import annotations

import dataclasses
import enum
import fractions
import ipaddress
import json
import pathlib
import re
import types
from collections import ChainMap, Counter, OrderedDict, UserDict, defaultdict, deque
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, ClassVar, Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import jsonpickle
import pytest
import pytz
from jsonpickle.unpickler import Unpickler

from storage import Codec, StateDecodeError, StateEncodeError
from storage.codec import dumps, loads


class Pair(NamedTuple):
    one: int
    two: Any = None


class Unknown(NamedTuple):
    one: int


class Color(enum.Enum):
    RED = "red"


class MyList(list[int]):
    pass


@dataclasses.dataclass
class Profile:
    name: str = ""
    tags: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(slots=True)
class Slotted:
    a: int = 0


class Plain:
    ran: ClassVar[list[Any]] = []


class Stateful(Plain):
    def __setstate__(self, state: Any) -> None:
        self.ran.append(state)


@dataclasses.dataclass
class Holder:
    frozen: frozenset[int] = frozenset()
    ordered: OrderedDict[str, int] = dataclasses.field(default_factory=OrderedDict)
    counted: Counter[str] = dataclasses.field(default_factory=Counter)
    queue: deque[Profile] = dataclasses.field(default_factory=lambda: deque(maxlen=3))
    grouped: defaultdict[str, list[int]] = dataclasses.field(default_factory=lambda: defaultdict(list))
    pair: Pair | None = None


READ: Final[list[Any]] = [
    UTC,
    timezone(timedelta(hours=1)),
    ZoneInfo("Europe/Berlin"),
    frozenset([1, "a", (2, 3), frozenset([4])]),
    frozenset(),
    {frozenset([1]), frozenset([2])},
    OrderedDict(b=[1], a={"x": 2}),
    OrderedDict(),
    Counter("aab"),
    Counter(),
    deque([1, [2], Profile("Ada")]),
    deque([1, 2], 3),
    deque(),
    defaultdict(list, a=[1]),
    defaultdict(dict),
    defaultdict(int, a=1, b=2),
    defaultdict(None, a=1),
    Pair(1, [2]),
    Pair(1),
    1 + 2j,
    Decimal("-1.50"),
    UUID(int=7),
    b"\x00\xff",
    {1, 2},
    (1, (2,)),
    date(2026, 1, 2),
    time(1, 2, 3),
    timedelta(days=-1, microseconds=7),
    Color.RED,
    datetime(2026, 7, 2, 3, 4),
    datetime(2026, 7, 2, tzinfo=ZoneInfo("Europe/Berlin")),
]
ZONES: Final[list[Any]] = [
    pytz.utc.localize(datetime(2026, 1, 2)),
    pytz.timezone("Europe/Berlin").localize(datetime(2026, 7, 2, 3)),
    pytz.timezone("Europe/Berlin").localize(datetime(2026, 10, 25, 2, 30), is_dst=True),
    datetime(2026, 7, 2, tzinfo=pytz.timezone("Europe/Berlin")),  # as many do, and get local mean time
    datetime(2026, 7, 2, tzinfo=pytz.timezone("Etc/GMT+5")),
    datetime(2026, 7, 2, tzinfo=pytz.FixedOffset(-90)),
    time(1, 2, tzinfo=pytz.utc),
]
REFUSED: Final[list[Any]] = [
    OrderedDict({1: 2}),
    defaultdict(lambda: 0, a=1),
    defaultdict(Profile),
    Unknown(1),
    MyList([1]),
    UserDict(a=1),
    ChainMap({"a": 1}),
    types.SimpleNamespace(a=1),
    fractions.Fraction(1, 3),
    pathlib.PurePosixPath("/a"),
    ipaddress.ip_address("127.0.0.1"),
    bytearray(b"lost"),  # stock stores none of its bytes
    range(3),
    slice(1, 2),
    re.compile("a"),
    ValueError("x"),
    iter([1]),
    int,
    len,
    pytz.timezone("Europe/Berlin"),
]


def codec() -> Codec:
    made = Codec()
    for cls in (Pair, Color, Profile, Slotted, Stateful, Holder):
        made.register(cls)
    return made


def read(text: str) -> Any:
    return codec().decode(loads(text, "k"), "k")["value"]


@pytest.mark.parametrize("value", READ, ids=lambda value: type(value).__name__)
def test_what_stock_stored_is_read_as_it_was_and_stock_reads_it_again(value: Any) -> None:
    found = read(jsonpickle.encode({"value": value}))
    assert (type(found), found) == (type(value), value)
    assert getattr(found, "maxlen", None) == getattr(value, "maxlen", None)
    assert getattr(found, "default_factory", None) == getattr(value, "default_factory", None)

    written = dumps(codec().encode({"value": found}, "k"), "k").decode()
    assert read(written) == found
    theirs = Unpickler().restore(json.loads(written))["value"]
    assert (type(theirs), theirs) == (type(value), value)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (types.SimpleNamespace(a=1), "types.SimpleNamespace"),
        (ValueError("x"), "builtins.ValueError"),
        (pytz.timezone("Europe/Berlin"), "pytz._p"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_refused_is_named_without_advice_that_cannot_be_followed(value: Any, name: str) -> None:
    with pytest.raises(StateDecodeError, match=name) as refused:
        read(jsonpickle.encode({"value": value}))
    assert "register(" not in str(refused.value)


@pytest.mark.parametrize("value", ZONES, ids=lambda value: type(value).__name__)
def test_a_time_in_a_zone_of_pytz_is_read_as_the_same_moment(value: Any) -> None:
    found = read(jsonpickle.encode({"value": value}))
    assert (found, found.utcoffset()) == (value, value.utcoffset())
    assert not type(found.tzinfo).__module__.startswith("pytz")


@pytest.mark.parametrize("value", REFUSED, ids=lambda value: type(value).__name__)
def test_what_has_no_safe_value_is_refused_by_key_and_place(value: Any) -> None:
    with pytest.raises(StateDecodeError) as refused:
        codec().decode(loads(jsonpickle.encode({"user": {"values": [0, value]}}), "the key"), "the key")
    assert refused.value.key == "the key"
    assert refused.value.where.startswith("user.values[1]")


def test_what_is_inside_is_read_and_named_by_its_place() -> None:
    bad: Any = ValueError("x")
    for value, place in [
        (deque([0, bad]), "[1]"),
        (OrderedDict(a=0, b=bad), ".b"),
        (Counter(a=bad), ".a"),
        (defaultdict(list, a=[bad]), ".a[0]"),
        (Pair(1, bad), "[1]"),
    ]:
        with pytest.raises(StateDecodeError) as refused:
            read(jsonpickle.encode({"value": value}))
        assert refused.value.where == f"value{place}"
        with pytest.raises(StateEncodeError) as unwritable:
            codec().encode({"value": value}, "k")
        assert unwritable.value.where == f"value{place}"


def test_the_fields_of_a_dataclass_may_be_any_of_them() -> None:
    held = Holder(
        frozenset([1]), OrderedDict(a=1), Counter("aa"), deque([Profile("Ada")], 2), defaultdict(list, a=[1]), Pair(1)
    )
    for text in (jsonpickle.encode({"value": held}), dumps(codec().encode({"value": held}, "k"), "k").decode()):
        found = read(text)
        assert found == held
        assert (found.queue.maxlen, found.grouped.default_factory) == (2, list)
    with pytest.raises(StateEncodeError, match=r"value\.frozen"):
        codec().encode({"value": Holder(frozenset(["no number"]))}, "k")  # type: ignore[list-item]


def test_a_field_that_a_named_tuple_got_later_has_its_default() -> None:
    assert read(jsonpickle.encode({"value": Pair(1)}).replace("[1, null]", "[1]")) == Pair(1)


_OF = {"py/type": "collections.OrderedDict"}
_RUN: Final = {"py/reduce": [{"py/type": "os.system"}, {"py/tuple": ["true"]}]}


@pytest.mark.parametrize(
    "value",
    [
        {"py/reduce": [{"py/type": "builtins.frozenset"}, {"py/tuple": [[[1]]]}]},
        {"py/reduce": [{"py/type": "builtins.frozenset"}, {"py/tuple": [[_RUN]]}]},
        {"py/reduce": [{"py/type": "builtins.frozenset"}, {"py/tuple": [[1]]}, {"x": 1}]},
        {"py/reduce": [{"py/function": "builtins.frozenset"}, {"py/tuple": [[1]]}]},
        {"py/reduce": [{"py/type": "builtins.frozenset", "py/function": "os.system"}, {"py/tuple": [[1]]}]},
        {"py/reduce": [_OF, {"py/tuple": []}, None, None, {"py/tuple": [{"py/tuple": ["py/object", "os.system"]}]}]},
        {"py/reduce": [_OF, {"py/tuple": []}, None, None, {"py/tuple": [{"py/tuple": ["a", 1]}] * 2}]},
        {"py/reduce": [_OF, {"py/tuple": []}, None, None, {"py/tuple": [["a", 1]]}]},
        {"py/reduce": [_OF, {"py/tuple": [_RUN]}, None, None, {"py/tuple": []}]},
        {"py/reduce": [{"py/type": "collections.Counter"}, {"py/tuple": [{"py/tuple": []}]}]},
        {"py/reduce": [{"py/type": "collections.deque"}, {"py/tuple": [{"py/tuple": []}, -1]}, None, {"py/tuple": []}]},
        {
            "py/reduce": [
                {"py/type": "collections.deque"},
                {"py/tuple": [{"py/tuple": []}, 10**18 * 100]},
                None,
                {"py/tuple": []},
            ]
        },
        {"py/reduce": [{"py/type": "collections.deque"}, {"py/tuple": [[1], 3]}, None, {"py/tuple": []}]},
        {"py/reduce": []},
        {"py/reduce": {"a": 1}},
        {"py/object": "collections.defaultdict", "default_factory": {"py/type": "os.system"}},
        {"py/object": "collections.defaultdict", "default_factory": {"py/function": "builtins.list"}},
        {"py/object": "collections.defaultdict", "default_factory": None},
        {"py/object": "collections.defaultdict", "py/state": None},
        {"py/object": "builtins.complex", "py/newargs": {"py/tuple": [1, "2"]}},
        {"py/object": "builtins.complex", "py/newargs": {"py/tuple": [True, 1]}},
        {"py/object": "builtins.complex", "py/newargs": {"py/tuple": [10**400, 0]}},
        {"py/object": f"{__name__}.Pair"},
        {"py/object": f"{__name__}.Pair", "py/newargs": {"py/tuple": []}},
        {"py/object": f"{__name__}.Pair", "py/newargs": {"py/tuple": [1, 2, 3]}},
        {"py/object": f"{__name__}.Pair", "py/newargs": {"py/tuple": [1, 2]}, "py/seq": [2, 1]},
        {"py/object": f"{__name__}.Pair", "py/newargs": {"py/tuple": [1]}, "py/state": {"x": 1}},
        {"py/object": f"{__name__}.Pair", "py/newargs": {"py/tuple": [_RUN]}},
        {"py/object": f"{__name__}.Pair", "py/newargsex": [{"py/tuple": [1]}, {}]},
        {"py/object": f"{__name__}.Profile", "py/newargs": {"py/tuple": ["Ada"]}},
        {"py/object": f"{__name__}.Profile", "py/state": ["Ada"]},
        {"py/object": f"{__name__}.Profile", "py/state": {"py/reduce": _RUN["py/reduce"]}},
        {"py/object": f"{__name__}.Profile", "py/state": {"name": "Ada"}, "name": "Eve"},
        {"py/object": f"{__name__}.Profile", "py/state": {"__class__": _RUN}},
        {"py/object": f"{__name__}.Profile", "py/state": {"name": _RUN}},
        {"py/object": f"{__name__}.Profile", "py/state": {"name": 7}},
        {"py/object": f"{__name__}.Stateful", "py/state": {"name": "Ada"}},
        {"py/object": f"{__name__}.Unknown", "py/state": {"one": 1}},
    ],
    ids=repr,
)
def test_other_shapes_are_refused_and_nothing_is_run(value: Any) -> None:
    with pytest.raises(StateDecodeError) as refused:
        read(json.dumps({"value": value}))
    assert refused.value.where.startswith("value")
    assert not Plain.ran


@pytest.mark.parametrize("name", ["\ud800", "a\udfff"])
def test_a_key_that_is_no_text_is_refused(name: str) -> None:
    ordered = {"py/reduce": [_OF, {"py/tuple": []}, None, None, {"py/tuple": [{"py/tuple": [name, 1]}]}]}
    for value in (ordered, {name: 1}, {"py/object": "collections.defaultdict", name: 1}):
        with pytest.raises(StateDecodeError, match="surrogate"):
            codec().decode({"value": value}, "k")


def test_nesting_without_end_is_refused_in_them_too() -> None:
    deep: Any = []
    for _ in range(2_000):
        deep = {"py/reduce": [{"py/type": "builtins.frozenset"}, {"py/tuple": [[deep]]}]}
    with pytest.raises(StateDecodeError, match="too deeply"):
        codec().decode({"value": deep}, "k")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('{"py/object": "%s.Profile", "py/state": {"name": "Ada", "tags": ["x"]}}', Profile("Ada", ["x"])),
        ('{"py/object": "%s.Profile", "py/state": null}', Profile()),
        ('{"py/object": "%s.Slotted", "py/state": {"py/tuple": [null, {"a": 1}]}}', Slotted(1)),
        ('{"py/object": "%s.Pair", "py/newargs": {"py/tuple": [1, [2]]}, "py/state": null}', Pair(1, [2])),
        ('{"py/object": "builtins.complex", "py/newargs": {"py/tuple": [1.0, 2.0]}, "py/state": null}', 1 + 2j),
        (
            '{"py/object": "datetime.datetime", "__reduce__": [{"py/type": "datetime.datetime"}, ["B+oBAgAAAAAAAA==", '
            '{"py/reduce": [{"py/function": "None.ZoneInfo._unpickle"}, {"py/tuple": ["UTC", 1]}]}]]}',
            datetime(2026, 1, 2, tzinfo=ZoneInfo("UTC")),
        ),
        ('{"py/object": "%s.Pair", "py/newargs": {"py/tuple": [1, 2]}, "py/seq": [1, 2]}', Pair(1, 2)),
    ],
)
def test_what_jsonpickle_1_wrote_on_python_3_11_is_read(value: str, expected: Any) -> None:
    found = read(f'{{"value": {value.replace("%s", __name__)}}}')
    assert (type(found), found) == (type(expected), expected)


def test_dialogs_that_jsonpickle_1_wrote_on_python_3_11_are_read() -> None:
    there = Codec()
    there.register_dialogs()
    text = (
        '{"DialogState": {"py/object": "botbuilder.dialogs.dialog_state.DialogState", "py/state": {"_dialog_stack": '
        '[{"py/object": "botbuilder.dialogs.dialog_instance.DialogInstance", "py/state": '
        '{"id": "steps", "state": {"stepIndex": 1}}}]}}}'
    )
    state = there.decode(loads(text, "k"), "k")["DialogState"]
    assert [(each.id, each.state) for each in state.dialog_stack] == [("steps", {"stepIndex": 1})]


def test_utc_is_utc() -> None:
    assert read(jsonpickle.encode({"value": datetime(2026, 1, 2, tzinfo=pytz.utc)})).tzinfo is UTC
