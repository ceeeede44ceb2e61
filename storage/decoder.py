"""State from JSON values: registered classes are built, everything else that names code is refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from storage.containers import DEFAULTDICT, Parts, read_call, read_defaultdict
from storage.models import Model
from storage.scalars import READ_CALL, READ_OBJECT, read_bytes
from storage.spelling import (
    BYTES,
    REDUCE,
    RESERVED,
    SET,
    STATE,
    TAG,
    TUPLE,
    Misfit,
    Undecoded,
    Unregistered,
    converted,
    is_dunder,
    reduction,
)
from storage.times import read_zone

_NAME: Final = 100  # characters that are told
# Of these none can be registered.
_NOT_THE_BOTS: Final = ("builtins.", "collections.", "datetime.", "zoneinfo.", "types.", "pytz.")
_AS_IT_IS: Final = frozenset((bool, type(None)))


class Decoder:
    """One decoding. Raises `Misfit`, of the kind `Unregistered` for a class that nobody has registered.

    Args:
        model_of: the model of the class that is stored under a name, or None.
        largest: the largest integer that can be written again.
    """

    def __init__(self, model_of: Callable[[str], Model | None], largest: int) -> None:
        self._model_of = model_of
        self._largest = largest
        self._parts = Parts(self._items, self._plain)

    def decode(self, value: Any) -> Any:
        kind = type(value)
        if kind is str:
            if not value.isascii():
                _require_text(value)
            return value
        if kind in _AS_IT_IS:
            return value
        if kind is int:
            if not -self._largest <= value <= self._largest:
                raise Misfit("is an integer larger than any that can be stored exactly")
            return value
        if kind is float:
            if not math.isfinite(value):
                raise Misfit("is a number larger than any")
            return value
        if kind is dict:
            return self._object(value) if TAG in value else self._members(value)
        return self._items(value)

    def _items(self, items: list[Any]) -> list[Any]:
        return converted(items, self.decode)

    def _members(self, value: dict[str, Any]) -> Any:
        decoded: dict[str, Any] = {}
        for name, item in value.items():
            if name[:3] == RESERVED:
                return self._special(value, name)
            if not name.isascii():
                _require_text(name)
            try:
                decoded[name] = self.decode(item)
            except Misfit as misfit:
                raise misfit.within(name) from None
        return decoded

    def _special(self, value: dict[str, Any], name: str) -> Any:
        """A value that has a name of the codec's own: one of the known shapes, or refused."""
        content = value[name]
        if len(value) == 1:
            if name == TUPLE and type(content) is list:
                return tuple(self._items(content))
            if name == SET and type(content) is list:
                return _attempt(set, self._items(content))
            if name == BYTES:
                return _attempt(read_bytes, content)
            if name == REDUCE and type(content) is list:
                return self._call(value, content)
        raise Misfit(f"{name!r} is not read: it could run code")

    def _plain(self, value: dict[str, Any]) -> dict[str, Any]:
        reserved = next((name for name in value if name[:3] == RESERVED), None)
        if reserved:
            raise Misfit(f"{reserved!r} is not read: it could run code")
        members: dict[str, Any] = self._members(value)
        return members

    def _call(self, value: dict[str, Any], parts: list[Any]) -> Any:
        tag, arguments = reduction(value) or ("", [])
        read = READ_CALL.get(tag)
        if read:
            return _attempt(read, arguments)
        container = _attempt(lambda call: read_call(call, self._parts), parts)
        if container is not None:
            return container
        zone = _attempt(read_zone, value)
        if zone is not None:
            return zone
        if not tag:
            raise Misfit(f"{REDUCE!r}{_called(parts)} is not read: it could run code")
        if len(arguments) != 1:
            raise Misfit(f"'py/reduce' of {tag} is not read: it could run code")
        model = self._registered(tag)
        if not model.is_enum:
            raise Misfit(f"'py/reduce' of {tag} is not read: it is no enumeration")
        return _attempt(model.cls, self.decode(arguments[0]))

    def _object(self, value: dict[str, Any]) -> Any:
        tag = value[TAG]
        if type(tag) is not str:
            raise Misfit(f"names no class: {TAG!r} is {type(tag).__name__}")
        read = READ_OBJECT.get(tag)
        if read:
            return _attempt(read, value)
        if tag == DEFAULTDICT:
            return read_defaultdict(value, self._parts)
        model = self._registered(tag)
        if model.is_enum:
            raise Misfit(f"is not spelled as an enumeration, which {tag} is")
        if model.is_tuple:
            return model.build_tuple(self._items(_tuple_items(value)))
        return self._built(value, model)

    def _built(self, value: dict[str, Any], model: Model) -> Any:
        if STATE in value:
            value = {TAG: model.tag, **_state(value, model)}
        model.require_readable(value)
        is_old = model.is_old(value)
        attributes: dict[str, Any] = {}
        misfits: dict[str, Misfit] = {}
        for name, item in value.items():
            if name == TAG:
                continue
            if name[:3] == RESERVED or is_dunder(name):
                raise Misfit(f"{name!r} is not read: it could run code")
            try:
                attributes[name] = self.decode(item)
            except Misfit as misfit:
                misfit.within(name)
                if not is_old:
                    raise
                attributes[name] = Undecoded(item)  # for the steps, which may know what it was
                misfits[name] = misfit
        return model.build(attributes, misfits)

    def _registered(self, tag: str) -> Model:
        model = self._model_of(tag)
        if model is None:
            advice = "" if tag.startswith(_NOT_THE_BOTS) else ": storage.codec.register(...)"
            raise Unregistered(f"is a {tag}, which is not registered{advice}")
        return model


def _called(parts: list[Any]) -> str:
    """What a pickled call would call, for the message."""
    match parts[:1]:
        case [{"py/type": str(name)} | {"py/function": str(name)}]:
            return f" of {name[:_NAME]}"
    return ""


def _attempt(read: Callable[[Any], Any], content: Any) -> Any:
    try:
        return read(content)
    except (Misfit, RecursionError):
        raise
    except Exception as error:  # `_missing_` of an enumeration is the bot's code
        raise Misfit(str(error), told=f"is not what it is spelled as ({type(error).__name__})") from error


def _tuple_items(value: dict[str, Any]) -> list[Any]:
    """What a named tuple holds: its arguments, which jsonpickle repeats as its items."""
    match value:
        case {"py/newargs": {"py/tuple": list(items)} as arguments, **rest} if len(arguments) == 1:
            repeated = rest.pop("py/seq", items)
            if repeated == items and rest.pop(STATE, None) is None and rest.keys() == {TAG}:
                return items
    raise Misfit("is not a named tuple as jsonpickle spells one")


def _state(value: dict[str, Any], model: Model) -> dict[str, Any]:
    """The attributes of an object as jsonpickle 1 spells it on Python 3.11 and later: apart, with nothing beside."""
    state: Any = value[STATE]
    match state:
        case {"py/tuple": [None | dict() as attributes, dict(slots)]} if len(state) == 1:  # of a class with `__slots__`
            state = {**(attributes or {}), **slots}
        case None:
            state = {}
    alone = len(value) == 2 and not model.has_own_state
    if alone and isinstance(state, dict) and not any(name[:3] == RESERVED for name in state):
        return state
    raise Misfit(f"{STATE!r} is not read: it could run code")


def _require_text(value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Misfit("has a lone surrogate, which is not text") from None
