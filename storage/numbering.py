"""Shared values in stock documents, by the numbers that one release of jsonpickle gives them.

It numbers lists, objects and calls, each before what it holds, in the order of the text; from release 2 on plain dicts
too, which release 1 repeats. Tuples, sets and classes have no number.
"""

from __future__ import annotations

from typing import Any, Final

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
LIKELY: Final = 0  # nobody has said: NEW, with a warning where OLD means something else
_BARE: Final = ("py/newargsex", "py/iterator", "py/seq")  # lists that only the spelling has, not the state


class Unreadable(Misfit):
    """Raised for what may well have been written, and is no state here."""


class Ambiguous(Misfit):
    """Raised for the reference that is to be refused."""


class Resolver:
    """One document.

    Args:
        release: whose numbers they are.
        refuse: the reference that may stand for two values, by its position among all.

    Attributes:
        targets: what each reference stands for, in the order of the text.
    """

    def __init__(self, release: int, refuse: int | None = None) -> None:
        self.targets: list[Any] = []
        self._numbers_dicts = release == NEW
        self._refuse = refuse
        self._values: list[Any] = []
        self._open: set[int] = set()  # the numbers of the values around the present one
        self._copied = 0

    def visit(self, value: Any) -> Any:
        """Return the value, with a copy of what it stands for in place of every reference in it.

        Raises `Misfit` for a reference that stands for nothing that came before it, or for what cannot be there, and
        for the one to be refused; `Unreadable` for what it is part of, and where the copies would be too many.
        """
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
                f"refers to the value {number!r}, which jsonpickle 1 and later ones number differently: "
                "set STOCK_JSONPICKLE to 1 or 3"
            )
        self.targets.append(self._copy(self._target(number)))
        return self.targets[-1]

    def _target(self, number: Any) -> Any:
        if type(number) is not int or not 0 <= number < len(self._values):
            raise Misfit(f"refers to the value {number!r}, and no such value comes before it")
        if number in self._open:
            itself = "refers to what it is part of: state cannot contain itself; or STOCK_JSONPICKLE is another"
            # A child may know its parent; that a whole document were in itself, only a wrong numbering says.
            raise (Unreadable if number > 0 else Misfit)(itself)
        return self._values[number]

    def _copy(self, value: Any) -> Any:
        self._copied += 1
        if self._copied > _COPIED:
            raise Unreadable(f"stands, with the other references, for more than {_COPIED:,} values")
        if type(value) is dict:
            return {name: self._copy(item) for name, item in value.items()}
        if type(value) is list:
            return [self._copy(item) for item in value]
        return value
