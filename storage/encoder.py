"""State as JSON values. What cannot be read back as it is now is refused, with its place."""

from __future__ import annotations

import dataclasses
import enum
import json
import math
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from storage import times
from storage.contract import JsonObject
from storage.errors import StateEncodeError
from storage.spelling import RESERVED, TAG, TUPLE, Undecoded, inside, tag_of

# Beyond it a JSON number is rounded by every service that reads it as a double (RFC 8259 section 6).
_EXACT: Final = 2**53 - 1


class Encoder:
    def __init__(self, class_of: Callable[[str], type | None], key: str) -> None:
        self._class_of = class_of
        self._key = key
        self._open: set[int] = set()  # the containers around the present value, to find cycles

    def encode(self, value: object, where: str) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, enum.Enum) and isinstance(value, (str, int)):
            value = value.value
        if isinstance(value, str):
            return self._text(value, where)
        if isinstance(value, int):
            return self._number(value, abs(value) <= _EXACT, where, "an integer that a JSON number cannot hold exactly")
        if isinstance(value, float):
            return self._number(value, math.isfinite(value), where, "not a finite number")
        return self._container(value, where)

    def _text(self, value: str, where: str) -> str:
        try:
            value.encode()
        except UnicodeEncodeError:
            raise self._error(where, "has a lone surrogate, which is not text") from None
        return str(value)

    def _number(self, value: float, fits: bool, where: str, reason: str) -> float:
        if not fits:
            raise self._error(where, f"is {reason}: {value!r}")
        return value

    def _container(self, value: object, where: str) -> Any:
        if id(value) in self._open:
            raise self._error(where, "contains itself")
        self._open.add(id(value))
        try:
            if isinstance(value, Undecoded):
                return json.loads(json.dumps(value.json))
            if isinstance(value, dict):
                return self._mapping(value, where)
            if isinstance(value, list):
                return [self.encode(item, f"{where}[{i}]") for i, item in enumerate(value)]
            if isinstance(value, tuple):
                return {TUPLE: [self.encode(item, f"{where}[{i}]") for i, item in enumerate(value)]}
            if isinstance(value, datetime):
                return {TAG: times.TAG, **times.spell(value)}
            return self._object(value, where)
        except RecursionError:
            raise self._error(where[:80], "is nested too deeply") from None
        finally:
            self._open.discard(id(value))

    def _mapping(self, value: dict[Any, Any], where: str) -> JsonObject:
        encoded: JsonObject = {}
        for name, item in value.items():
            if not isinstance(name, str):
                raise self._error(where, f"has the key {name!r}; JSON objects have text keys only")
            if name.startswith(RESERVED):
                raise self._error(where, f'has the key {name!r}; keys starting with "{RESERVED}" are reserved')
            self._text(name, where)
            encoded[str(name)] = self.encode(item, inside(where, name))
        return encoded

    def _object(self, value: object, where: str) -> JsonObject:
        tag = tag_of(type(value))
        if self._class_of(tag) is not type(value):
            raise self._error(
                where, f"is a {tag}, which is not registered: storage.codec.register({type(value).__name__})"
            )
        return {TAG: tag, **self._mapping(_attributes(value), where or type(value).__name__)}

    def _error(self, where: str, reason: str) -> StateEncodeError:
        return StateEncodeError(self._key, where or "the top", reason)


def _attributes(value: object) -> dict[str, Any]:
    if hasattr(value, "__dict__"):
        return vars(value)
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return {}
