"""State as JSON values. What cannot be read back as it is now is refused, with its place."""

from __future__ import annotations

import enum
import json
import math
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from storage import containers, times
from storage.contract import JsonObject
from storage.limits import LEVELS
from storage.models import Model, is_storable
from storage.scalars import SPELL
from storage.spelling import (
    ARGUMENTS,
    RESERVED,
    SET,
    TAG,
    TUPLE,
    Misfit,
    Undecoded,
    Unregistered,
    converted,
    reduced,
    tag_of,
)

_CONTAINERS: Final[tuple[type, ...]] = (dict, list, tuple, set)


class Encoder:
    """One encoding. Raises `Misfit`.

    Args:
        model_of: the model of a class, or None where it is not registered.
        largest: the largest integer that the service keeps exactly.
    """

    def __init__(self, model_of: Callable[[type], Model | None], largest: int) -> None:
        self._model_of = model_of
        self._largest = largest
        self._parts = containers.Parts(self._items, self._mapping)
        self._open: set[int] = set()  # the containers around the present value, to find cycles

    def encode(self, value: object) -> Any:
        kind = type(value)
        if value is None or kind is bool:
            return value
        if kind is str:
            return _text(value)  # type: ignore[arg-type]
        if kind is int:
            return self._integer(value)  # type: ignore[arg-type]
        if kind is float:
            return _float(value)  # type: ignore[arg-type]
        spell = SPELL.get(kind)
        return spell(value) if spell else self._container(value, kind)

    def _integer(self, value: int) -> int:
        if -self._largest <= value <= self._largest:
            return value
        raise Misfit(f"is an integer that a JSON number cannot hold exactly: {value!r:.40}")

    def _container(self, value: Any, kind: type) -> Any:
        if id(value) in self._open:
            raise Misfit("contains itself")
        self._open.add(id(value))
        try:
            if kind is dict:
                return self._mapping(value)
            if kind is list:
                return self._items(value)
            if kind is tuple:
                return {TUPLE: self._items(value)}
            if kind is set:
                return {SET: sorted(map(self.encode, value), key=json.dumps)}  # in an order of its own, always the same
            spell = containers.SPELL.get(kind)
            return spell(value, self._parts) if spell else self._object(value, kind)
        except RecursionError:
            raise Misfit(f"nested too deeply: the limit is {LEVELS} levels, the document first") from None
        finally:
            self._open.discard(id(value))

    def _items(self, value: list[Any]) -> list[Any]:
        return converted(value, self.encode)

    def _mapping(self, value: dict[Any, Any]) -> JsonObject:
        encoded: JsonObject = {}
        name: Any = None
        try:
            for name, item in value.items():
                if type(name) is not str or name[:3] == RESERVED or not name.isascii():
                    name = _name(name)
                # The commonest values need no call.
                if item is None or (type(item) is str and item.isascii()):
                    encoded[name] = item
                else:
                    encoded[name] = self.encode(item)
        except _BadName as misfit:
            raise Misfit(misfit.reason) from None
        except Misfit as misfit:
            raise misfit.within(str(name)) from None
        return encoded

    def _object(self, value: Any, kind: type) -> Any:
        if kind is Undecoded:
            return json.loads(json.dumps(value.json))
        model = self._model_of(kind)
        if isinstance(value, enum.Enum):
            return self._member(value, model)
        if model:
            return {TAG: model.tag, **self._content(value, model)}
        if isinstance(value, datetime):
            return times.spell_datetime(value)
        for scalar in (str, int, float):
            if isinstance(value, scalar):
                return self.encode(scalar(value))
        for plain in _CONTAINERS:
            if isinstance(value, plain):
                raise Misfit(f"is a {tag_of(kind)}, and would come back as a plain {plain.__name__}: convert it first")
        if not is_storable(kind):
            raise Misfit(f"is a {tag_of(kind)}, which cannot be stored: convert it first")
        raise Unregistered(f"is a {tag_of(kind)}, which is not registered: storage.codec.register({kind.__name__})")

    def _content(self, value: Any, model: Model) -> JsonObject:
        if model.is_tuple:
            return {ARGUMENTS: {TUPLE: self._items(value)}}
        return self._mapping(model.attributes(value))

    def _member(self, value: enum.Enum, model: Model | None) -> Any:
        if model:
            return reduced(model.tag, self.encode(value.value))
        if isinstance(value, str | int):  # nobody said that it should come back as more
            return self.encode(value.value)
        kind = type(value)
        raise Unregistered(f"is a {tag_of(kind)}, which is not registered: storage.codec.register({kind.__name__})")


class _BadName(Misfit):
    """Raised for a member's name; the place is the container's."""


def _name(name: Any) -> str:
    if not isinstance(name, str):
        raise _BadName(f"has the key {name!r}; JSON objects have text keys only")
    if name.startswith(RESERVED):
        raise _BadName(f'has the key {name!r}; keys starting with "{RESERVED}" are reserved')
    return _text(name if type(name) is str else str.__str__(name))


def _text(value: str) -> str:
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Misfit("has a lone surrogate, which is not text") from None
    return value


def _float(value: float) -> float:
    if not math.isfinite(value):
        raise Misfit(f"is not a finite number: {value!r}")
    return value
