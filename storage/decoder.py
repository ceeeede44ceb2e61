"""State from JSON values: registered classes are built, everything else that names code is refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import datetime
from typing import Any

from storage import times
from storage.contract import JsonObject
from storage.errors import StateDecodeError
from storage.spelling import RESERVED, TAG, TUPLE, inside


class UnknownClass(StateDecodeError):
    """Raised when an object names a class that is not registered."""


class Decoder:
    def __init__(self, class_of: Callable[[str], type | None], key: str) -> None:
        self._class_of = class_of
        self._key = key

    def decode(self, value: Any, where: str) -> Any:
        if isinstance(value, list):
            return [self.decode(item, f"{where}[{i}]") for i, item in enumerate(value)]
        if not isinstance(value, dict):
            return value
        if TAG in value:
            return self._object(value, where)
        if value.keys() == {TUPLE} and isinstance(value[TUPLE], list):
            return tuple(self.decode(value[TUPLE], where))
        for name in value:
            if name.startswith(RESERVED):
                raise StateDecodeError(self._key, where, f"{name!r} is not read: it could run code")
        return {name: self.decode(item, inside(where, name)) for name, item in value.items()}

    def _object(self, value: JsonObject, where: str) -> Any:
        tag = value[TAG]
        if tag == times.TAG:
            return self._time(value, where)
        cls = self._class_of(tag) if isinstance(tag, str) else None
        if cls is None:
            raise UnknownClass(self._key, where, f"is a {tag}, which is not registered: storage.codec.register(...)")
        where = where or cls.__name__
        attributes = {name: self.decode(item, inside(where, name)) for name, item in value.items() if name != TAG}
        try:
            return _build(cls, attributes)
        except (TypeError, ValueError, AttributeError) as error:
            raise StateDecodeError(self._key, where, f"does not fit {tag}: {error}") from error

    def _time(self, value: JsonObject, where: str) -> datetime:
        try:
            return times.read(value)
        except (ValueError, OverflowError) as error:
            raise StateDecodeError(self._key, where, str(error)) from error


def _build(cls: type[Any], attributes: dict[str, Any]) -> Any:
    if not dataclasses.is_dataclass(cls):
        instance = object.__new__(cls)
        instance.__dict__.update(attributes)
        return instance
    init = {field.name for field in dataclasses.fields(cls) if field.init}
    instance = cls(**{name: item for name, item in attributes.items() if name in init})
    for name in attributes.keys() - init:
        object.__setattr__(instance, name, attributes[name])
    return instance
