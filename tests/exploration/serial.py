"""The judge: is there one order of whole turns that explains every reply and every document?"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tests.exploration.turns import Turn


class Happened(NamedTuple):
    """A turn as the outside saw it.

    Attributes:
        replies: every reply that left for it, one for each delivery that was answered.
        after: turns that had been answered before any delivery of this one began.
    """

    turn: Turn
    replies: tuple[str, ...]
    after: frozenset[str]


def explains(
    before: Mapping[str, str | None], happened: Iterable[Happened], documents: Mapping[str, str | None]
) -> bool:
    """Whether some serial order of the turns, each at most once, gives these replies and leaves these
    documents.

    Strict: a turn comes after those that had been answered before it began. One that was never answered may
    have taken place or not (its replica crashed).
    """
    every = tuple(happened)
    certain = [each for each in every if each.replies]
    open_ = [each for each in every if not each.replies]
    for number in range(len(open_) + 1):
        for chosen in itertools.combinations(open_, number):
            for order in itertools.permutations((*certain, *chosen)):
                if _strict(order) and _gives(before, order, documents):
                    return True
    return False


def _strict(order: tuple[Happened, ...]) -> bool:
    return all(later.turn.name not in earlier.after for earlier, later in _pairs(order))


def _pairs(order: tuple[Happened, ...]) -> Iterator[tuple[Happened, Happened]]:
    return itertools.combinations(order, 2)


def _gives(before: Mapping[str, str | None], order: tuple[Happened, ...], documents: Mapping[str, str | None]) -> bool:
    states = dict(before)
    for each in order:
        changed, reply = each.turn.run(states)
        if any(left != reply for left in each.replies):
            return False
        states |= changed
    return states == documents
