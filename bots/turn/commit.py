"""The end of a turn: everything it changed is stored, or nothing is."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from bots.turn import ledger
from bots.turn.conversation import Conversation, build_conversation, parse_conversation
from bots.turn.envelope import Held, Note, build_document, parse_document, tag_of
from bots.turn.outcome import Aborted, Committed
from storage.contract import DocumentStore, JsonObject, Write
from storage.errors import StorageConflict, StorageUnavailable
from storage.telemetry import spanned

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from bots.turn.snapshot import Snapshot


@spanned("commit")
async def commit(
    snapshot: Snapshot,
    changes: Mapping[str, JsonObject | None],
    replies: Sequence[JsonObject],
    *,
    delivered: Collection[str] = (),
    users: Collection[str] = (),
) -> Committed | Aborted:
    """Store what a turn changed, all of it or none.

    Args:
        snapshot: what the turn ran on.
        changes: the new state of each document that changed, None for one that the turn deleted.
        replies: the turn's replies, for a delivery of the same activity after a crash.
        delivered: earlier activities of the conversation whose replies the caller knows to have arrived.
        users: the ids of the users whom the activity is from; the conversation records that they took part.

    Raises `StorageUnavailable` when the outcome is not known in the end: the delivery must not be
    acknowledged, and its replies must not leave. The next delivery finds out. Cancelled or killed at any
    point, it leaves what any other turn can resolve. Raises KeyError for a change of a document that was not
    asked for.
    """
    unknown = changes.keys() - {snapshot.conversation_key} - snapshot.view.held.keys()
    if unknown:
        raise KeyError(f"not loaded by this turn: {', '.join(sorted(unknown))}")
    return await Attempt(snapshot, changes, replies, delivered, users).run()


async def touch(store: DocumentStore, deciders: Mapping[str, Conversation]) -> None:
    """Write conversations' documents as they are, so that no commit expecting their present versions can
    succeed.

    Whatever it answers, the next load tells: the version moved, or it is tried again.
    """
    try:
        await store.save({key: Write(build_conversation(each), each.expect) for key, each in deciders.items()})
    except (StorageConflict, StorageUnavailable):
        return


class Attempt:
    """One attempt to commit what a turn has made of its snapshot."""

    def __init__(
        self,
        snapshot: Snapshot,
        changes: Mapping[str, JsonObject | None],
        replies: Sequence[JsonObject],
        delivered: Collection[str],
        users: Collection[str],
    ) -> None:
        self.snapshot = snapshot
        self.store = snapshot.store
        self.view = snapshot.view
        self.changes = changes
        self.replies = replies
        self.delivered = delivered
        self.users = users

    async def run(self) -> Committed | Aborted:
        """Notes first, then the decision: the conversation's document is the last to be written."""
        if not self.changes and self.view.agrees():
            if await self.snapshot.is_outdated():
                return Aborted("another process had a turn of the conversation")
            return Committed(self.snapshot, self.view.own, {}, None)
        self.txn = self.snapshot.runtime.new_txn()
        self.written = self.new_versions()
        if self.written and self.snapshot.pending:
            await touch(self.store, {key: self.view.decider(key) for key in self.snapshot.pending})
            return Aborted("a document it changes was being changed by another turn")
        if self.written and not self.store.transactional and not await self.place_notes():
            return Aborted("a document it changes was changed by another turn")
        return await self.decide()

    def new_versions(self) -> dict[str, Held]:
        """The other documents to write: all that were loaded where one of them changes, otherwise none.

        Writing those that it only read keeps two turns of different conversations from each changing what
        the other has read (write skew).
        """
        keys = self.view.held if self.changes.keys() & self.view.held.keys() else ()
        return {key: self.new_version(key, self.view.resolved(key)) for key in keys}

    def new_version(self, key: str, before: Held) -> Held:
        state = self.changes.get(key, before.state)
        decider, base, now = self.snapshot.conversation_key, self.view.own.etag, self.snapshot.runtime.wall()
        note = Note(before.state, before.tag, decider, base, now)
        return Held(state, tag_of(self.txn, state), None if self.store.transactional else note)

    def document_writes(self) -> dict[str, Write]:
        return {key: Write(build_document(new), self.view.held[key].expect) for key, new in self.written.items()}

    async def place_notes(self) -> bool:
        """Write the changed documents, each with its undo note; False where another turn was faster."""
        waiting = self.document_writes()
        for number in range(self.snapshot.runtime.limits.tries):
            await self.snapshot.runtime.pause(number)
            try:
                self.stored(await self.store.save(waiting))
            except (StorageConflict, StorageUnavailable) as error:
                failure = error
            else:
                return True
            try:
                found = await self.store.load(waiting)
            except StorageUnavailable:
                continue
            for key in tuple(waiting):
                held = parse_document(key, found.get(key))
                if held.tag == self.written[key].tag:
                    self.stored({key: held.etag or ""})
                    del waiting[key]
                elif held.etag != self.view.held[key].etag:
                    return False
            if not waiting:
                return True
        raise StorageUnavailable("the turn was not committed: its documents could not be written") from failure

    async def decide(self) -> Committed | Aborted:
        """Write the conversation's document: the moment from which the turn counts, or never will."""
        key, base = self.snapshot.conversation_key, self.view.own
        new = self.next_conversation()
        writes = {key: Write(build_conversation(new), base.expect)}
        if self.store.transactional:
            writes |= self.document_writes()
        for number in range(self.snapshot.runtime.limits.tries):
            await self.snapshot.runtime.pause(number)
            try:
                etags = await self.store.save(writes)
            except (StorageConflict, StorageUnavailable) as error:
                failure = error
            else:
                self.stored(etags)
                return self.committed(dataclasses.replace(new, etag=etags[key]))
            try:
                found = parse_conversation(key, (await self.store.load([key])).get(key))
            except StorageUnavailable:
                continue
            if found.entry(self.txn) is not None:
                return self.committed(found)
            if found.etag != base.etag or self.lost(failure):
                return Aborted("the conversation went on in another turn")
        raise StorageUnavailable("nobody can say whether the turn was committed: try again") from failure

    def lost(self, failure: Exception) -> bool:
        """Whether a transactional store refused it for another document, and will again."""
        return self.store.transactional and isinstance(failure, StorageConflict)

    def next_conversation(self) -> Conversation:
        runtime, own = self.snapshot.runtime, self.view.own
        now = runtime.wall()
        entries = ledger.append(
            ledger.delivered(own.ledger, self.delivered),
            self.txn,
            self.snapshot.activity_id,
            self.replies,
            now,
            runtime.limits,
        )
        state = self.changes.get(self.snapshot.conversation_key, own.state)
        held = {key: self.written.get(key, self.view.resolved(key)) for key in self.view.held}
        return own.next(state, entries, held, now, self.users)

    def stored(self, etags: Mapping[str, str]) -> None:
        for key in self.written.keys() & etags.keys():
            self.written[key] = dataclasses.replace(self.written[key], etag=etags[key])

    def committed(self, conversation: Conversation) -> Committed:
        return Committed(self.snapshot, conversation, self.written, self.txn)
