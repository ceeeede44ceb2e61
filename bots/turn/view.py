"""What one load of a turn's documents says, and what follows from it."""

from __future__ import annotations

import dataclasses
import enum
from typing import TYPE_CHECKING

from bots.turn.conversation import Conversation, parse_conversation
from bots.turn.envelope import Held, parse_document

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from storage.contract import Document


class Verdict(enum.Enum):
    """What became of the turn that left an undo note."""

    COMMITTED = "committed"  # for good: no later load can say otherwise
    ABORTED = "aborted"  # for good: its commit expects a version that is no more
    UNDECIDED = "undecided"


@dataclasses.dataclass(frozen=True, slots=True)
class View:
    """The documents of a turn as one load answered. Nothing says yet that they existed at one moment.

    Attributes:
        own: the conversation's document.
        held: the other documents of the turn.
        deciders: documents of other conversations that were loaded because a note names them.
    """

    own_key: str
    own: Conversation
    held: Mapping[str, Held]
    deciders: Mapping[str, Conversation]

    @classmethod
    def parse(cls, own_key: str, keys: Sequence[str], deciders: Sequence[str], found: Mapping[str, Document]) -> View:
        """Raises `StateDecodeError` for a document that is not what it should be."""
        return cls(
            own_key,
            parse_conversation(own_key, found.get(own_key)),
            {key: parse_document(key, found.get(key)) for key in keys},
            {key: parse_conversation(key, found.get(key)) for key in deciders},
        )

    def versions(self) -> dict[str, str | None]:
        """The ETag of every document loaded."""
        every: dict[str, Conversation | Held] = {self.own_key: self.own, **self.held, **self.deciders}
        return {key: document.etag for key, document in every.items()}

    def missing_deciders(self) -> set[str]:
        """The deciders of notes that are not loaded yet."""
        named = {held.note.decider for held in self.held.values() if held.note}
        return named - self.deciders.keys() - {self.own_key}

    def decider(self, key: str) -> Conversation:
        """The conversation's document of that key."""
        return self.own if key == self.own_key else self.deciders[key]

    def verdict(self, key: str) -> Verdict | None:
        """Judge the note in the document `key`, or None where it has none.

        COMMITTED is right on any load; the other two only where all documents are known to have existed at
        one moment: judged by a decider loaded before the note, a commit under way looks like an aborted one.
        """
        held = self.held[key]
        if held.note is None:
            return None
        if self.own.seen.get(key) == held.tag:
            return Verdict.COMMITTED
        decider = self.decider(held.note.decider)
        if decider.seen.get(key) == held.tag:
            return Verdict.COMMITTED
        return Verdict.UNDECIDED if decider.etag == held.note.base else Verdict.ABORTED

    def resolved(self, key: str) -> Held:
        """The document with its note judged: what the last committed turn left in it."""
        held = self.held[key]
        if held.note is None or self.verdict(key) is Verdict.COMMITTED:
            return Held(held.state, held.tag, None, held.etag)
        return Held(held.note.before, held.note.tag, None, held.etag)

    def agrees(self) -> bool:
        """Whether every document has the tag under which a turn of this conversation last saw it."""
        return all(self.resolved(key).tag == self.own.seen.get(key) for key in self.held)

    def vouched_for(self) -> bool:
        """Whether the conversation's document itself says that one load was enough.

        Its last commit saw these very versions together; tags never come back, so each has been the current
        one since then or since it was loaded. It must be the *last* commit: a tag recorded by an earlier one
        may have been outdated when the last one happened.
        """
        evident = all(held.note is None or self.own.seen.get(key) == held.tag for key, held in self.held.items())
        return evident and self.agrees() and (self.own.last is None or self.held.keys() <= set(self.own.last))
