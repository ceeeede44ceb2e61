"""What one load of a turn's documents says, and what follows from it."""

from __future__ import annotations

import dataclasses
import enum
from typing import TYPE_CHECKING, Final

from bots.turn.conversation import Conversation, parse_conversation
from bots.turn.envelope import Held, parse_document

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bots.turn.envelope import Note
    from storage.contract import Document, DocumentStore


# Seconds; half of the shortest life that a document can have, a day.
FORGOTTEN_AFTER: Final = 43_200.0


def forgets(store: DocumentStore, now: float, note: Note, decider: Conversation) -> bool:
    """Whether a decider that says nothing of a committed turn may have expired since it did.

    Such a note counts as committed. It nearly always is: a turn that left a note and did not commit is delivered again
    within seconds, and then its note is resolved. Where conversations live for ever, nothing is presumed.
    """
    if store.life(note.decider) is None or (decider.etag is not None and decider.etag == note.base):
        return False
    began = now if decider.since is None else decider.since
    return began - note.at > FORGOTTEN_AFTER


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
        due: the keys, of `own` and `held`, of documents that have to be written again to live on.
        forgotten: the keys of documents with a note whose decider may have expired since, and with it what it knew.
    """

    own_key: str
    own: Conversation
    held: Mapping[str, Held]
    deciders: Mapping[str, Conversation]
    due: tuple[str, ...] = ()
    forgotten: tuple[str, ...] = ()

    @classmethod
    def parse(
        cls,
        own_key: str,
        keys: Sequence[str],
        deciders: Sequence[str],
        found: Mapping[str, Document],
        forgets: Callable[[Note, Conversation], bool],
        own: Conversation | None = None,
    ) -> View:
        """What `found` says, and of the conversation's document `own`, if that is given.

        Raises `StateDecodeError` for a document that is not what it should be."""
        view = cls(
            own_key,
            own or parse_conversation(own_key, found.get(own_key)),
            {key: parse_document(key, found.get(key)) for key in keys},
            {key: parse_conversation(key, found.get(key)) for key in deciders},
            tuple(key for key in (own_key, *keys) if key in found and found[key].due),
        )
        notes = {key: held.note for key, held in view.held.items() if held.note}
        if not notes:
            return view
        missing = view.missing_deciders()
        known = {key: note for key, note in notes.items() if note.decider not in missing}
        forgotten = tuple(key for key, note in known.items() if forgets(note, view.decider(note.decider)))
        return dataclasses.replace(view, forgotten=forgotten)

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

        COMMITTED is right on any load (or presumed on any, see `forgets`); the other two only where all
        documents are known to have existed at one moment: judged by a decider loaded before the note, a commit
        under way looks like an aborted one.
        """
        held = self.held[key]
        if held.note is None:
            return None
        if self.own.seen.get(key) == held.tag:
            return Verdict.COMMITTED
        decider = self.decider(held.note.decider)
        if decider.seen.get(key) == held.tag:
            return Verdict.COMMITTED
        if key in self.forgotten:
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
        return evident and self.agrees() and self.own.may_vouch(self.held)
