"""The classes whose objects may be stored: what each needs to be checked, upgraded and built.

A class says in itself what outlives it, with ordinary attributes, so that it imports nothing of ours:

    @dataclass
    class UserProfile:
        first_name: str | None = None
        schema_version: int = 2   # of this code; a document without it is version 1, and so is a class without it
        readable_by: int = 1      # code from this version on can read what this code writes; absent: this version only
        UPGRADES: ClassVar = {1: from_version_1}   # for each older version, its attributes -> those of the next
        FORMER_NAMES: ClassVar = ("old_module.UserProfile",)

A step gets what can no longer be decoded (a member or a class that is gone) as `Undecoded`, with its `json`.
"""

from __future__ import annotations

import dataclasses
import enum
import types
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

from storage.annotations import Fields, annotated_classes, is_named_tuple
from storage.spelling import Misfit, is_dunder, tag_of

VERSION: Final = "schema_version"
READABLE_BY: Final = "readable_by"
_MADE_BY_CLASS: Final = 1 << 9  # Py_TPFLAGS_HEAPTYPE
Step = Callable[[dict[str, Any]], dict[str, Any]]


def is_storable(cls: type) -> bool:
    """Whether objects of `cls` can be stored: dataclasses, enumerations, named tuples, and what has a `__dict__`."""
    if issubclass(cls, enum.Enum) or is_named_tuple(cls):
        return True
    if dataclasses.is_dataclass(cls):  # none that is a dict or an exception too, whose content would be lost
        return all(base is object or base.__flags__ & _MADE_BY_CLASS for base in cls.__mro__)
    return getattr(cls, "__new__", None) is object.__new__ and cls.__dictoffset__ != 0


@lru_cache(1_024)
def model_of(cls: type[Any]) -> Model:
    """The model of `cls`, made once. Raises what `Model` does."""
    return Model(cls)


class Model:
    """One class. Its attributes say what is the same for all its objects.

    Raises TypeError for a class that cannot be stored, or whose versions are incomplete.
    """

    def __init__(self, cls: type[Any]) -> None:
        if not is_storable(cls):
            raise TypeError(
                f"{tag_of(cls)} cannot be registered: expected a dataclass, an enumeration, a named tuple or a class "
                "with a __dict__"
            )
        self.cls = cls
        self.tag = tag_of(cls)
        self.is_enum = issubclass(cls, enum.Enum)
        self.is_tuple = is_named_tuple(cls)
        self.former_names: tuple[str, ...] = () if self.is_enum else _former_names(cls)
        self._is_dataclass = dataclasses.is_dataclass(cls)
        self._fields = Fields(cls) if self._is_dataclass else None
        self.named = self._fields.classes if self._fields else annotated_classes(cls)
        self._slots = tuple(field.name for field in _fields_of(cls) if _is_slot(cls, field.name))
        self._defaults = {field.name: made for field in _fields_of(cls) if (made := _maker(field))}
        self._required = [each.name for each in _fields_of(cls) if each.init and each.name not in self._defaults]
        self.version = _default(cls, VERSION)
        getstate = getattr(cls, "__getstate__", None)
        self.has_own_state = getstate is not object.__getstate__ or hasattr(cls, "__setstate__")
        self._upgrades = _upgrades(cls, self.version)

    def attributes(self, value: Any) -> dict[str, Any]:
        """What is to be stored of the object `value`. Raises `Misfit` for what could not be read back."""
        attributes = self._slotted(value) if self._slots else vars(value)
        if any(map(is_dunder, attributes)):
            raise Misfit(f"has the attribute {next(filter(is_dunder, attributes))!r}, which would not be read")
        if self._fields:
            if self.version is not None and VERSION not in attributes:  # made without `__init__`
                attributes = {**attributes, VERSION: self.version}
            self._fields.checked(attributes)
            self._require_complete(attributes)
            self.require_readable(attributes)
        if self.version is not None and attributes[VERSION] < self.version:
            raise Misfit(f"is {attributes[VERSION]}; this code writes version {self.version}", VERSION)
        return attributes

    def _slotted(self, value: Any) -> dict[str, Any]:
        slots = {name: getattr(value, name) for name in self._slots if hasattr(value, name)}
        return slots | (vars(value) if self.cls.__dictoffset__ else {})

    def require_readable(self, json: Mapping[str, Any]) -> None:
        """Raise `Misfit` for a stored object of a version that this code cannot read, before anything else of it."""
        if not self._is_dataclass:
            return
        known = self.version or 1
        found, readable = json.get(VERSION, 1), json.get(READABLE_BY)
        if type(found) is not int or found < 1:
            raise Misfit(f"is {found!r}, expected a version from 1 on", VERSION, told="is not a version from 1 on")
        if found > known and not (type(readable) is int and readable <= known):
            raise Misfit(
                f"is a {self.tag} of version {found}, written by newer code; this code knows version {known}: "
                "let the newer code handle it, or finish the deployment"
            )

    def is_old(self, json: Mapping[str, Any]) -> bool:
        """Whether a stored object, or its attributes, are of an older version than this code writes."""
        return self.version is not None and json.get(VERSION, 1) < self.version

    def build(self, attributes: dict[str, Any], misfits: Mapping[str, Misfit]) -> Any:
        """Return the object that has these attributes, upgraded. Raises `Misfit` where they do not fit.

        `misfits` of those that are `Undecoded` are raised too, unless the steps have put others into their places.
        As in the stock codec neither `__init__` nor `__post_init__` runs: the object was made when it was new, and
        what they add would be added at each load.
        """
        if self.is_old(attributes):
            attributes = self._upgraded(attributes, misfits)
        if self._fields:
            attributes = self._fields.checked(attributes)
            self._require_complete(attributes)
        try:
            return self._built(attributes)
        except Exception as error:  # a factory of a default is the bot's code, and the class may be abstract
            raise Misfit(f"does not fit {self.tag}: {error}") from error

    def build_tuple(self, items: list[Any]) -> Any:
        """Return the named tuple of these items; fields that came later get their defaults. Raises `Misfit`."""
        fields, defaults = self.cls._fields, self.cls._field_defaults
        lacking = [name for name in fields[len(items) :] if name not in defaults]
        if lacking or len(items) > len(fields):
            raise Misfit(f"does not fit {self.tag}: it has {len(items)} items for {', '.join(fields)}")
        return tuple.__new__(self.cls, (*items, *(defaults[name] for name in fields[len(items) :])))

    def _require_complete(self, attributes: Mapping[str, Any]) -> None:
        for name in self._required:
            if name not in attributes:
                raise Misfit(f"does not fit {self.tag}: it lacks {name!r}, which has no default")

    def _built(self, attributes: dict[str, Any]) -> Any:
        instance = object.__new__(self.cls)
        for name, made in self._defaults.items():
            if name not in attributes:
                attributes[name] = made()
        if not self._slots:
            vars(instance).update(attributes)  # not by setattr, which could be the class's own, or a property's
            return instance
        for name, item in attributes.items():
            if name in self._slots:
                object.__setattr__(instance, name, item)
            elif self.cls.__dictoffset__:
                vars(instance)[name] = item
            else:
                raise AttributeError(f"it has no attribute {name!r}")
        return instance

    def _upgraded(self, attributes: dict[str, Any], misfits: Mapping[str, Misfit]) -> dict[str, Any]:
        state = {name: item for name, item in attributes.items() if name not in (VERSION, READABLE_BY)}
        for number in range(attributes.get(VERSION, 1), self.version or 1):
            try:
                state = dict(self._upgrades[number](state))
            except Exception as error:  # it is the bot's code
                for misfit in misfits.values():  # which may not have expected what cannot be decoded
                    raise misfit from error
                problem = f"{type(error).__name__}: {error}"
                raise Misfit(f"cannot be upgraded: step {number} of {self.tag}.UPGRADES raised {problem}") from error
        for name, misfit in misfits.items():
            if any(item is attributes[name] for item in state.values()):
                raise misfit
        return {**state, VERSION: self.version}


