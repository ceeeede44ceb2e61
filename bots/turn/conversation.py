"""The conversation's document: its state, and beside it what the turns of the conversation have decided.

    {...state, "$turn": {"ledger": [...], "answered"?: [...], "seen": {D: tag}, "last": [D, ...], "since",
     "members": digests, "more"?: true, "absent"?: true}}

It is never removed, unless conversations expire: deleted state is written empty, with the record kept. A
document without "$turn" was written by a stock bot: nothing has been decided yet. Replies are kept as JSON
*text*, so that what a user put into them is never rebuilt by another program's decoder, nor indexed by the
service.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from bots.turn.envelope import TURN, Held, expect
from bots.turn.fields import Fields
from bots.turn.ledger import Entry, Ledger, build_ledger, parse_ledger
from bots.turn.members import Members, build_members, parse_members

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from storage.contract import Document, Expect, JsonObject


@dataclasses.dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation's document.

    Attributes:
        state: the bot's state, or None where there is none.
        ledger: the committed turns.
        seen: for other documents, the tag they had when a turn of this conversation last loaded them; for one
            that the turn wrote, its new tag. This is the evidence that the write committed.
        last: the keys that the last committed turn loaded, or None where no turn ever committed.
        etag: the version, or None where there is no document.
        since: when its first turn committed, in seconds since the epoch, or None where none ever did. A document
            that expired begins anew.
        members: who took part in it.
    """

    state: JsonObject | None = None
    ledger: Ledger = dataclasses.field(default_factory=Ledger)
    seen: Mapping[str, str] = dataclasses.field(default_factory=dict)
    last: tuple[str, ...] | None = None
    etag: str | None = None
    since: float | None = None
    members: Members = dataclasses.field(default_factory=Members)

    @property
    def expect(self) -> str | Expect:
        """What a write that replaces exactly this version expects."""
        return expect(self.etag)

    def next(
        self,
        state: JsonObject | None,
        ledger: Ledger,
        held: Mapping[str, Held],
        now: float,
        users: Iterable[str] = (),
    ) -> Conversation:
        """The version that commits a turn of `users` now, after which the others it loaded are as `held` says."""
        seen = {key: tag for key, tag in self.seen.items() if key not in held}
        seen |= {key: document.tag for key, document in held.items() if document.tag is not None}
        since = now if self.since is None else self.since
        return Conversation(state, ledger, seen, tuple(held), since=since, members=self.members.with_users(users))

    def may_vouch(self, keys: Collection[str]) -> bool:
        """Whether its last commit, if there was one, saw all these documents."""
        return self.last is None or set(self.last).issuperset(keys)

    @property
    def last_txn(self) -> str | None:
        """The attempt that committed last, or None where none is known."""
        return self.ledger.entries[-1].txn if self.ledger.entries else None

    def entry(self, txn: str) -> Entry | None:
        """The ledger's entry of the attempt `txn`."""
        return next((entry for entry in self.ledger.entries if entry.txn == txn), None)


def parse_conversation(key: str, document: Document | None) -> Conversation:
    """Read a conversation's document. Raises `StateDecodeError` where "$turn" is malformed."""
    if document is None:
        return Conversation()
    state = {name: value for name, value in document.value.items() if name != TURN}
    if TURN not in document.value:
        return Conversation(state, etag=document.etag, members=Members(more=True))
    fields = Fields(key, TURN, document.value[TURN])
    return Conversation(
        state=None if fields.flag("absent") and not state else state,
        ledger=parse_ledger(fields),
        seen=fields.text_map("seen"),
        last=fields.texts("last") if "last" in fields else None,
        etag=document.etag,
        since=fields.number("since") if "since" in fields else None,
        members=parse_members(fields),
    )


def build_conversation(conversation: Conversation) -> JsonObject:
    """Return the value to store."""
    turn: JsonObject = {**build_ledger(conversation.ledger), "seen": dict(conversation.seen)}
    turn |= build_members(conversation.members)
    if conversation.last is not None:
        turn["last"] = list(conversation.last)
    if conversation.since is not None:
        turn["since"] = conversation.since
    if conversation.state is None:
        turn["absent"] = True
    return {**(conversation.state or {}), TURN: turn}
