"""The ledger: which activities have been turned into state, and with which replies.

Entries are bounded, not forgotten: one leaves when it is neither among the newest nor young enough for its
activity to be delivered again. Both have to hold. By count alone, a burst of messages would push out an entry
whose redelivery is still on its way, and the activity would count twice.

What has been answered need not be kept whole until then: of an entry that is not among the newest and whose
replies have arrived, only a digest of the activity's id stays, 11 characters in the text of its minute. So a
conversation of a hundred messages a second still has a document of moderate size.
"""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Final

from bots.turn.digests import LENGTH, digest_of, holds
from bots.turn.texts import pack

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from bots.turn.fields import Fields
    from bots.turn.runtime import Limits
    from storage.contract import JsonObject

_PARTS: Final = 10  # into which `ledger_age` is divided; a digest stays at most one part longer than that
_NO_REPLIES: Final = "[]"


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """One committed turn.

    Attributes:
        txn: the attempt that committed; empty where only the activity is known any more.
        at: when, in seconds since the epoch, by the clock of the replica that committed it.
        activity_id: the activity, or None for a turn that had none (a proactive one).
        replies: the JSON text of the list of its replies, or None once they are known to be delivered.
    """

    txn: str
    at: float
    activity_id: str | None
    replies: str | None

    def reply_list(self) -> list[JsonObject]:
        """The replies, in order; none once they are known to be delivered."""
        replies: list[JsonObject] = json.loads(self.replies or _NO_REPLIES)
        return replies

    @property
    def is_answered(self) -> bool:
        """Whether a redelivery of its activity has nothing to send."""
        return self.replies is None or self.replies == _NO_REPLIES


@dataclasses.dataclass(frozen=True, slots=True)
class Answered:
    """The activities of one part of `ledger_age` of which only digests are kept, one behind the other.

    Attributes:
        since: when the oldest was committed, in seconds since the epoch.
        until: when the newest was.
    """

    since: float
    until: float
    digests: str

    def __contains__(self, digest: str) -> bool:
        return holds(self.digests, digest)


@dataclasses.dataclass(frozen=True, slots=True)
class Ledger:
    """The committed turns of a conversation.

    Attributes:
        entries: those that are kept whole, oldest first.
        answered: of the others, what is needed to know their activities again, oldest first.
    """

    entries: tuple[Entry, ...] = ()
    answered: tuple[Answered, ...] = ()


def find(ledger: Ledger, activity_id: str | None) -> Entry | None:
    """The entry of an activity that a committed turn has handled; nothing for a turn without one."""
    if activity_id is None:
        return None
    entry = next((entry for entry in ledger.entries if entry.activity_id == activity_id), None)
    if entry or not ledger.answered:
        return entry
    digest = digest_of(activity_id)
    part = next((part for part in ledger.answered if digest in part), None)
    return Entry("", part.until, activity_id, None) if part else None


def is_full(ledger: Ledger, now: float, limits: Limits) -> bool:
    """Whether the conversation has had as many turns of late as its document has room for."""
    answered = sum(len(part.digests) for part in _young(ledger, now, limits)) // LENGTH
    return answered + len(ledger.entries) >= limits.activities


def append(
    ledger: Ledger,
    txn: str,
    activity_id: str | None,
    replies: Sequence[JsonObject],
    now: float,
    limits: Limits,
) -> Ledger:
    """Add the entry of a turn, and let go of those that nobody can ask for any more."""
    answered = _young(ledger, now, limits)
    entries = []
    for left, entry in zip(range(len(ledger.entries), 0, -1), ledger.entries, strict=True):
        if left <= limits.ledger_entries:
            entries.append(entry)
        elif now - entry.at > limits.ledger_age:
            continue
        elif entry.is_answered and entry.activity_id is not None:
            _add(answered, entry, entry.activity_id, limits)
        else:
            entries.append(entry)
    text = json.dumps(list(replies), ensure_ascii=False, separators=(",", ":"))
    return Ledger(_within((*entries, Entry(txn, now, activity_id, text)), limits.replies), tuple(answered))


def delivered(ledger: Ledger, activity_ids: Collection[str]) -> Ledger:
    """Mark the entries of these activities: their replies have arrived, so they need not be kept."""
    entries = tuple(
        dataclasses.replace(entry, replies=None) if entry.activity_id in activity_ids else entry
        for entry in ledger.entries
    )
    return Ledger(entries, ledger.answered)


def parse_ledger(fields: Fields) -> Ledger:
    """Read the ledger of a conversation's "$turn". Raises `StateDecodeError` where it is malformed."""
    answered = fields.objects("answered") if "answered" in fields else ()
    return Ledger(
        tuple(_parse_entry(entry) for entry in fields.objects("ledger")),
        tuple(_parse_answered(part) for part in answered),
    )


def build_ledger(ledger: Ledger) -> JsonObject:
    """Return its part of "$turn"."""
    built: JsonObject = {"ledger": [_build_entry(entry) for entry in ledger.entries]}
    if ledger.answered:
        built["answered"] = [
            {"since": part.since, "until": part.until, "digests": part.digests} for part in ledger.answered
        ]
    return built


def _young(ledger: Ledger, now: float, limits: Limits) -> list[Answered]:
    return [part for part in ledger.answered if now - part.until <= limits.ledger_age]


def _add(parts: list[Answered], entry: Entry, activity_id: str, limits: Limits) -> None:
    digest = digest_of(activity_id)
    if parts and abs(entry.at - parts[-1].since) <= limits.ledger_age / _PARTS:
        last = parts.pop()
        parts.append(Answered(last.since, max(last.until, entry.at), last.digests + digest))
    else:
        parts.append(Answered(entry.at, entry.at, digest))


def _within(entries: Sequence[Entry], room: int) -> tuple[Entry, ...]:
    """Let go of the replies that do not fit, the oldest first: the document must stay below the service's limit."""
    kept: list[Entry] = []
    for entry in reversed(entries):
        size = _size(entry.replies)
        if size > room and kept:  # those of the newest are still to be sent
            kept.append(dataclasses.replace(entry, replies=None))
        else:
            kept.append(entry)
            room -= size
    return tuple(reversed(kept))


def _size(replies: str | None) -> int:
    """The bytes that replies take at most as they are sent: a service's SDK may escape all but ASCII."""
    return 0 if replies is None else len(replies) if replies.isascii() else len(json.dumps(replies))


def _parse_entry(fields: Fields) -> Entry:
    replies = fields.optional_long_text("replies")
    if replies is not None and not all(isinstance(reply, dict) for reply in fields.json("replies", replies, list)):
        raise fields.error("replies", "spells a list of something else than objects")
    return Entry(fields.text("txn"), fields.number("at"), fields.optional_text("id"), replies)


def _build_entry(entry: Entry) -> JsonObject:
    built: JsonObject = {"txn": entry.txn, "at": entry.at}
    if entry.activity_id is not None:
        built["id"] = entry.activity_id
    if entry.replies is not None:
        built["replies"] = pack(entry.replies)
    return built


def _parse_answered(fields: Fields) -> Answered:
    digests = fields.text("digests")
    if len(digests) % LENGTH:
        raise fields.error("digests", f"has {len(digests)} characters, expected a multiple of {LENGTH}")
    return Answered(fields.number("since"), fields.number("until"), digests)
