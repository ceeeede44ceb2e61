"""Bugs to plant: each takes one safeguard out of the protocol, and the exploration has to find it."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from typing import TYPE_CHECKING, Any
from unittest import mock

from bots.turn import aftercare, commit, conversation, envelope, ledger, snapshot, view
from bots.turn.commit import Attempt
from bots.turn.outcome import Aborted, Committed
from bots.turn.snapshot import Redelivered, Snapshot, begin
from bots.turn.view import View
from storage.contract import ANY
from tests.exploration.turns import Again, Next, guarded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from bots.turn.envelope import Held, Note
    from bots.turn.runtime import Runtime
    from storage.contract import DocumentStore
    from tests.exploration.turns import Delivery, Phase, Send


def no_ledger() -> AbstractContextManager[Any]:
    """Nobody looks whether the activity was handled."""
    return mock.patch.object(ledger, "find", return_value=None)


def evicted_by_count() -> AbstractContextManager[Any]:
    """Ledger entries leave when newer ones come, however young they are."""
    append: Callable[..., ledger.Ledger] = ledger.append

    def by_count(*arguments: Any) -> Any:
        *others, limits = arguments
        return append(*others, dataclasses.replace(limits, ledger_age=-1.0))

    return mock.patch.object(ledger, "append", by_count)


@contextlib.contextmanager
def unconditional_create() -> Iterator[None]:
    """A document that was absent is written whatever there is now, as the stock storages do."""
    with (
        mock.patch.object(envelope, "expect", lambda etag: etag or ANY),
        mock.patch.object(conversation, "expect", lambda etag: etag or ANY),
    ):
        yield


def conversation_first() -> AbstractContextManager[Any]:
    """The decision is written before what it decides."""

    class Hasty(Attempt):
        async def run(self) -> Committed | Aborted:
            self.txn = self.snapshot.runtime.new_txn()
            self.written = self.new_versions()
            decided = await self.decide()
            if isinstance(decided, Committed) and self.written:
                await self.place_notes()
            return decided

    return mock.patch.object(commit, "Attempt", Hasty)


def no_touch() -> AbstractContextManager[Any]:
    """An undecided note is written over, as if it were an aborted one."""
    return mock.patch.object(Snapshot, "pending", frozenset())


def old_decider() -> AbstractContextManager[Any]:
    """Notes are judged by whatever version of the decider the first load has brought."""
    return mock.patch.object(snapshot, "held_still", return_value=True)


def note_not_read_again() -> AbstractContextManager[Any]:
    """Only the conversations must hold still: a note may have been cleared meanwhile."""

    def held_still(_: DocumentStore, before: Mapping[str, str | None] | None, view: View) -> bool:
        now = view.versions()
        return before is not None and all(before.get(key) == now[key] for key in (view.own_key, *view.deciders))

    return mock.patch.object(snapshot, "held_still", held_still)


def one_load_always() -> AbstractContextManager[Any]:
    """One load is taken for one moment wherever there is no note (torn snapshot)."""

    def vouched_for(view: View) -> bool:
        return all(held.note is None or view.own.seen.get(key) == held.tag for key, held in view.held.items())

    return mock.patch.object(View, "vouched_for", vouched_for)


def any_commit_vouches() -> AbstractContextManager[Any]:
    """Tags recorded by earlier commits than the last are taken for a snapshot too."""

    def vouched_for(view: View) -> bool:
        notes = all(held.note is None or view.own.seen.get(key) == held.tag for key, held in view.held.items())
        return notes and view.agrees()

    return mock.patch.object(View, "vouched_for", vouched_for)


def silent_reader() -> AbstractContextManager[Any]:
    """A turn that changes nothing writes nothing, even where a document moved in another conversation."""
    return mock.patch.object(View, "agrees", return_value=True)


def only_the_changed() -> AbstractContextManager[Any]:
    """A turn writes the documents it changes, not those it only read (write skew over two of them)."""

    class Narrow(Attempt):
        def new_versions(self) -> dict[str, Held]:
            return {key: new for key, new in super().new_versions().items() if key in self.changes}

    return mock.patch.object(commit, "Attempt", Narrow)


def unverified_notes() -> AbstractContextManager[Any]:
    """A note counts although a stock bot has written over the state it belongs to."""
    return mock.patch.object(envelope, "tag_of", lambda txn, _: f"{txn}.")


def seen_forgotten_unread() -> AbstractContextManager[Any]:
    """Entries of `seen` leave although their documents still hold the notes that they decide."""
    return mock.patch.object(aftercare, "_decides", return_value=False)


def own_success_unknown() -> AbstractContextManager[Any]:
    """After a lost acknowledgement nobody looks for the attempt's own name."""
    return mock.patch.object(conversation.Conversation, "entry", return_value=None)


def absence_alone() -> AbstractContextManager[Any]:
    """A conversation that expired and began anew says of the time before it what it would say had it lived on."""

    def forgets(store: DocumentStore, now: float, note: Note, decider: conversation.Conversation) -> bool:
        return decider.etag is None and view.forgets(store, now, note, decider)

    return mock.patch.object(snapshot, "forgets", forgets)


def replies_before_save(store: DocumentStore, runtime: Runtime, delivery: Delivery, received: float) -> Phase:
    """A script in which replies leave when the bot's logic has run, as the stock SDK has it."""
    turn = delivery.turn

    async def beginning(send: Send) -> Next | None:
        keys = turn.conversation, turn.others
        found = await begin(store, *keys, turn.name, received=received, runtime=runtime)
        if isinstance(found, Redelivered):
            send(" / ".join(reply["text"] for reply in found.replies))
            return None
        return Next(repr(found.view), functools.partial(committing, found))

    async def committing(found: Snapshot, send: Send) -> Again | None:
        changes, reply = turn.run_on(found)
        send(reply)
        outcome = await commit.commit(found, changes, [{"text": reply}])
        return None if isinstance(outcome, Committed) else Again()

    return guarded(beginning)
