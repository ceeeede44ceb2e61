"""A deployment at one moment: what its replicas do, and what the channel knows of each activity."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

from tests.exploration.actors import Change
from tests.exploration.calls import Done, Store
from tests.exploration.replicas import Node

Item = TypeVar("Item")
Shown = tuple[str, str]  # what a reply answers (an activity, or its delivery where each is a turn), and its text


class Place(NamedTuple):
    """A replica: where its process is, what its tasks' calls have done, and which replies it knows were taken."""

    node: Node
    calls: tuple[tuple[str, Done], ...] = ()
    said: frozenset[Shown] = frozenset()


class Mail(NamedTuple):
    """An activity, as the channel knows it.

    Attributes:
        waiting: the replicas to which it is still to be delivered, -1 being any.
        running: the deliveries under way, and at which replica.
        shown: the replies that the user saw, in the order in which they first came.
        acknowledged: the deliveries that were.
        delivered: how many deliveries there have been.
        before: the activities that had a reply when this one was first delivered.
    """

    waiting: tuple[int, ...]
    running: tuple[tuple[str, int], ...] = ()
    shown: tuple[Shown, ...] = ()
    acknowledged: tuple[str, ...] = ()
    delivered: int = 0
    before: frozenset[int] = frozenset()


class State(NamedTuple):
    store: Store
    flying: tuple[Change, ...]  # writes that nobody waits for any more
    places: tuple[Place, ...]
    mail: tuple[Mail, ...]
    faults: int
    crashes: int
    time: int
    wrong: str = ""  # what no process may do


def replied(state: State) -> frozenset[int]:
    """The activities to which the user has seen a reply, or of which the channel knows that they were handled."""
    return frozenset(number for number, mail in enumerate(state.mail) if mail.shown or mail.acknowledged)


def again(mail: Mail) -> Mail:
    """A delivery has failed: unless another was acknowledged, there is one more to be made, to any replica."""
    return mail if mail.acknowledged else mail._replace(waiting=tuple(sorted((*mail.waiting, -1))))


def lost(mail: Mail, where: int) -> Mail:
    """The replica is gone, and with it the deliveries that were under way there."""
    for delivery, place in mail.running:
        if place == where:
            mail = again(mail._replace(running=tuple(each for each in mail.running if each[0] != delivery)))
    return mail


def exchanged(items: tuple[Item, ...], at: int, item: Item) -> tuple[Item, ...]:
    """The items, but for the one at that place."""
    return (*items[:at], item, *items[at + 1 :])
