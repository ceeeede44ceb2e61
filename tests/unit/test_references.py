"""Stock documents in which a value occurs more than once: `{"py/id": n}` is read as jsonpickle reads it."""

from __future__ import annotations

import collections
import dataclasses
import enum
import json
import uuid
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

import jsonpickle
import pytest
from botbuilder.core import MessageFactory
from botbuilder.schema import Activity
from hypothesis import given
from hypothesis import strategies as st
from jsonpickle.pickler import Pickler
from jsonpickle.unpickler import Unpickler

from storage import Codec, StateDecodeError
from storage.codec import as_object, loads


@dataclasses.dataclass
class Node:
    left: Any = None
    right: Any = None


class Plain:
    def __init__(self, content: Any) -> None:
        self.content = content

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Plain) and other.content == self.content

    def __hash__(self) -> int:
        return 1


class Color(enum.Enum):
    RED = "red"
    MIXED = ("red", "green")


Pair = collections.namedtuple("Pair", "one two")

_ACTIVITY: Final = Activity().deserialize(
    {"timestamp": "2026-01-02T03:04:05Z", "localTimestamp": "2026-01-02T03:04:05+05:30"}
)
BERLIN: Final = timezone(timedelta(hours=1))
# Each of these exists once in the process, so that it is shared wherever it occurs twice.
SINGLE: Final[list[Any]] = [
    Color.RED,
    Color.MIXED,
    datetime(2026, 1, 2, 3, 4, 5, 6),
    datetime(2026, 1, 2, tzinfo=UTC),
    datetime(2027, 1, 2, tzinfo=UTC),
    datetime(2026, 1, 2, tzinfo=BERLIN),
    datetime(2026, 1, 2, tzinfo=ZoneInfo("Europe/Berlin")),
    _ACTIVITY.timestamp,
    _ACTIVITY.local_timestamp,
    date(2026, 1, 2),
    time(1, 2, 3, 4, tzinfo=BERLIN),
    timedelta(days=-1, seconds=2),
    Decimal("1.50"),
    uuid.UUID(int=7),
    b"bytes",
    {1, 2},
]
NAMES: Final = st.sampled_from("abcdefg")
LEAVES: Final = st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.text(max_size=3), st.sampled_from(SINGLE))


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, Any]:
    """State in which any value may occur any number of times, in any container: a graph without cycles."""
    values: list[Any] = [draw(LEAVES) for _ in range(draw(st.integers(1, 4)))]
    pick = st.deferred(lambda: st.sampled_from(values))
    containers = st.one_of(
        st.lists(pick, max_size=4),
        st.dictionaries(NAMES, pick, max_size=4),
        st.lists(pick, max_size=3).map(tuple),
        st.builds(Node, pick, pick),
        st.builds(Plain, pick),
    )
    for _ in range(draw(st.integers(1, 8))):
        values.append(draw(containers))  # noqa: PERF401 - the next one may hold it
    state: dict[str, Any] = draw(st.dictionaries(NAMES, st.sampled_from(values), min_size=1, max_size=5))
    return state


def codec() -> Codec:
    made = Codec()
    for cls in (Node, Plain, Color):
        made.register(cls)
    return made


@given(graphs())
def test_a_stock_document_is_read_as_the_stock_storages_read_it(state: dict[str, Any]) -> None:
    text = jsonpickle.encode(state)  # Blob
    flat = json.loads(json.dumps(Pickler().flatten(state)))  # Cosmos
    expected = Unpickler().restore(json.loads(text))

    assert codec().decode(loads(text, "k"), "k") == expected == state
    assert codec().decode(as_object(flat, "k"), "k") == state


@given(graphs())
def test_stock_reads_what_is_written_here_in_its_place(state: dict[str, Any]) -> None:
    read = codec().decode(loads(jsonpickle.encode(state), "k"), "k")
    written = json.dumps(codec().encode(read, "k"))

    assert '"py/id"' not in written
    assert Unpickler().restore(json.loads(written)) == state


def test_what_nobody_registered_is_numbered_all_the_same() -> None:
    shared = [1]
    strange: list[Any] = [
        Pair([2], {"x": shared}),
        collections.OrderedDict(a=[3], b=shared),
        collections.defaultdict(list, a=[4]),
        collections.deque([[5], shared]),
        iter([[6], shared]),
        1 + 2j,
        frozenset([7]),
        MessageFactory.text("hi"),
        ValueError([8]),
    ]
    for value in strange:
        text = jsonpickle.encode({"other": value, "first": shared, "second": shared})
        assert text.count("py/id") > 0
        assert loads(text, "k")["second"] == [1], text


def test_each_occurrence_is_a_value_of_its_own() -> None:
    shared = [1]
    state = codec().decode(loads(jsonpickle.encode({"a": shared, "b": shared}), "k"), "k")
    state["a"].append(2)
    assert state["b"] == [1]


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ({"a": [1], "b": {"c": [0, {"py/id": 9}]}}, "b.c[1]"),
        ({"a": {"py/id": 1}, "b": [1]}, "a"),  # comes later
        ({"a": [1], "b": {"py/id": -1}}, "b"),
        ({"a": [1], "b": {"py/id": True}}, "b"),
        ({"a": [1], "b": {"py/id": "1"}}, "b"),
        ({"a": [1], "b": {"py/id": 1.0}}, "b"),
        ({"a": [1], "b": {"py/id": None}}, "b"),
        ({"a": {"py/id": 0}}, "a"),
        ({"a": [{"py/id": 1}]}, "a[0]"),
        ({"a": {"py/object": "x.Y", "me": {"py/id": 1}}}, "a.me"),
    ],
)
def test_a_reference_to_nothing_or_to_what_is_around_it_is_refused(document: dict[str, Any], place: str) -> None:
    with pytest.raises(StateDecodeError) as in_text:
        loads(json.dumps(document), "k")
    with pytest.raises(StateDecodeError) as in_value:
        as_object(document, "k")
    assert (in_text.value.key, in_text.value.where) == (in_value.value.key, in_value.value.where) == ("k", place)


def test_a_few_references_that_stand_for_billions_of_values_are_refused() -> None:
    doubled: list[Any] = [[1]]
    doubled += [[{"py/id": number}, {"py/id": number}] for number in range(2, 40)]
    with pytest.raises(StateDecodeError, match="100,000"):
        loads(json.dumps({"a": doubled}), "k")


def test_an_escaped_slash_hides_no_reference() -> None:
    assert loads(b'{"a":[1],"b":{"py\\/id":1}}', "k") == loads(b'{"a":[1],"b":{"py\\u002fid":1}}', "k")
    with pytest.raises(StateDecodeError, match="py/id"):
        codec().decode(loads(b'{"a":[1],"b":{"\\u0070y/id":1}}', "k"), "k")
