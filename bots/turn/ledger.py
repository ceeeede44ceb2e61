"""The ledger: which activities have been turned into state, and with which replies.

Entries are bounded, not forgotten: one leaves when it is neither among the newest nor young enough for its
activity to be delivered again. Both have to hold. By count alone, a burst of messages would push out an entry
whose redelivery is still on its way, and the activity would count twice.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from bots.turn.conversation import Entry, entry_text

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from bots.turn.runtime import Limits
    from storage.contract import JsonObject

Ledger = tuple[Entry, ...]


def find(ledger: Ledger, activity_id: str | None) -> Entry | None:
    """The entry of an activity that a committed turn has handled; nothing for a turn without one."""
    if activity_id is None:
        return None
    return next((entry for entry in ledger if entry.activity_id == activity_id), None)


def append(
    ledger: Ledger,
    txn: str,
    activity_id: str | None,
    replies: Sequence[JsonObject],
    now: float,
    limits: Limits,
) -> Ledger:
    """Add the entry of a turn, and let go of those that nobody can ask for any more."""
    newest = len(ledger) - limits.ledger_entries
    kept = (entry for at, entry in enumerate(ledger) if at >= newest or now - entry.at <= limits.ledger_age)
    return _within((*kept, Entry(txn, now, activity_id, entry_text(replies))), limits.replies)


def delivered(ledger: Ledger, activity_ids: Collection[str]) -> Ledger:
    """Mark the entries of these activities: their replies have arrived, so they need not be kept."""
    return tuple(
        dataclasses.replace(entry, replies=None) if entry.activity_id in activity_ids else entry for entry in ledger
    )


def _within(ledger: Ledger, room: int) -> Ledger:
    """Let go of the replies that do not fit, the oldest first: the document must stay below the service's limit."""
    *older, newest = ledger  # whose replies are still to be sent
    kept = [newest]
    for entry in reversed(older):
        room -= len(kept[-1].replies or "")
        kept.append(entry if len(entry.replies or "") <= room else dataclasses.replace(entry, replies=None))
    return tuple(reversed(kept))
