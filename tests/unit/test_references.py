"""Stock documents in which a value occurs more than once: `{"py/id": n}` is read as jsonpickle meant it, or refused.

jsonpickle 1 numbers values otherwise than the installed one. Its texts are recorded: `jsonpickle.encode(state)`, of the
state that is beside them, by 1.4.1 on Python 3.10, where nothing else is said.
"""

from __future__ import annotations

import collections
import dataclasses
import enum
import json
import uuid
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import jsonpickle
import pytest
from botbuilder.core import MessageFactory
from botbuilder.schema import Activity
from hypothesis import given
from hypothesis import strategies as st
from jsonpickle.pickler import Pickler
from jsonpickle.unpickler import Unpickler

from bots.logs import short_hash
from storage import Codec, StateDecodeError
from storage.codec import as_object, loads
from storage.numbering import LIKELY


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


class Pair(NamedTuple):
    one: Any
    two: Any = None


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
        st.builds(Pair, pick, pick),
    )
    for _ in range(draw(st.integers(1, 8))):
        values.append(draw(containers))  # noqa: PERF401 - the next one may hold it
    state: dict[str, Any] = draw(st.dictionaries(NAMES, st.sampled_from(values), min_size=1, max_size=5))
    return state


def codec() -> Codec:
    made = Codec()
    for cls in (Node, Plain, Color, Pair):
        made.register(cls)
    return made


@given(graphs())
def test_a_stock_document_is_read_as_the_stock_storages_read_it(state: dict[str, Any]) -> None:
    text = jsonpickle.encode(state)  # Blob
    flat = json.loads(json.dumps(Pickler().flatten(state)))  # Cosmos
    expected = Unpickler().restore(json.loads(text))

    assert codec().decode(loads(text, "k", 3), "k") == expected == state
    assert codec().decode(as_object(flat, "k", 3), "k") == state


@given(graphs())
def test_without_knowing_which_jsonpickle_wrote_it_a_document_is_read_right_or_refused(state: dict[str, Any]) -> None:
    try:
        read = loads(jsonpickle.encode(state), "k")
    except StateDecodeError as refused:
        assert "STOCK_JSONPICKLE" in str(refused)  # noqa: PT017 - it may be raised, and need not be
    else:
        assert codec().decode(read, "k") == state


@given(graphs())
def test_stock_reads_what_is_written_here_in_its_place(state: dict[str, Any]) -> None:
    read = codec().decode(loads(jsonpickle.encode(state), "k", 3), "k")
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
        assert loads(text, "k", 3)["second"] == [1], text


def test_each_occurrence_is_a_value_of_its_own() -> None:
    shared = [1]
    state = codec().decode(loads(jsonpickle.encode({"a": shared, "b": shared}), "k"), "k")
    state["a"].append(2)
    assert state["b"] == [1]


_UTC: Final = (
    '{"py/reduce": [{"py/type": "datetime.timezone"}, {"py/tuple": [{"py/reduce": [{"py/type": "datetime.timedelta"}, '
    '{"py/tuple": [0, 0, 0]}]}]}]}'
)
_TIME: Final = '{"py/object": "datetime.datetime", "__reduce__": [{"py/type": "datetime.datetime"}, ["%s", %s]]}'
_SECOND: Final = '{"py/id": 1}'
_NODE: Final = f'{{"py/object": "{__name__}.Node", "left": "Ada", "right": [2]}}'
_NODE_311: Final = f'{{"py/object": "{__name__}.Node", "py/state": {{"left": "Ada", "right": [2]}}}}'
_NODE_12: Final = f'{{"left": "Ada", "py/object": "{__name__}.Node", "right": [2]}}'
ADA: Final = Node("Ada", [2])
CLEAR: Final[list[tuple[str, dict[str, Any]]]] = [  # of jsonpickle 1, and of no other
    ('{"a": {"x": [1]}, "b": {"x": {"py/id": 0}}}', {"a": {"x": [1]}, "b": {"x": [1]}}),
    (f'{{"user": {_NODE}, "list": [3], "again": {{"py/id": 0}}}}', {"user": ADA, "list": [3], "again": ADA}),
    (f'{{"user": {_NODE_311}, "list": [3], "again": {{"py/id": 0}}}}', {"user": ADA, "list": [3], "again": ADA}),
    (f'{{"again": {_NODE_12}, "list": [3], "user": {{"py/id": 0}}}}', {"user": ADA, "list": [3], "again": ADA}),  # 1.2
    (
        f'{{"at": {_TIME % ("B+oBAgAAAAAAAA==", _UTC)}, "then": [{_TIME % ("B+sBAgAAAAAAAA==", _SECOND)}], '
        f'"x": {{}}, "last": {_TIME % ("B+wBAgAAAAAAAA==", _SECOND)}}}',
        {
            "at": datetime(2026, 1, 2, tzinfo=UTC),
            "then": [datetime(2027, 1, 2, tzinfo=UTC)],
            "x": {},
            "last": datetime(2028, 1, 2, tzinfo=UTC),
        },
    ),
]
OWN: Final = (
    f'{{"pair": {{"py/object": "{__name__}.Pair", "py/newargs": {{"py/tuple": [1, [1]]}}, '
    '"py/seq": [1, {"py/id": 1}]}, "list": {"py/id": 1}}'
)
# The same text of either: what each means by it, and the place where they differ.
UNCLEAR: Final[list[tuple[str, dict[str, Any], dict[str, Any], str]]] = [
    (
        '{"first": [1], "second": [2], "x": [0, {"py/id": 1}]}',
        {"first": [1], "second": [2], "x": [0, [2]]},
        {"first": [1], "second": [2], "x": [0, [1]]},
        "x[1]",
    ),
    (
        f'{{"user": {_NODE}, "list": [3], "again": {{"py/id": 1}}}}',
        {"user": ADA, "list": [3], "again": [2]},
        {"user": ADA, "list": [3], "again": ADA},
        "again",
    ),
]


