"""Shared values in stock documents: `{"py/id": n}` stands for the n-th value of the document, which came before.

The stock codec writes a list, dict or object that occurs twice only once. Values are numbered as its reader (jsonpickle
3, `Unpickler._mkref`) numbers them: containers, objects and calls, each before what it holds, in the order of the text.
Tuples, sets and classes have no number. State here is a tree, so each occurrence becomes a value of its own.
"""

from __future__ import annotations

from typing import Any, Final

from storage.scalars import READ_OBJECT
from storage.spelling import BYTES, REDUCE, SET, TAG, TUPLE, Misfit

ID: Final = "py/id"
_COPIED: Final = 100_000  # values; a few hundred bytes of references to references could stand for billions
# In the reader's order: the first of these names that a dict has says what it is.
_UNNUMBERED: Final = (BYTES, "py/b85", "py/type", "py/function")
_ATTRIBUTES_FIRST: Final = ("py/newargsex", "py/newargs", "py/initargs")
_ATTRIBUTES_LAST: Final = ("py/seq", "py/state")
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


def resolve(document: dict[str, Any]) -> None:
    """Put into the whole `document`, in place of every reference, a copy of what it stands for.

    Raises `Misfit` for one that stands for nothing that came before it, or for what it is part of, and where the
    copies would be too many.
    """
    _Resolver().visit(document)


class _Resolver:
    def __init__(self) -> None:
        self._values: list[Any] = []
        self._open: set[int] = set()  # the numbers of the values around the present one
        self._copied = 0

    def visit(self, value: Any) -> Any:
        if type(value) is list:
            self._numbered(value, range(len(value)), value)
        elif type(value) is dict:
            if ID in value and TUPLE not in value and SET not in value:
                return self._copy(self._target(value[ID]))
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
        return self._numbered(value, list(value), value)

    def _object(self, value: dict[str, Any]) -> None:
        if type(value[TAG]) is str and value[TAG] in READ_OBJECT:  # only the zone in a time can hold anything
            match value:
                case {"__reduce__": [_, list(parts)]}:
                    return self._numbered(value, range(1, len(parts)), parts)
        first = [name for name in _ATTRIBUTES_FIRST if name in value]
        last = [name for name in _ATTRIBUTES_LAST if name in value]
        names = [name for name in value if name not in first and name not in last]
        return self._numbered(value, first + names + last, value, _BARE)

    def _numbered(self, value: Any, steps: Any, parts: Any, bare: tuple[str, ...] = ()) -> None:
        number = len(self._values)
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
        self._open.discard(number)

    def _items(self, items: Any) -> None:
        if type(items) is not list:
            return
        for at, item in enumerate(items):
            try:
                items[at] = self.visit(item)
            except Misfit as misfit:
                raise misfit.within(at) from None

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
