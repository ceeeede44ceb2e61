"""State that goes in comes out; what cannot be stored is named by its place, before anything is written."""

from __future__ import annotations

import dataclasses
import enum
import json
import re
from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import Codec, StateDecodeError, StateEncodeError
from storage.codec import dumps, loads


@dataclasses.dataclass
class Point:
    x: Any
    y: Any = None


class Plain:
    def __init__(self, name: str) -> None:
        self.name = name


class Color(enum.StrEnum):
    RED = "red"


NAMES: Final = st.text(st.characters(exclude_categories=["Cs"]), max_size=5).filter(lambda name: name[:3] != "py/")
LEAVES: Final = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**53) + 1, 2**53 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=10),
)
VALUES: Final = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(NAMES, inner, max_size=3),
        st.builds(Point, inner, inner),
    ),
    max_leaves=15,
)
# What is around a bad value: how it is built, and how its place is written.
_AROUND: Final[dict[str, Callable[[object], object]]] = {
    "member": lambda value: {"fine": 1, "m": value},
    "item": lambda value: [0, value],
    "pair": lambda value: (value, 0),
    "object": lambda value: Point(0, value),
}
_PLACES: Final = {"member": ".m", "item": "[1]", "pair": "[0]", "object": ".y"}
STEPS: Final = st.lists(st.sampled_from([*_AROUND]), max_size=6)
BAD: Final = st.sampled_from(
    [
        float("nan"),
        float("-inf"),
        2**63,
        -(2**63),
        bytearray(),
        range(3),
        object(),
        "\ud800",
        Plain("x"),
        {1: 2},
        {"py/x": 1},
    ]
)


def codec() -> Codec:
    made = Codec()
    made.register(Point)
    return made


@given(state=st.dictionaries(NAMES, VALUES, max_size=4))
def test_state_comes_back_from_its_text_as_it_was(state: dict[str, Any]) -> None:
    encoded = codec().encode(state, "k")

    assert codec().decode(json.loads(json.dumps(encoded)), "k") == state


@given(state=st.dictionaries(NAMES, VALUES, max_size=4))
def test_nothing_is_shared_between_state_and_its_encoding(state: dict[str, Any]) -> None:
    before = repr(state)
    first = codec().encode(state, "k")
    text = json.dumps(first)
    first["new"] = 1

    assert json.dumps(codec().encode(state, "k")) == text
    assert repr(state) == before


@given(bad=BAD, steps=STEPS)
def test_what_cannot_be_stored_is_named_by_its_place(bad: object, steps: list[str]) -> None:
    value, place = bad, ""
    for step in steps:
        value, place = _AROUND[step](value), _PLACES[step] + place

    with pytest.raises(StateEncodeError) as refused:
        codec().encode({"state": value}, "the key")

    assert (refused.value.key, refused.value.where) == ("the key", f"state{place}")
    assert "'the key'" in str(refused.value)


def test_a_cycle_is_refused_and_named() -> None:
    state: dict[str, Any] = {"list": []}
    state["list"].append(state)

    with pytest.raises(StateEncodeError, match=r"list\[0\]: contains itself"):
        codec().encode(state, "k")


def test_one_value_in_two_places_is_no_cycle() -> None:
    shared = [1]

    assert codec().encode({"a": shared, "b": shared}, "k") == {"a": [1], "b": [1]}


def test_nesting_without_end_is_refused() -> None:
    state: list[Any] = []
    for _ in range(100_000):
        state = [state]

    with pytest.raises(StateEncodeError, match="nested too deeply: the limit is 127 levels") as refused:
        codec().encode({"state": state}, "k")
    assert re.fullmatch(r"state(\[0\]){50,}\.\.\.", refused.value.where)


@pytest.mark.parametrize("number", [2**63, -(2**63)])
def test_an_integer_that_could_not_be_written_again_is_refused_on_both_sides_of_nothing(number: int) -> None:
    with pytest.raises(StateDecodeError, match="larger than any that can be stored") as refused:
        codec().decode({"n": [number]}, "k")
    assert refused.value.where == "n[0]"
    least = number + 1 if number < 0 else number - 1
    assert codec().decode({"n": least}, "k") == {"n": least}


def test_an_enumeration_of_texts_is_stored_as_its_text() -> None:
    assert codec().encode({"color": Color.RED}, "k") == {"color": "red"}


@pytest.mark.parametrize(
    "text", ["", "{", "nonsense", '{"a": NaN}', "[1]", '"text"', "null", "7", b"\xff", "[" * 9_999]
)
def test_a_document_that_is_no_json_object_raises_and_is_not_empty(text: str | bytes) -> None:
    with pytest.raises(StateDecodeError, match="'the key'"):
        loads(text, "the key")


@given(state=st.dictionaries(NAMES, LEAVES, max_size=4))
def test_a_documents_text_is_utf8_json(state: dict[str, Any]) -> None:
    state.pop("e_tag", None)  # the SDK's place for the ETag: no state

    assert loads(dumps(state, "k"), "k") == state


def test_an_object_of_a_class_nobody_registered_is_named_by_its_place() -> None:
    with pytest.raises(StateDecodeError) as raised:
        codec().decode({"user": [{"py/object": "other.Class"}]}, "k")

    assert (raised.value.key, raised.value.where) == ("k", "user[0]")
    assert "other.Class" in str(raised.value)


@pytest.mark.parametrize("name", ["py/reduce", "py/type", "py/function", "py/id", "py/set", "py/repr"])
def test_what_could_run_code_is_not_read(name: str) -> None:
    with pytest.raises(StateDecodeError, match=name):
        codec().decode({"inner": {name: "os.system"}}, "k")


def test_a_field_that_a_class_does_not_have_or_lacks_is_named() -> None:
    tag = f"{Point.__module__}.Point"

    with pytest.raises(StateDecodeError, match="does not fit"):
        codec().decode({"point": {"py/object": tag, "y": 1}}, "k")