@pytest.mark.parametrize("release", [None, 1, 3])
@pytest.mark.parametrize(("text", "state"), CLEAR)
def test_what_only_jsonpickle_1_can_have_written_is_read_as_it_meant_it(
    text: str, state: dict[str, Any], release: int | None
) -> None:
    assert codec().decode(loads(text, "k", release), "k") == state
    assert codec().decode(as_object(json.loads(text), "k", release), "k") == state


@pytest.mark.parametrize(("text", "old", "new", "place"), UNCLEAR)
def test_what_both_can_have_written_is_read_as_the_one_that_is_named_meant_it_and_refused_where_none_is(
    text: str, old: dict[str, Any], new: dict[str, Any], place: str
) -> None:
    assert codec().decode(loads(text, "k", 1), "k") == old
    assert codec().decode(loads(text, "k", 3), "k") == new == Unpickler().restore(json.loads(text))
    with pytest.raises(StateDecodeError, match="STOCK_JSONPICKLE") as in_text:
        loads(text, "k")
    with pytest.raises(StateDecodeError, match="STOCK_JSONPICKLE") as in_value:
        as_object(json.loads(text), "k")
    assert (in_text.value.key, in_text.value.where) == (in_value.value.key, in_value.value.where) == ("k", place)


@pytest.mark.parametrize(("text", "_old", "new", "_place"), UNCLEAR)
def test_where_nobody_says_it_is_read_as_of_the_newer_ones_with_a_warning_that_names_nobody(
    text: str, _old: dict[str, Any], new: dict[str, Any], _place: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert codec().decode(loads(text, "emulator/users/ada", LIKELY), "k") == new
    [line] = caplog.messages
    assert f"document={short_hash('emulator/users/ada')}" in line
    assert "STOCK_JSONPICKLE" in line
    assert "ada" not in line


def test_no_warning_is_given_where_both_mean_the_same_or_somebody_says(caplog: pytest.LogCaptureFixture) -> None:
    loads('{"first": [1], "second": [1], "third": {"py/id": 1}}', "k", LIKELY)
    for text, *_ in UNCLEAR:
        loads(text, "k", 3)
        loads(text, "k", 1)
    for text, _ in CLEAR:
        loads(text, "k", LIKELY)
    assert not caplog.messages


def test_what_may_contain_itself_by_the_later_numbering_is_told_apart_by_nobody() -> None:
    assert codec().decode(loads(OWN, "k", 1), "k") == {"pair": Pair(1, [1]), "list": [1]}
    with pytest.raises(StateDecodeError, match="cannot contain itself; or STOCK_JSONPICKLE"):
        loads(OWN, "k", 3)
    with pytest.raises(StateDecodeError, match="STOCK_JSONPICKLE"):
        loads(OWN, "k")
    cyclic = Node()
    cyclic.left, cyclic.right = [1], cyclic
    with pytest.raises(StateDecodeError, match="STOCK_JSONPICKLE"):
        loads(jsonpickle.encode({"node": cyclic}), "k")


def test_what_both_can_have_written_and_mean_the_same_by_is_read() -> None:
    text = '{"first": [1], "second": [1], "third": {"py/id": 1}}'
    assert loads(text, "k") == {"first": [1], "second": [1], "third": [1]}


def test_true_and_one_are_not_the_same() -> None:
    with pytest.raises(StateDecodeError, match="STOCK_JSONPICKLE"):
        loads('{"first": [1], "second": [true], "third": {"py/id": 1}}', "k")


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
