"""The turns that are explored: what the middleware does around the protocol, and bots small enough to check.

State is a text to which every turn appends the letter of its activity, so a document tells which turns it has
seen and in which order, and a reply tells all that its turn saw.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any

from bots.turn.aftercare import mark_delivered, tidy
from bots.turn.commit import commit
from bots.turn.outcome import Committed
from bots.turn.snapshot import Redelivered, Snapshot, begin
from storage.errors import StorageUnavailable

if TYPE_CHECKING:
    from bots.turn.runtime import Runtime
    from storage.contract import DocumentStore, JsonObject

CONVERSATIONS = frozenset("ABC")  # every other key is a user's document
States = dict[str, str | None]


@dataclasses.dataclass(frozen=True)
class Turn:
    """An activity, and which documents the bot loads for it, changes and deletes.

    It may raise in the end, or complain: raise what it would have replied, and `process.TELLING` tells the user that.
    """

    name: str
    conversation: str
    others: tuple[str, ...]
    changes: tuple[str, ...] = ()
    deletes: tuple[str, ...] = ()
    has_id: bool = True
    raises: bool = False
    complains: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        return (self.conversation, *self.others)

    @property
    def writes(self) -> bool:
        """Whether it leaves anything: otherwise each delivery of it is a turn of its own."""
        return bool(self.changes or self.deletes) and not self.raises

    def run(self, states: Mapping[str, str | None]) -> tuple[States, str]:
        """The changed states, and the reply."""
        changed: States = {key: (states[key] or "") + self.name for key in self.changes}
        changed |= dict.fromkeys(self.deletes)
        return changed, " ".join(f"{key}={_shown(states[key])}" for key in self.keys)

    def run_on(self, snapshot: Snapshot) -> tuple[dict[str, JsonObject | None], str]:
        """The same, on documents."""
        changed, reply = self.run({key: text_of(state) for key, state in snapshot.documents.items()})
        return {key: state_of(text) for key, text in changed.items()}, reply


@dataclasses.dataclass(frozen=True)
class Delivery:
    """One delivery of a turn's activity to a replica, and how that replica goes about it."""

    turn: Turn
    attempts: int = 2
    tidies: bool = True
    marks: bool = False


@dataclasses.dataclass(frozen=True)
class Next:
    """What a delivery goes on with. The fingerprint says all that the next phase knows of the past."""

    fingerprint: str
    phase: Phase


class Again:
    """The attempt was in vain; the next one knows nothing of it."""


Send = Callable[[str], None]
Running = Coroutine[Any, Any, "Next | Again | None"]
Phase = Callable[[Send], Running]
Script = Callable[["DocumentStore", "Runtime", Delivery, float], Phase]


def delivering(store: DocumentStore, runtime: Runtime, delivery: Delivery, received: float) -> Phase:
    """An attempt as the middleware makes it. What was sent has left for good."""
    turn = delivery.turn

    async def beginning(send: Send) -> Next | None:
        activity_id = turn.name if turn.has_id else None
        keys = turn.conversation, turn.others
        found = await begin(store, *keys, activity_id, received=received, runtime=runtime)
        if isinstance(found, Redelivered):
            send(" / ".join(reply["text"] for reply in found.replies))
            return None
        return Next(repr(found.view), functools.partial(committing, found))

    async def committing(snapshot: Snapshot, send: Send) -> Next | Again | None:
        changes, reply = turn.run_on(snapshot)
        outcome = await commit(snapshot, changes, [{"text": reply}])
        if not isinstance(outcome, Committed):
            return Again()
        send(reply)
        return Next(repr(outcome), functools.partial(tidying, outcome))

    async def tidying(outcome: Committed, _: Send) -> None:
        if delivery.marks:
            await mark_delivered(outcome)
        if delivery.tidies:
            await tidy(outcome)

    return guarded(beginning)


def guarded(phase: Phase) -> Phase:
    """A phase, and those after it, that ends without an answer where the storage fails for good."""

    async def running(send: Send) -> Next | Again | None:
        try:
            following = await phase(send)
        except StorageUnavailable:
            return None
        if isinstance(following, Next):
            return Next(following.fingerprint, guarded(following.phase))
        return following

    return running


def text_of(state: JsonObject | None) -> str | None:
    return None if state is None else state["log"]


def state_of(text: str | None) -> JsonObject | None:
    return None if text is None else {"log": text}


def _shown(text: str | None) -> str:
    return "-" if text is None else text