def _fields_of(cls: type[Any]) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(cls) if dataclasses.is_dataclass(cls) else ()


def _maker(field: dataclasses.Field[Any]) -> Callable[[], Any] | None:
    """What makes the field's default, or None where it has none."""
    if field.default is not dataclasses.MISSING:
        return lambda: field.default
    return None if field.default_factory is dataclasses.MISSING else field.default_factory


def _is_slot(cls: type[Any], name: str) -> bool:
    return isinstance(getattr(cls, name, None), types.MemberDescriptorType)


def _default(cls: type[Any], name: str) -> int | None:
    field = next((field for field in _fields_of(cls) if field.name == name), None)
    if field is None:
        return None
    if type(field.default) is not int or field.default < 1:
        raise TypeError(f"{tag_of(cls)}.{name} must have a whole number from 1 on as its default")
    return field.default


def _upgrades(cls: type[Any], version: int | None) -> Mapping[int, Step]:
    upgrades: Mapping[int, Step] = getattr(cls, "UPGRADES", {})
    missing = sorted(set(range(1, version or 1)) - upgrades.keys())
    surplus = sorted(upgrades.keys() - set(range(1, version or 1)))
    if missing:
        raise TypeError(f"{tag_of(cls)}.UPGRADES lacks the step from version {missing[0]} to {missing[0] + 1}")
    if surplus:
        raise TypeError(f"{tag_of(cls)}.UPGRADES has a step from version {surplus[0]}, but {VERSION} is {version or 1}")
    readable = _default(cls, READABLE_BY)
    if readable is not None and readable > (version or 1):
        raise TypeError(f"{tag_of(cls)}.{READABLE_BY} is {readable}, above its own {VERSION}, {version or 1}")
    return upgrades


def _former_names(cls: type[Any]) -> tuple[str, ...]:
    names = vars(cls).get("FORMER_NAMES", ())
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise TypeError(f"{tag_of(cls)}.FORMER_NAMES must be a tuple of texts, as ('old_module.{cls.__name__}',)")
    return tuple(names)
