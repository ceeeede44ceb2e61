"""Containers that JSON does not have, beside tuples and sets: how each is spelled and read.

The spellings are the stock codec's, which pickles them: the type, its arguments, no state, items, pairs. What is read
is the data in them; of a `defaultdict` also which of the built-in types makes its defaults.
"""

from __future__ import annotations

import json
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from storage.spelling import REDUCE, TAG, TUPLE, TYPE, Misfit, reduced

DEFAULTDICT: Final = "collections.defaultdict"
_FROZENSET: Final = "builtins.frozenset"
_ORDERED: Final = "collections.OrderedDict"
_COUNTER: Final = "collections.Counter"
_DEQUE: Final = "collections.deque"
_FACTORY: Final = "default_factory"
_FACTORIES: Final = {f"builtins.{cls.__name__}": cls for cls in (list, dict, set, tuple, int, float, str, bool)}


class Parts(NamedTuple):
    """How what is inside a container is read or written: what a list and what a dict hold, places included."""

    items: Callable[[list[Any]], list[Any]]
    members: Callable[[dict[str, Any]], dict[str, Any]]


def _spell_frozenset(value: frozenset[Any], parts: Parts) -> dict[str, Any]:
    return reduced(_FROZENSET, sorted(parts.items([*value]), key=json.dumps))  # in an order of its own, always the same


def _spell_ordered(value: OrderedDict[Any, Any], parts: Parts) -> dict[str, Any]:
    pairs = [{TUPLE: [*pair]} for pair in parts.members(value).items()]
    return {REDUCE: [{TYPE: _ORDERED}, {TUPLE: []}, None, None, {TUPLE: pairs}]}


def _spell_counter(value: Counter[Any], parts: Parts) -> dict[str, Any]:
    return reduced(_COUNTER, parts.members(value))


def _spell_deque(value: deque[Any], parts: Parts) -> dict[str, Any]:
    arguments = [] if value.maxlen is None else [{TUPLE: []}, value.maxlen]
    return {REDUCE: [{TYPE: _DEQUE}, {TUPLE: arguments}, None, {TUPLE: parts.items([*value])}]}


def _spell_defaultdict(value: defaultdict[Any, Any], parts: Parts) -> dict[str, Any]:
    members = parts.members(value)
    if _FACTORY in members:
        raise Misfit(f"has the key {_FACTORY!r}, which the spelling of a defaultdict has already")
    if value.default_factory is None:
        return {TAG: DEFAULTDICT, **members}
    names = [name for name, cls in _FACTORIES.items() if cls is value.default_factory]
    if not names:
        raise Misfit(f"makes its defaults with something else than one of {', '.join(_FACTORIES)}: convert it first")
    return {TAG: DEFAULTDICT, **members, _FACTORY: {TYPE: names[0]}}


def read_defaultdict(value: dict[str, Any], parts: Parts) -> defaultdict[str, Any]:
    """Return what jsonpickle has spelled. Raises `Misfit` for a factory that is none of a few built-in types."""
    members = {name: item for name, item in value.items() if name not in (TAG, _FACTORY)}
    factory = None
    if _FACTORY in value:
        match value[_FACTORY]:
            case {"py/type": str(name)} as kind if len(kind) == 1 and name in _FACTORIES:
                factory = _FACTORIES[name]
            case _:
                raise Misfit(f"makes its defaults with something else than one of {', '.join(_FACTORIES)}", _FACTORY)
    return defaultdict(factory, parts.members(members))


def read_call(call: list[Any], parts: Parts) -> Any:
    """Return the container that a pickled call makes, or None where it is no such call.

    Raises `Misfit` for what cannot be inside, TypeError, ValueError and OverflowError for what does not fit the
    container.
    """
    while call and call[-1] is None:  # older releases of jsonpickle wrote the parts that a call does not have
        call = call[:-1]
    if any(type(part) is dict and len(part) != 1 for part in call):
        return None
    match call:
        case [{"py/type": "builtins.frozenset"}, {"py/tuple": [list(items)]}]:
            return frozenset(parts.items(items))
        case [{"py/type": "collections.Counter"}, {"py/tuple": [dict(counts)]}]:
            return Counter(parts.members(counts))
        case [{"py/type": "collections.OrderedDict"}, {"py/tuple": []}, None, None, {"py/tuple": list(pairs)}]:
            return OrderedDict(parts.members(_members_of(pairs)))
        case [{"py/type": "collections.deque"}, {"py/tuple": list(arguments)}, None, {"py/tuple": list(items)}]:
            return deque(parts.items(items), _longest(arguments))
    return None


def _members_of(pairs: list[Any]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for pair in pairs:
        match pair:
            case {"py/tuple": [str(name), item]} if len(pair) == 1 and name not in members:
                members[name] = item
            case _:
                raise ValueError("has a key that is no text, or one twice")
    return members


def _longest(arguments: list[Any]) -> int | None:
    if not arguments:
        return None
    if len(arguments) == 2 and arguments[0] == {TUPLE: []} and type(arguments[1]) is int:
        return arguments[1]
    raise ValueError("is not a deque as jsonpickle spells one")


SPELL: Final[dict[type, Callable[[Any, Parts], dict[str, Any]]]] = {
    frozenset: _spell_frozenset,
    OrderedDict: _spell_ordered,
    Counter: _spell_counter,
    deque: _spell_deque,
    defaultdict: _spell_defaultdict,
}
