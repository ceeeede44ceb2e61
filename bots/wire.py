"""Activities as JSON and back: what msrest makes of them, at a fraction of its cost.

The SDK's models describe themselves (`_attribute_map`); msrest interprets that description anew for each of an
activity's 47 fields, each time. Here each class is read once. Whatever is not plainly what the description says (a
text in a field of numbers, an object where a model is expected) is left to msrest, so both always agree.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, NamedTuple

from botbuilder.schema import Activity, _models_py3
from msrest.serialization import Deserializer, Model, Serializer

from storage.contract import JsonObject

_MODELS: Final = {name: found for name, found in vars(_models_py3).items() if isinstance(found, type)}
_SERIALIZER: Final = Serializer(_MODELS)  # type: ignore[no-untyped-call]
_DESERIALIZER: Final = Deserializer(_MODELS)  # type: ignore[no-untyped-call]
_PLAIN: Final = {"str": str, "bool": bool, "int": int, "float": float}
# The forms that channels send; the years and offsets are such that no time leaves the calendar when made UTC.
_TIME: Final = re.compile(r"[12]\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3}|\.\d{6}|)(Z|[+-]\d\d:\d\d)", re.ASCII)
_UNKNOWN: Final = "additional_properties"


class _Unusual(Exception):
    """Raised for what msrest has to look at."""


_Field = tuple[str, type | None, Callable[[Any], Any]]
"""A field's name on the other side, the type of which a value is the same on both, what converts any other value."""


class _Fields(NamedTuple):
    """Of a model: how each is written, by its name in Python, and read, by its name in JSON."""

    writing: dict[str, _Field]
    reading: dict[str, _Field]


_COMPILED: Final[dict[type[Any], _Fields]] = {}


def to_json(activity: Activity) -> JsonObject:
    """Return `activity` as the JSON that a channel is sent. Raises what msrest raises for one that cannot be sent."""
    try:
        return _write(activity)
    except _Unusual:
        serialized: JsonObject = _SERIALIZER.body(activity, "Activity")  # type: ignore[no-untyped-call]
        return serialized


def from_json(plain: JsonObject) -> Activity:
    """Return the activity that `plain` describes; it may share parts of it. Raises what msrest raises for others."""
    try:
        return _read(Activity, plain)
    except _Unusual:
        return _DESERIALIZER("Activity", plain)


def _write(model: Any) -> JsonObject:
    values = vars(model)
    fields = _fields_of(type(model)).writing
    written = {}
    for name, value in values.items():
        if value is not None and name in fields:
            key, plain, write = fields[name]
            written[key] = value if type(value) is plain else write(value)
    if "_attribute_map" in values:  # the model's own, with its unknown properties: see bots.turn.recorded
        written.update(values[_UNKNOWN])
    return written


def _read(cls: type[Any], plain: Any) -> Any:
    if type(plain) is not dict:
        raise _Unusual
    fields = _fields_of(cls).reading
    values, unknown = {}, {}
    for key, value in plain.items():
        if key not in fields:
            unknown[key] = value
        elif value is not None:
            name, kind, read = fields[key]
            values[name] = value if type(value) is kind else read(value)
    model = cls(**values)
    if unknown:
        model.additional_properties = unknown
    return model


def _fields_of(cls: type[Any]) -> _Fields:
    if cls not in _COMPILED:
        _COMPILED[cls] = _compile(cls)
    return _COMPILED[cls]


def _compile(cls: type[Any]) -> _Fields:
    if not issubclass(cls, Model) or cls._validation or cls._subtype_map:
        raise _Unusual
    described = {name: (each["key"], each["type"]) for name, each in cls._attribute_map.items()}
    if any("." in key or not key for key, _ in described.values()):
        raise _Unusual
    return _Fields(
        {name: (key, _PLAIN.get(kind), _writer(kind)) for name, (key, kind) in described.items()},
        {key: (name, _PLAIN.get(kind), _reader(kind)) for name, (key, kind) in described.items()},
    )


def _writer(kind: str) -> Callable[[Any], Any]:
    if kind in _PLAIN:
        return _exactly(_PLAIN[kind])
    if kind in ("object", "{object}"):
        return _copied if kind == "object" else _copied_object
    if kind == "iso-8601":
        return _written_time
    if kind[0] + kind[-1] == "[]":
        return _each(_writer(kind[1:-1]))
    return _written_as(_MODELS[kind]) if kind in _MODELS else _unusual


def _reader(kind: str) -> Callable[[Any], Any]:
    if kind in _PLAIN:
        return _exactly(_PLAIN[kind])
    if kind in ("object", "{object}"):
        return _as_is if kind == "object" else _object
    if kind == "iso-8601":
        return _read_time
    if kind[0] + kind[-1] == "[]":
        return _each(_reader(kind[1:-1]))
    return (lambda plain: _read(_MODELS[kind], plain)) if kind in _MODELS else _unusual


def _exactly(expected: type) -> Callable[[Any], Any]:
    def same(value: Any) -> Any:
        if type(value) is not expected:
            if expected is str and isinstance(value, str) and hasattr(value, "value"):
                return value.value  # the SDK's enums of texts
            raise _Unusual
        return value

    return same


def _each(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def converted(values: Any) -> Any:
        if type(values) is not list or None in values:
            raise _Unusual
        return [convert(value) for value in values]

    return converted


def _written_as(cls: type[Any]) -> Callable[[Any], Any]:
    def written(value: Any) -> Any:
        if not isinstance(value, cls):
            raise _Unusual
        return _write(value)

    return written


def _copied(value: Any) -> Any:
    kind = type(value)
    if kind is str or kind is bool or kind is int or kind is float or value is None:
        return value
    if kind is list:
        return [_copied(item) for item in value]
    if kind is dict:
        return _copied_object(value)
    if isinstance(value, Model):
        return _write(value)
    raise _Unusual


def _copied_object(value: Any) -> Any:
    if type(value) is not dict or any(type(key) is not str for key in value):
        raise _Unusual
    return {key: _copied(item) for key, item in value.items()}


def _as_is(value: Any) -> Any:
    return value


def _object(value: Any) -> Any:
    if type(value) is not dict:
        raise _Unusual
    return value


def _unusual(_value: Any) -> Any:
    raise _Unusual


def _written_time(value: Any) -> Any:
    if type(value) is not datetime:
        raise _Unusual
    return Serializer.serialize_iso(value)  # type: ignore[no-untyped-call]


def _read_time(text: Any) -> Any:
    if type(text) is not str or not _TIME.fullmatch(text):
        raise _Unusual
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise _Unusual from None
