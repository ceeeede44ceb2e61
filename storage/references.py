"""Shared values in stock documents: `{"py/id": n}` stands for the n-th value of the document, which came before.

The stock codec writes a list or an object that occurs twice only once. It numbers lists, objects and calls, each before
what it holds, in the order of the text; from jsonpickle 2 on plain dicts too, which jsonpickle 1 repeats. Tuples, sets
and classes have no number. State here is a tree, so each occurrence becomes a value of its own.

No document says which release wrote it. botbuilder up to 4.17.0 requires jsonpickle 1, and 4.17.1 takes any below 4. So
both numberings are tried: mostly one does not fit, or both stand for equal values. Where neither is so, somebody has to
say which it is.
"""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple

from storage.scalars import READ_OBJECT
from storage.spelling import BYTES, REDUCE, SET, TAG, TUPLE, Misfit
from storage.times import is_zone

ID: Final = "py/id"
_COPIED: Final = 100_000  # values; a few hundred bytes of references to references could stand for billions
# In the reader's order: the first of these names that a dict has says what it is.
_UNNUMBERED: Final = (BYTES, "py/b85", "py/type", "py/function")
_ATTRIBUTES_FIRST: Final = ("py/newargsex", "py/newargs", "py/initargs")
_ATTRIBUTES_LAST: Final = ("py/seq", "py/state")
OLD: Final = 1  # releases of jsonpickle, as the setting names them
NEW: Final = 3  # and 2
_BARE: Final = ("py/newargsex", "py/iterator", "py/seq")  # lists that only the spelling has, not the state


def has_references(value: Any) -> bool:
    """Whether a `{"py/id": ...}` occurs anywhere in `value`."""
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if type(found) is dict:
            if ID in found:
                return True
            waiting.extend(found.values())
        elif type(found) is list:
            waiting.extend(found)
    return False


def resolve(document: dict[str, Any], release: int | None = None) -> dict[str, Any]:
    """Return the whole `document` with a copy of what it stands for in place of every reference.

    Args:
        document: changed on the way.
        release: whose numbering to take where both fit, `OLD` or `NEW`; None: refuse the document then.

    Raises `Misfit` for a reference that stands for nothing that came before it, or for what it is part of, and where
    the copies would be too many; of kind `Ambiguous` for the first that could stand for two different values.
    """
    original = _copy(document)
    new, old = _attempt(document, NEW), _attempt(_copy(original), OLD)
    if isinstance(new, Misfit) or isinstance(old, Misfit):
        fitting = old if isinstance(new, Misfit) else new
        if isinstance(fitting, Misfit):
            raise new if isinstance(new, Misfit) else fitting
        return fitting.document
    if release is None:
        pairs = zip(new.targets, old.targets, strict=True)
        differing = next((at for at, (one, other) in enumerate(pairs) if json.dumps(one) != json.dumps(other)), None)
        if differing is not None:
            _Resolver(NEW, refuse=differing).visit(original)
    return old.document if release == OLD else new.document


def _attempt(document: dict[str, Any], release: int) -> _Resolved | Misfit:
    resolver = _Resolver(release)
    try:
        resolver.visit(document)
    except Misfit as misfit:
        return misfit
    return _Resolved(document, resolver.targets)


def _copy(value: Any) -> Any:
    if type(value) is dict:
        return {name: _copy(item) for name, item in value.items()}
    return [_copy(item) for item in value] if type(value) is list else value


class Ambiguous(Misfit):
    """Raised for a reference that the releases of jsonpickle number differently."""


class _Resolved(NamedTuple):
    document: dict[str, Any]
    targets: list[Any]  # what each reference stands for, in the order of the text


class _Resolver:
    def __init__(self, release: int, refuse: int | None = None) -> None:
        self.targets: list[Any] = []
        self._numbers_dicts = release == NEW
        self._refuse = refuse  # the reference that is to be told
        self._values: list[Any] = []
        self._open: set[int] = set()  # the numbers of the values around the present one
        self._copied = 0

    def visit(self, value: Any) -> Any:
        if type(value) is list:
            self._numbered(value, range(len(value)), value)
        elif type(value) is dict:
            if ID in value and TUPLE not in value and SET not in value:
                return self._reference(value[ID])
            self._dict(value)
        return value

    def _dict(self, value: dict[str, Any]) -> None:
        for name in (TUPLE, SET):
            if name in value:
                return self._items(value[name])
        if TAG in value:
            return self._object(value)
        if any(name in value for name in _UNNUMBERED):
            return None
        if REDUCE in value and type(value[REDUCE]) is list:
            return self._numbered(value, range(len(value[REDUCE])), value[REDUCE])
        return self._numbered(value, list(value), value, is_numbered=self._numbers_dicts)

    def _object(self, value: dict[str, Any]) -> None:
        if type(value[TAG]) is str and value[TAG] in READ_OBJECT:  # only the zone in a time can hold anything
            match value:
                case {"__reduce__": [_, list(parts)]}:
                    shared = [at for at, part in enumerate(parts) if type(part) is dict and ID in part]
                    self._numbered(value, range(1, len(parts)), parts)
                    return self._require(all(is_zone(parts[at]) for at in shared))
        first = [name for name in _ATTRIBUTES_FIRST if name in value]
        last = [name for name in _ATTRIBUTES_LAST if name in value]
        names = [name for name in value if name not in first and name not in last]
        self._numbered(value, first + names + last, value, _BARE)
        match value:
            case {"py/newargs": {"py/tuple": list(items)}, "py/seq": list(again)} if len(items) == len(again):
                self._require(items == again)  # a named tuple, whose items are spelled twice
        return None

    def _require(self, fits: bool) -> None:
        if not fits:
            raise Misfit("refers to a value that cannot be there")

    def _numbered(
        self, value: Any, steps: Any, parts: Any, bare: tuple[str, ...] = (), *, is_numbered: bool = True
    ) -> None:
        number = len(self._values)
        if is_numbered:
            self._values.append(value)
            self._open.add(number)
        for step in steps:
            try:
                if step in bare:
                    self._items(parts[step])
                else:
                    parts[step] = self.visit(parts[step])
            except Misfit as misfit:
                raise misfit.within(step) from None
        if is_numbered:
            self._open.discard(number)

    def _items(self, items: Any) -> None:
        if type(items) is not list:
            return
        for at, item in enumerate(items):
            try:
                items[at] = self.visit(item)
            except Misfit as misfit:
                raise misfit.within(at) from None

    def _reference(self, number: Any) -> Any:
        if self._refuse == len(self.targets):
            raise Ambiguous(
                f"refers to the value {number!r}, which jsonpickle 1 (botbuilder up to 4.17.0) and later ones number "
                "differently: set STOCK_JSONPICKLE to 1 or 3"
            )
        self.targets.append(self._copy(self._target(number)))
        return self.targets[-1]

    def _target(self, number: Any) -> Any:
        if type(number) is not int or not 0 <= number < len(self._values):
            raise Misfit(f"refers to the value {number!r}, and no such value comes before it")
        if number in self._open:
            raise Misfit("refers to what it is part of: state cannot contain itself")
        return self._values[number]

    def _copy(self, value: Any) -> Any:
        self._copied += 1
        if self._copied > _COPIED:
            raise Misfit(f"stands, with the other references, for more than {_COPIED:,} values")
        if type(value) is dict:
            return {name: self._copy(item) for name, item in value.items()}
        if type(value) is list:
            return [self._copy(item) for item in value]
        return value
