"""The turns that are explored: what the middleware does around the protocol, and bots small enough to check.

State is a text to which every turn appends the letter of its activity, so a document tells which turns it has
seen and in which order, and a reply tells all that its turn saw.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from bots.turn.aftercare import mark_delivered, tidy
from bots.turn.commit import Committed, commit
from bots.turn.snapshot import Redelivered, begin
from storage.errors import StorageUnavailable

if TYPE_CHECKING:
    from bots.turn.runtime import Runtime
    from storage.contract import DocumentStore, JsonObject

States = dict[str, str | None]


@dataclasses.dataclass(frozen=True)
class Turn:
    """An activity and what the bot does with it: which documents it loads, and which it changes or deletes."""

    name: str
    conversation: str
    others: tuple[str, ...]
    changes: tuple[str, ...] = ()
    deletes: tuple[str, ...] = ()
    has_id: bool = True

    @property
    def keys(self) -> tuple[str, ...]:
        return (self.conversation, *self.others)

    def run(self, states: Mapping[str, str | None]) -> tuple[States, str]:
        """The changed states, and the reply."""
        changed: States = {key: (states[key] or "") + self.name for key in self.changes}
        changed |= dict.fromkeys(self.deletes)
        return changed, " ".join(f"{key}={_shown(states[key])}" for key in self.keys)


@dataclasses.dataclass(frozen=True)
class Delivery:
    """One delivery of a turn's activity to a replica, and how that replica goes about it."""

    turn: Turn
    attempts: int = 2
    tidies: bool = True
    marks: bool = False


Send = Callable[[str], None]
Deliver = Callable[["DocumentStore", Delivery, "Runtime", Send], "object"]


async def deliver(store: DocumentStore, delivery: Delivery, runtime: Runtime, send: Send) -> None:
    """Handle one delivery as the middleware does. What `send` was given has left for good."""
    received = runtime.monotonic()
    try:
        for _ in range(delivery.attempts):
            if await attempt(store, delivery, runtime, send, received):
                return
    except StorageUnavailable:
        return


async def attempt(
    store: DocumentStore, delivery: Delivery, runtime: Runtime, send: Send, received: float
) -> bool:
    turn = delivery.turn
    activity_id = turn.name if turn.has_id else None
    found = await begin(
        store, turn.conversation, turn.others, activity_id, received=received, runtime=runtime
    )
    if isinstance(found, Redelivered):
        send(" / ".join(reply["text"] for reply in found.replies))
        return True
    changes, reply = turn.run({key: text_of(state) for key, state in found.documents.items()})
    outcome = await commit(found, {key: state_of(text) for key, text in changes.items()}, [{"text": reply}])
    if not isinstance(outcome, Committed):
        return False
    send(reply)
    if delivery.marks:
        await mark_delivered(outcome)
    if delivery.tidies:
        await tidy(outcome)
    return True


def text_of(state: JsonObject | None) -> str | None:
    return None if state is None else state["log"]


def state_of(text: str | None) -> JsonObject | None:
    return None if text is None else {"log": text}


def _shown(text: str | None) -> str:
    return "-" if text is None else text
