"""Judges what a channel saw of a counting bot: was it as if one process had handled the messages one by one?"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter

Node = tuple[str, object]


@dataclass(slots=True)
class Message:
    """One message as the channel knows it. Times in seconds on one clock.

    Attributes:
        where: the keys of the two documents that count it: the conversation's and the user's.
        sent: when it was first delivered.
        acknowledged: when a delivery of it was first acknowledged, None: never.
        answer: what the last delivery that was not acknowledged was answered, for whoever reads the violations.
        replies: those that arrived, in order: (part, {key of a document: the number in it}).
        other: the texts of those that tell no numbers.
    """

    where: tuple[str, str]
    sent: float
    acknowledged: float | None = None
    answer: object = None
    replies: list[tuple[int, dict[str, int]]] = field(default_factory=list)
    other: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Tally:
    """What a document holds in the end: the number of messages, and their ids in order."""

    count: int
    activities: list[str]


@dataclass(frozen=True, slots=True)
class History:
    """A run: the messages by activity id, the documents by key, and how many replies each message gets."""

    messages: dict[str, Message]
    documents: dict[str, Tally]
    parts: int

    def violations(self) -> list[str]:
        """Everything that could not have happened to one process without failures; empty where all is well."""
        counted = list(itertools.chain(self._counts(), self._replies()))
        return counted or list(self._order())  # an order is only asked for where each message has one place

    def _counts(self) -> Iterator[str]:
        for key, tally in self.documents.items():
            if tally.count != len(tally.activities):
                yield f"{key}: counted {tally.count}, of which {len(tally.activities)} are listed"
            for activity, times in Counter(tally.activities).items():
                if activity not in self.messages or key not in self.messages[activity].where:
                    yield f"{key}: counted {activity}, which was never sent there"
                elif times > 1:
                    yield f"{key}: counted {activity} {times} times"
        for activity, message in self.messages.items():
            if message.acknowledged is None:
                yield f"{activity}: never acknowledged, but answered {message.answer}"
            lacking = [key for key in message.where if activity not in self._tally(key).activities]
            if lacking and (message.acknowledged is not None or len(lacking) < len(message.where)):
                how = "acknowledged" if message.acknowledged is not None else "half applied"
                yield f"{activity}: {how}, and not counted in {' and '.join(lacking)}"

    def _replies(self) -> Iterator[str]:
        places = {
            (key, activity): number
            for key, tally in self.documents.items()
            for number, activity in enumerate(tally.activities, 1)
        }
        for activity, message in self.messages.items():
            right = {key: places.get((key, activity)) for key in message.where}
            wrong = [numbers for _, numbers in message.replies if numbers != right]
            if wrong:
                yield f"{activity}: replied {wrong[0]}, stored {right}"
            if message.other:
                yield f"{activity}: the user was told {message.other[0]!r}"
            first = list(dict.fromkeys(part for part, _ in message.replies))
            if message.acknowledged is not None and first != list(range(1, self.parts + 1)):
                yield f"{activity}: acknowledged, and its replies arrived as {first}"

    def _order(self) -> Iterator[str]:
        """Look for a circle in what came before what: in each document, and by the channel's clock.

        The points in time are a chain: a message lies behind the point at which it was first sent, and
        before the one at which it was acknowledged. So a turn sees all that was acknowledged when it was sent.
        """
        before: TopologicalSorter[Node] = TopologicalSorter()
        for tally in self.documents.values():
            for earlier, later in itertools.pairwise(tally.activities):
                before.add(("message", later), ("message", earlier))
        times = {message.sent for message in self.messages.values()}
        times |= {message.acknowledged for message in self.messages.values() if message.acknowledged is not None}
        for earlier_time, later_time in itertools.pairwise(sorted(times)):
            before.add(("time", later_time), ("time", earlier_time))
        for activity, message in self.messages.items():
            before.add(("message", activity), ("time", message.sent))
            if message.acknowledged is not None:
                before.add(("time", message.acknowledged), ("message", activity))
        try:
            before.prepare()
        except CycleError as error:
            circle = [str(what) for kind, what in error.args[1] if kind == "message"]
            yield f"no serial order: {' before '.join(circle)}"

    def _tally(self, key: str) -> Tally:
        return self.documents.get(key, Tally(0, []))
