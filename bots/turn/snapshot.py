"""The start of a turn: its documents as they all were at one moment, or the answer that was already given.

Where the conversation's document vouches for what was loaded, one load does. Otherwise the documents are
loaded until two loads in a row answer the same versions: ETags are never used twice, so between the two loads
nothing changed, and the documents existed together (double collect; Afek et al., "Atomic snapshots of shared
memory", JACM 1993). The deciders of undo notes are loaded along, so notes are judged at that same moment.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from bots.copies import copy_of
from bots.turn import ledger
from bots.turn.view import Verdict, View, forgets
from storage.errors import StorageUnavailable
from storage.telemetry import spanned

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bots.turn.conversation import Conversation
    from bots.turn.envelope import Note
    from bots.turn.runtime import Runtime
    from storage.contract import DocumentStore, JsonObject


@dataclasses.dataclass(frozen=True, slots=True)
class Redelivered:
    """The activity was handled by an earlier turn.

    Attributes:
        replies: what that turn answered, to be sent now; empty where the replies are known to have arrived.
        txn: the attempt that committed it.
        conversation: the conversation's document as it is now.
    """

    store: DocumentStore
    runtime: Runtime
    conversation_key: str
    conversation: Conversation
    txn: str
    replies: list[JsonObject]


@dataclasses.dataclass(frozen=True, slots=True)
class Snapshot:
    """What a turn runs on. It stays as it is; what the turn makes of it goes to `commit`.

    Attributes:
        is_recent: whether the conversation's document was not loaded; see `is_outdated`.
    """

    store: DocumentStore
    runtime: Runtime
    conversation_key: str
    activity_id: str | None
    view: View
    is_recent: bool = False

    @property
    def documents(self) -> dict[str, JsonObject | None]:
        """The state of every document asked for, or None where there is none: the caller's own copies."""
        states = {self.conversation_key: self.view.own.state}
        states |= {key: self.view.resolved(key).state for key in self.view.held}
        copied: dict[str, JsonObject | None] = copy_of(states)
        return copied

    @property
    def pending(self) -> set[str]:
        """The deciders of notes about which nobody can say yet whether their turn commits."""
        notes = {key: held.note for key, held in self.view.held.items() if held.note}
        return {note.decider for key, note in notes.items() if self.view.verdict(key) is Verdict.UNDECIDED}

    async def is_outdated(self) -> bool:
        """Whether the conversation's document was not loaded and is another version by now: the turn ran on the past.

        For what ends without writing it. Raises `StorageUnavailable` when the storage does not answer.
        """
        if not self.is_recent:
            return False
        found = (await self.store.load([self.conversation_key])).get(self.conversation_key)
        return found is None or found.etag != self.view.own.etag


@spanned("load")
async def begin(
    store: DocumentStore,
    conversation_key: str,
    other_keys: Iterable[str],
    activity_id: str | None,
    *,
    received: float,
    runtime: Runtime,
    recent: Conversation | None = None,
) -> Snapshot | Redelivered:
    """Load the documents of a turn.

    Args:
        store: where they are.
        conversation_key: the key of the conversation's document.
        other_keys: the keys of all other documents that the turn may use (user, private, its own kinds).
        activity_id: the activity's id, or None for a turn that has none; such a turn cannot be recognised
        again.
        received: when this delivery arrived, on the clock `runtime.monotonic`; the same for each of its
        attempts.
        runtime: clocks, waiting, names, bounds.
        recent: the conversation's document as a turn of this process has left it, if that is probably the latest.

    Raises `StorageUnavailable` when the storage does not answer, when the documents do not hold still within
    the bounds, or when the delivery is so old that its activity could be handled and forgotten: the channel
    must be told to try again. Raises `StateDecodeError` for a document that cannot be read.
    """
    keys = tuple(dict.fromkeys(key for key in other_keys if key != conversation_key))

    def forgotten(note: Note, decider: Conversation) -> bool:
        return forgets(store, runtime.wall(), note, decider)

    deciders: tuple[str, ...] = ()
    before: Mapping[str, str | None] | None = None
    if recent is not None and recent.may_vouch(keys) and ledger.find(recent.ledger, activity_id) is None:
        view = View.parse(conversation_key, keys, (), await store.load(keys) if keys else {}, forgotten, own=recent)
        if view.vouched_for():
            _refuse(conversation_key, view, received, runtime)
            return Snapshot(store, runtime, conversation_key, activity_id, view, is_recent=True)
        before = view.versions()  # older than this load: if the next one finds it too, it was there all along
    patience = runtime.limits.patience
    for _ in range(runtime.limits.loads):
        found = await store.load([conversation_key, *keys, *deciders])
        view = View.parse(conversation_key, keys, deciders, found, forgotten)
        entry = ledger.find(view.own.ledger, activity_id)
        if entry is not None:
            return Redelivered(store, runtime, conversation_key, view.own, entry.txn, entry.reply_list())
        _refuse(conversation_key, view, received, runtime)
        snapshot = Snapshot(store, runtime, conversation_key, activity_id, view)
        if view.vouched_for():
            return snapshot
        if view.missing_deciders():
            deciders = tuple(sorted(view.missing_deciders() | set(deciders)))
        elif held_still(store, before, view):
            if not (snapshot.pending and patience):
                return snapshot
            patience -= 1
            await runtime.sleep(runtime.limits.moment)
        before = view.versions()
    raise StorageUnavailable(
        f"{conversation_key!r}: its documents changed during {runtime.limits.loads} loads; try again"
    )


def held_still(store: DocumentStore, before: Mapping[str, str | None] | None, view: View) -> bool:
    """Whether the documents existed together: one load of a transactional store, else two equal ones."""
    return store.transactional or before == view.versions()


def _refuse(conversation_key: str, view: View, received: float, runtime: Runtime) -> None:
    # After the load: whoever read the ledger this early would have found the entry of an earlier delivery.
    if runtime.monotonic() - received > runtime.limits.replay_age:
        raise StorageUnavailable(f"{conversation_key!r}: the turn took too long to be tried again")
    if ledger.is_full(view.own.ledger, runtime.wall(), runtime.limits):
        limits = runtime.limits
        raise StorageUnavailable(
            f"{conversation_key!r}: {limits.activities} activities in {limits.ledger_age:g} s, "
            "more than its ledger has room for; try again later"
        )
