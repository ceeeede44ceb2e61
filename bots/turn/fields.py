"""Reading the fields of our part of a document: what has the wrong type is an error that names its place."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from bots.turn.texts import GZIP, unpack
from storage.errors import StateDecodeError

if TYPE_CHECKING:
    from storage.contract import JsonObject


class Fields:
    """The fields of one JSON object of the document `key`, found at `where`."""

    def __init__(self, key: str, where: str, value: object) -> None:
        self._key = key
        self._where = where
        if not isinstance(value, dict):
            raise self.error("", f"is {type(value).__name__}, expected an object")
        self._value: JsonObject = value

    def __contains__(self, name: str) -> bool:
        return name in self._value

    def text(self, name: str) -> str:
        return str(self._typed(name, str, "a text"))

    def optional_text(self, name: str) -> str | None:
        return None if self._value.get(name) is None else self.text(name)

    def optional_long_text(self, name: str) -> str | None:
        """A text that may be compressed."""
        if not isinstance(self._value.get(name), dict):
            return self.optional_text(name)
        try:
            return unpack(self.inner(name).text(GZIP))
        except ValueError as error:
            raise self.error(name, str(error)) from error

    def number(self, name: str) -> float:
        value = self._value.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self.error(name, "expected a number")
        return value

    def flag(self, name: str) -> bool:
        return name in self and bool(self._typed(name, bool, "true or false"))

    def texts(self, name: str) -> tuple[str, ...]:
        return tuple(self._text_in(name, item) for item in self._typed(name, list, "a list"))

    def text_map(self, name: str) -> dict[str, str]:
        items = self._typed(name, dict, "an object").items()
        return {key: self._text_in(name, item) for key, item in items}

    def objects(self, name: str) -> list[Fields]:
        items = self._typed(name, list, "a list")
        return [Fields(self._key, f"{self._where}.{name}[{at}]", item) for at, item in enumerate(items)]

    def inner(self, name: str) -> Fields:
        return Fields(self._key, f"{self._where}.{name}", self._value.get(name))

    def json(self, name: str, text: str, kind: type) -> Any:
        """The value that `text`, which is the field `name`, spells; it must be a `kind`."""
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise self.error(name, f"is not JSON: {error}") from error
        if not isinstance(value, kind):
            raise self.error(name, f"spells {type(value).__name__}, expected {kind.__name__}")
        return value

    def error(self, name: str, reason: str) -> StateDecodeError:
        return StateDecodeError(self._key, f"{self._where}.{name}" if name else self._where, reason)

    def _typed(self, name: str, kind: type, expected: str) -> Any:
        value = self._value.get(name)
        if not isinstance(value, kind):
            raise self.error(name, f"is {type(value).__name__}, expected {expected}")
        return value

    def _text_in(self, name: str, value: object) -> str:
        if not isinstance(value, str):
            raise self.error(name, f"holds {type(value).__name__}, expected texts")
        return value
