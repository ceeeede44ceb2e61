"""State as JSON text, and objects as JSON: what may be stored, and how it is spelled.

Objects are spelled as the stock storages spell them, `{"py/object": "package.module.Class", ...attributes}`, so that
documents move over and back. What the stock codec (jsonpickle) adds to that can run code when it is read; here a
document only ever names a class that this program has registered, and nothing else.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import math
from collections.abc import Mapping
from typing import Any, Final

from storage.contract import JsonObject
from storage.errors import StateDecodeError, StateEncodeError
from storage.sdk_types import sdk_type

E_TAG: Final = "e_tag"
TAG: Final = "py/object"
TUPLE: Final = "py/tuple"
_RESERVED = "py/"
_EXACT = 2**53 - 1  # beyond it a JSON number is rounded by every service that reads it as a double (RFC 8259 section 6)


@dataclasses.dataclass(frozen=True, slots=True)
class Undecoded:
    """A value in which an unregistered class occurs, kept as the JSON it was and stored again as such."""

    json: Any


class _UnknownClass(StateDecodeError):
    """Raised when an object names a class that is not registered."""


class Codec:
    """Turns state into JSON values and back. One for each storage: it knows the classes that may occur."""

    def __init__(self) -> None:
        self._classes: dict[str, type] = {}

    def register(self, cls: type) -> None:
        """Allow objects of `cls` in state: a dataclass, or a class whose state is its `__dict__`.

        Raises TypeError for a class whose objects carry their state elsewhere (built-in types, enums).
        """
        if not is_storable(cls):
            raise TypeError(f"{_tag(cls)} cannot be registered: expected a dataclass or a class with a __dict__")
        self._classes[_tag(cls)] = cls

    def encode(self, value: object, key: str, where: str = "") -> Any:
        """Return `value` as JSON values of its own, nothing shared with the input.

        Raises `StateEncodeError` with the place of the first value that cannot be stored.
        """
        return _Encoder(self, key).encode(value, where)

    def decode(self, value: Any, key: str, where: str = "", *, keep_unknown: bool = False) -> Any:
        """Return what `encode` was given. With `keep_unknown`, a value with an unregistered class stays `Undecoded`.

        Raises `StateDecodeError` with the place of an object whose class is not registered or does not fit.
        """
        try:
            return _Decoder(self, key).decode(value, where)
        except _UnknownClass:
            if keep_unknown:
                return Undecoded(value)
            raise

    def class_of(self, tag: str) -> type | None:
        """The class that may be stored under `tag`, or None."""
        return self._classes.get(tag) or sdk_type(tag)


def dumps(value: Mapping[str, Any], key: str) -> bytes:
    """Return a document's JSON text in UTF-8. Raises `StateEncodeError` where `value` is not plain JSON."""
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


def _tag(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


class _Encoder:
    def __init__(self, codec: Codec, key: str) -> None:
        self._codec = codec
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
            if name.startswith(_RESERVED):
                raise self._error(where, f'has the key {name!r}; keys starting with "{_RESERVED}" are reserved')
            self._text(name, where)
            encoded[str(name)] = self.encode(item, _inside(where, name))
        return encoded

    def _object(self, value: object, where: str) -> JsonObject:
        tag = _tag(type(value))
        if self._codec.class_of(tag) is not type(value):
            raise self._error(
                where, f"is a {tag}, which is not registered: storage.codec.register({type(value).__name__})"
            )
        return {TAG: tag, **self._mapping(_attributes(value), where or type(value).__name__)}

    def _error(self, where: str, reason: str) -> StateEncodeError:
        return StateEncodeError(self._key, where or "the top", reason)


class _Decoder:
    def __init__(self, codec: Codec, key: str) -> None:
        self._codec = codec
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
            if name.startswith(_RESERVED):
                raise StateDecodeError(self._key, where, f"{name!r} is not read: it could run code")
        return {name: self.decode(item, _inside(where, name)) for name, item in value.items()}

    def _object(self, value: JsonObject, where: str) -> Any:
        tag = value[TAG]
        cls = self._codec.class_of(tag) if isinstance(tag, str) else None
        if cls is None:
            raise _UnknownClass(self._key, where, f"is a {tag}, which is not registered: storage.codec.register(...)")
        where = where or cls.__name__
        attributes = {name: self.decode(item, _inside(where, name)) for name, item in value.items() if name != TAG}
        try:
            return _build(cls, attributes)
        except (TypeError, ValueError, AttributeError) as error:
            raise StateDecodeError(self._key, where, f"does not fit {tag}: {error}") from error


def _attributes(value: object) -> dict[str, Any]:
    if hasattr(value, "__dict__"):
        return vars(value)
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return {}


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


def _inside(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name
