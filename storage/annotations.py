"""What a dataclass says about its fields, as a check that pydantic does: compiled once for each class.

The check is strict: no text becomes a number. What it lets pass that is not the very type: an integer for a float
(services that keep numbers as doubles answer 1 for 1.0), an enumeration's value for its member (how earlier versions
stored them), None where it is the default (`name: str = None`, as the samples write).
"""

from __future__ import annotations

import dataclasses
import enum
import logging
import types
import typing
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import (
    Collection,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    MutableMapping,
    MutableSequence,
    Sequence,
)
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final, Union
from uuid import UUID

from pydantic import ConfigDict, Strict, TypeAdapter
from pydantic_core import SchemaValidator, ValidationError, core_schema

from storage.spelling import Misfit, tag_of

_KNOWN: Final = {
    *(Any, object, str, int, float, bool, type(None), bytes, list, dict, tuple, set, frozenset),
    *(datetime, date, time, timedelta, Decimal, UUID),
}
_COLLECTIONS: Final = (OrderedDict, Counter, defaultdict, deque)
_CONTAINERS: Final = (list, dict, tuple, set, frozenset, Sequence, MutableSequence, Mapping, MutableMapping, Collection)
_CONFIG: Final = ConfigDict(strict=True, arbitrary_types_allowed=True)

_log = logging.getLogger(__name__)


class Fields:
    """The fields of the dataclass `cls`.

    Attributes:
        classes: the dataclasses and enumerations that the annotations name, at any depth.
    """

    def __init__(self, cls: type[Any]) -> None:
        hints = dict(_hints(cls))
        self.classes = frozenset(found for hint in hints.values() for found in _classes(hint))
        schemas = {field.name: _schema(cls, field, hints[field.name]) for field in dataclasses.fields(cls)}
        self._validator = SchemaValidator(
            core_schema.typed_dict_schema(
                {
                    name: core_schema.typed_dict_field(schema, required=False)
                    for name, schema in schemas.items()
                    if schema is not None
                },
                extra_behavior="allow",
                config={"strict": True},
            )
        )

    def checked(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """Return the attributes, each of the type that its field has. Raises `Misfit` for the first that is not."""
        try:
            checked: dict[str, Any] = self._validator.validate_python(attributes)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False)[0]
            wanted = f"{first['msg'][:1].lower()}{first['msg'][1:]}"
            told = f"is {type(first['input']).__name__}: {wanted}"
            place = _place(first["loc"], attributes)
            raise Misfit(f"is {_shown(first['input'])}: {wanted}", *place, told=told) from None
        return checked


def annotated_classes(cls: type) -> frozenset[type]:
    """The dataclasses and enumerations that the annotations of `cls` name, at any depth."""
    return frozenset(found for _name, hint in _hints(cls) for found in _classes(hint))


def _hints(cls: type) -> Iterator[tuple[str, Any]]:
    """Each annotation, evaluated; `Any` for one that cannot be (a name that only type checkers know)."""
    try:
        yield from typing.get_type_hints(cls, include_extras=True).items()
    except Exception:  # whatever evaluating the text of an annotation raises
        for base in reversed(cls.__mro__):
            for name, annotation in vars(base).get("__annotations__", {}).items():
                single = type(base.__name__, (), {"__annotations__": {name: annotation}, "__module__": base.__module__})
                try:
                    yield name, typing.get_type_hints(single, include_extras=True)[name]
                except Exception as error:
                    _log.warning("%s.%s is stored unchecked: its annotation says nothing: %s", tag_of(cls), name, error)
                    yield name, Any


def _schema(cls: type, field: dataclasses.Field[Any], hint: Any) -> core_schema.CoreSchema | None:
    annotation = _checkable(hint)
    if field.default is None:
        annotation = Union[annotation, None]  # noqa: UP007 - the annotation may be a text, which has no `|`
    try:
        return TypeAdapter(annotation, config=_CONFIG).core_schema
    except Exception as error:  # pydantic's, or what an annotation of somebody else's raises
        _log.warning("%s.%s is stored unchecked: %s", tag_of(cls), field.name, error)
        return None


def _checkable(hint: Any) -> Any:
    """The annotation for pydantic: classes of the bot's are not looked into, their objects are checked themselves."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return Annotated[(_checkable(arguments[0]), *arguments[1:])]
    if origin in (Union, types.UnionType):
        return Union[tuple(map(_checkable, arguments))]  # noqa: UP007 - made at run time
    if (origin or hint) is Iterable:  # pydantic would return an iterator of its own
        return Annotated[Iterable, _INSTANCE]
    if (origin or hint) in (Iterator, Generator):
        return Any  # nothing that can be stored is one
    if origin in _COLLECTIONS:
        return Annotated[origin, _INSTANCE]  # pydantic would make a copy that has lost its default or its length
    if origin in _CONTAINERS:
        return types.GenericAlias(origin, tuple(map(_checkable, arguments)))
    if not isinstance(hint, type) or isinstance(hint, types.GenericAlias) or hint in _KNOWN:
        return hint
    if typing.is_typeddict(hint):
        return dict[str, Any]
    if issubclass(hint, enum.Enum):
        return Annotated[hint, Strict(False)]
    return Annotated[hint, _INSTANCE] if hint.__module__ != "collections.abc" else hint


def is_named_tuple(cls: type) -> bool:
    """Whether `cls` is a tuple with names and nothing else: no attributes, which would not be stored."""
    return issubclass(cls, tuple) and isinstance(getattr(cls, "_fields", None), tuple) and cls.__dictoffset__ == 0


def _classes(hint: Any) -> Iterator[type]:
    if isinstance(hint, type) and not isinstance(hint, types.GenericAlias):
        if dataclasses.is_dataclass(hint) or issubclass(hint, enum.Enum) or is_named_tuple(hint):
            yield hint
    else:
        for argument in typing.get_args(hint):
            yield from _classes(argument)


class _IsInstance:
    def __get_pydantic_core_schema__(self, source: Any, _handler: Any) -> core_schema.CoreSchema:
        return core_schema.is_instance_schema(source)


_INSTANCE: Final = _IsInstance()


def _place(location: tuple[int | str, ...], value: Any) -> Iterator[int | str]:
    """The members and items of a place; pydantic puts the alternatives of a union between them."""
    for step in location:
        if isinstance(value, Mapping):
            found = step in value
        else:
            found = isinstance(value, list | tuple) and isinstance(step, int) and step < len(value)
        if found:
            yield step
            value = value[step]


def _shown(value: Any) -> str:
    return (
        "None"
        if value is None
        else f"{type(value).__name__} {value!r:.40}"
        if _is_short(value)
        else type(value).__name__
    )


def _is_short(value: Any) -> bool:
    return isinstance(value, str | int | float)
