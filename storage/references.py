"""Shared values in stock documents: `{"py/id": n}` stands for the n-th value of the document, which came before.

The stock codec writes a list or an object that occurs twice only once; state here is a tree, so each occurrence becomes
a value of its own. How values are numbered depends on the release of jsonpickle (`storage.numbering`), and no document
says which release wrote it: botbuilder up to 4.17.0 requires jsonpickle 1, and 4.17.1 takes any below 4. So both
numberings are tried. Mostly one cannot be, or both stand for equal values; where neither is so, somebody has to say.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import zip_longest
from typing import Any, NamedTuple

from storage.numbering import ID, LIKELY, NEW, OLD, Resolver, Unreadable
from storage.spelling import Misfit


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


def resolve(document: dict[str, Any], release: int | None = None, warn: Callable[[], object] = bool) -> dict[str, Any]:
    """Return the whole `document` with a copy of what it stands for in place of every reference.

    Args:
        document: left as it is.
        release: whose numbering to take where both can be, `OLD`, `NEW` or `LIKELY`; None: refuse the document then.
        warn: called where `LIKELY` has chosen between two meanings.

    Raises `Misfit` for a reference that stands for nothing that came before it, or for what it is part of, and where
    the copies would be too many; without a release also for the first that may stand for two different values.
    """
    first, second = (OLD, NEW) if release == OLD else (NEW, OLD)
    found = _attempt(document, first)
    if release in (OLD, NEW) and not isinstance(found, Misfit):
        return found.document
    other = _attempt(document, second)
    if _is_impossible(found):
        chosen = found if _is_impossible(other) else other
    elif _is_impossible(other) or release is not None:
        chosen = found
    else:
        chosen = _agreed(document, found, other)
    if isinstance(chosen, Misfit):
        raise chosen
    if (
        release == LIKELY
        and not (_is_impossible(found) or _is_impossible(other))
        and _differing(found, other) is not None
    ):
        warn()
    return chosen.document


def _agreed(document: dict[str, Any], one: _Resolved | Misfit, other: _Resolved | Misfit) -> _Resolved | Misfit:
    """What both mean. Raises `Misfit` at the first reference by which they do not mean the same."""
    if isinstance(one, Misfit) and isinstance(other, Misfit):
        return one
    differing = _differing(one, other)
    if differing is not None:
        Resolver(NEW, refuse=differing).visit(_copy(document))
    return one


def _differing(one: _Resolved | Misfit, other: _Resolved | Misfit) -> int | None:
    """The first reference that means something else, by its position among all."""
    means, other_means = ([] if isinstance(each, Misfit) else each.targets for each in (one, other))
    pairs = zip_longest(map(json.dumps, means), map(json.dumps, other_means))
    return next((at for at, (mean, other_mean) in enumerate(pairs) if mean != other_mean), None)


def _attempt(document: dict[str, Any], release: int) -> _Resolved | Misfit:
    resolver, resolved = Resolver(release), _copy(document)
    try:
        resolver.visit(resolved)
    except Misfit as misfit:
        return misfit
    return _Resolved(resolved, resolver.targets)


def _is_impossible(found: _Resolved | Misfit) -> bool:
    return isinstance(found, Misfit) and not isinstance(found, Unreadable)


def _copy(value: Any) -> Any:
    if type(value) is dict:
        return {name: _copy(item) for name, item in value.items()}
    return [_copy(item) for item in value] if type(value) is list else value


class _Resolved(NamedTuple):
    document: dict[str, Any]
    targets: list[Any]  # what each reference stands for, in the order of the text
