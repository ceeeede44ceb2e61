"""Activities become JSON and are read again as msrest does it, whatever is in them."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from azure.core.exceptions import DeserializationError
from botbuilder.schema import Activity, ActivityTypes, Attachment, CardAction, Entity, HeroCard, Mention, _models_py3
from hypothesis import given
from hypothesis import strategies as st
from msrest.serialization import Deserializer, Model, Serializer

from bots.copies import copy_of
from bots.wire import from_json, to_json

MODELS = {name: found for name, found in vars(_models_py3).items() if isinstance(found, type)}
SERIALIZER: Any = Serializer(MODELS)  # type: ignore[no-untyped-call]
DESERIALIZER: Any = Deserializer(MODELS)  # type: ignore[no-untyped-call]

_SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
_JSON = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
_TIMES = st.datetimes(timezones=st.just(UTC) | st.just(timezone(timedelta(hours=-3, minutes=-30))))


def json_of(kind: str, depth: int) -> st.SearchStrategy[Any]:
    """JSON for a field of that kind."""
    plain: dict[str, st.SearchStrategy[Any]] = {
        "str": st.text(max_size=5),
        "bool": st.booleans(),
        "int": st.integers(),
        "float": st.floats(allow_nan=False, allow_infinity=False),
        "object": _JSON,
        "{object}": st.dictionaries(st.text(max_size=5), _JSON, max_size=2),
        "iso-8601": _TIMES.map(datetime.isoformat) | st.text(max_size=5),
    }
    if kind in plain:
        return plain[kind]
    if kind[0] == "[":
        return st.lists(json_of(kind[1:-1], depth), max_size=2)
    return model_json(kind, depth - 1) if depth and kind in MODELS else st.just({})


def model_json(name: str, depth: int = 2) -> st.SearchStrategy[dict[str, Any]]:
    """JSON for a model: some of its fields, one of them perhaps of a wrong type, perhaps an unknown one."""
    described: Any = MODELS[name]
    fields = {each["key"]: json_of(each["type"], depth) for each in described._attribute_map.values()}
    known = st.fixed_dictionaries({}, optional={key: strategy | _rarely_wrong() for key, strategy in fields.items()})
    return st.builds(
        lambda one, other: {**other, **one}, known, st.dictionaries(st.text(max_size=3), _JSON, max_size=1)
    )


def _rarely_wrong() -> st.SearchStrategy[Any]:
    return st.integers(0, 9).flatmap(lambda number: _JSON if number == 0 else st.none())


def outcome(act: Any, argument: Any) -> Any:
    try:
        return act(argument)
    except Exception as error:
        return type(error)


@given(model_json("Activity"))
def test_an_activity_of_any_shape_is_read_and_written_as_msrest_does_it(plain: dict[str, Any]) -> None:
    theirs = outcome(lambda each: DESERIALIZER("Activity", each), copy.deepcopy(plain))
    ours = outcome(from_json, copy.deepcopy(plain))
    assert ours == theirs
    if isinstance(theirs, Activity):
        body = outcome(lambda each: SERIALIZER.body(each, "Activity"), copy.deepcopy(theirs))
        written = outcome(to_json, ours)
        assert json.dumps(written, sort_keys=True, default=repr) == json.dumps(body, sort_keys=True, default=repr)
        assert not isinstance(written, dict) or _unknown(ours) == _unknown(theirs)


def _unknown(model: Model) -> Any:
    return [each.additional_properties for each in vars(model).values() if isinstance(each, Model)]


ACTIVITIES = [
    Activity(type=ActivityTypes.message, text="hi", input_hint="acceptingInput"),
    Activity(type="message", timestamp=datetime(2026, 1, 2, 3, 4, 5, 678901, timezone(timedelta(hours=2)))),
    Activity(
        type="message",
        attachments=[Attachment(content_type="card", content=HeroCard(buttons=[CardAction(type="imBack", value=1)]))],
    ),
    Activity(type="message", entities=[Mention(text="<at>x</at>"), Entity(type="clientInfo")]),
    Activity(type="message", entities=[{"type": "mention", "text": "x"}]),
    Activity(type="message", channel_data={"a": [1, None, {"b": 2.5}], "when": datetime(2026, 1, 1, tzinfo=UTC)}),
    Activity(type="message", value=ActivityTypes.event),
    Activity(type="message", text=5, channel_data=(1, 2)),
    Activity(type="message", attachments=[None]),
    Activity(type="message", from_property={"id": "u"}),
    Activity(type="message", value=b"bytes"),
]


@pytest.mark.parametrize("activity", ACTIVITIES)
def test_an_activity_that_a_bot_makes_is_written_as_msrest_writes_it(activity: Activity) -> None:
    theirs = outcome(lambda each: SERIALIZER.body(each, "Activity"), copy.deepcopy(activity))
    assert outcome(to_json, activity) == theirs


@pytest.mark.parametrize(
    "time",
    [
        "2026-11-22T12:00:00Z",
        "2026-11-22T12:00:00.123+02:00",
        "2026-11-22T24:00:00Z",
        "2026-11-22",
        "20261122T120000Z",
        "2026-11-22t12:00:00.1234567z",
    ],
)
def test_times_are_read_in_every_form(time: str) -> None:
    try:
        expected = DESERIALIZER("Activity", {"timestamp": time}).timestamp
    except DeserializationError:
        with pytest.raises(DeserializationError):
            from_json({"timestamp": time})
    else:
        assert from_json({"timestamp": time}).timestamp == expected


@given(model_json("Activity"))
def test_a_copy_is_equal_and_changes_alone(plain: dict[str, Any]) -> None:
    activity = outcome(from_json, plain)
    if isinstance(activity, Activity):
        before = copy.deepcopy(activity)
        copied = copy_of(activity)
        assert copied == activity
        for value in vars(copied).values():
            if isinstance(value, (list, dict)):
                value.clear()
            elif isinstance(value, Model):
                vars(value).clear()
        assert activity == before
