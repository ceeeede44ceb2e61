"""When two states are the same: what decides whether a turn has changed anything."""

from __future__ import annotations

import copy
from typing import Any

from bots.turn.documents import is_same


def test_what_json_tells_apart_is_another_state() -> None:
    state = {"a": [1, {"b": [None, "x", 1.5]}], "c": {}}
    assert is_same(state, copy.deepcopy(state))
    assert is_same({"a": 1, "b": 2}, {"b": 2, "a": 1})
    pairs: list[tuple[Any, Any]] = [(1, 1.0), (1, True), (0, False), (0.0, -0.0), ("", None), ([], {})]
    for one, other in [*pairs, ([1], [1, 1]), ({"a": 1}, {}), ({"a": 1}, {"b": 1})]:
        assert not is_same({"v": [one]}, {"v": [other]})
