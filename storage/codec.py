"""State as JSON text, and objects as JSON: what may be stored, and how it is spelled.

Objects are spelled as the stock storages spell them, `{"py/object": "package.module.Class", ...attributes}`, so that
documents move over and back. What the stock codec (jsonpickle) adds to that can run code when it is read; here a
document only ever names a class that this program has registered, and nothing else.
"""

from __future__ import annotations

import dataclasses
import enum
import json
from collections.abc import Mapping
from typing import Any, Final

from storage.contract import JsonObject
from storage.decoder import Decoder, UnknownClass
from storage.encoder import Encoder
from storage.errors import StateDecodeError, StateEncodeError
from storage.sdk_types import sdk_type
from storage.spelling import Undecoded, tag_of

E_TAG: Final = "e_tag"


class Codec:
    """Turns state into JSON values and back. One for each storage: it knows the classes that may occur."""

    def __init__(self) -> None:
        self._classes: dict[str, type] = {}

    def register(self, cls: type) -> None:
        """Allow objects of `cls` in state: a dataclass, or a class whose state is its `__dict__`.

        Raises TypeError for a class whose objects carry their state elsewhere (built-in types, enums).
        """
        if not is_storable(cls):
            raise TypeError(f"{tag_of(cls)} cannot be registered: expected a dataclass or a class with a __dict__")
        self._classes[tag_of(cls)] = cls

    def encode(self, value: object, key: str, where: str = "") -> Any:
        """Return `value` as JSON values of its own, nothing shared with the input.

        Raises `StateEncodeError` with the place of the first value that cannot be stored.
        """
        return Encoder(self.class_of, key).encode(value, where)

    def decode(self, value: Any, key: str, where: str = "", *, keep_unknown: bool = False) -> Any:
        """Return what `encode` was given. With `keep_unknown`, a value with an unregistered class stays `Undecoded`.

        Raises `StateDecodeError` with the place of an object whose class is not registered or does not fit.
        """
        try:
            return Decoder(self.class_of, key).decode(value, where)
        except UnknownClass:
            if keep_unknown:
                return Undecoded(value)
            raise

    def class_of(self, tag: str) -> type | None:
        """The class that may be stored under `tag`, or None."""
        return self._classes.get(tag) or sdk_type(tag)


def dumps(value: Mapping[str, Any], key: str) -> bytes:
    """Return a document's JSON text in UTF-8. Raises `StateEncodeError` where `value` is not a plain JSON object."""
    if not isinstance(value, Mapping):
        raise StateEncodeError(key, "the document", f"is not a JSON object but {type(value).__name__}")
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise StateEncodeError(key, "the document", f"is not plain JSON: {error}") from error


def loads(text: bytes | str, key: str) -> JsonObject:
    """Return a stored document's value. Raises `StateDecodeError` where the text is not a JSON object."""
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise StateDecodeError(key, "", f"is not JSON: {error}") from error
    return as_object(value, key)


def as_object(value: Any, key: str) -> JsonObject:
    """Return `value` where it is a JSON object, the only thing a document can be; else `StateDecodeError`.

    Its `e_tag` is left out: the stock storages write there the ETag that they had read, which is no state.
    """
    if not isinstance(value, dict):
        raise StateDecodeError(key, "", f"is not a JSON object but {type(value).__name__}")
    value.pop(E_TAG, None)
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def is_storable(cls: type) -> bool:
    """Whether the state of an object of `cls` is its attributes, so that it can be stored as them."""
    if dataclasses.is_dataclass(cls):
        return True
    plain = getattr(cls, "__new__", None) is object.__new__ and cls.__dictoffset__ != 0
    return plain and not issubclass(cls, enum.Enum)
