"""What is in an object, as a value that can be compared: for whatever the tasks of a process share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from functools import cache
from typing import Any, Final

_PLAIN: Final = (str, bytes, int, float, bool, type(None))
Draw = Callable[[Any, "Painter"], object]


class Painter:
    """Describes objects and all that they hold; one that holds itself is described without end.

    Args:
        constant: classes whose objects are the same in every state.
        names: those of tasks; of a task that is not among them it is only told that it has ended.
    """

    def __init__(self, constant: tuple[type, ...], names: Mapping[Any, str]) -> None:
        self.names = names
        self._constant = constant

    def draw(self, value: Any) -> object:
        kind = type(value)
        return value if kind in _PLAIN else _how(kind, self._constant)(value, self)  # type: ignore[arg-type]  # is hashable


@cache
def _how(kind: type, constant: tuple[type, ...]) -> Draw:
    """How objects of a class are described."""
    if issubclass(kind, asyncio.Task):
        return lambda value, painter: painter.names.get(value, "ended")
    if issubclass(kind, asyncio.Future):
        return lambda value, _: "done" if value.done() else "pending"
    if issubclass(kind, constant) or issubclass(kind, Callable):  # type: ignore[arg-type]
        return lambda *_: kind.__name__
    if issubclass(kind, Mapping):
        return lambda value, painter: tuple((painter.draw(key), painter.draw(item)) for key, item in value.items())
    if issubclass(kind, AbstractSet):
        return lambda value, painter: frozenset(map(painter.draw, value))
    if issubclass(kind, Iterable):
        return lambda value, painter: tuple(map(painter.draw, value))
    slots = tuple(name for each in kind.__mro__ for name in getattr(each, "__slots__", ()))

    assert slots or "__dict__" in dir(kind), f"nothing tells two objects of {kind.__name__} apart"

    def fields(value: Any, painter: Painter) -> object:
        held = {name: getattr(value, name) for name in slots if hasattr(value, name)}
        return kind.__name__, painter.draw({**held, **getattr(value, "__dict__", {})})

    return fields
