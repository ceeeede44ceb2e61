"""After the replies, off the user's path: what makes later turns cheaper. None of it has to happen."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from bots.turn.commit import touch
from bots.turn.conversation import Conversation, build_conversation, parse_conversation
from bots.turn.envelope import Held, build_document, parse_document
from bots.turn.view import Verdict, View
from storage.contract import DocumentStore, Write
from storage.errors import StorageConflict, StorageUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bots.turn.outcome import Committed
    from bots.turn.snapshot import Redelivered


def is_untidy(turn: Committed) -> bool:
    """Whether `tidy` has anything to do."""
    view = turn.snapshot.view
    notes = (held.note for held in (*turn.written.values(), *view.held.values()))
    return bool(view.due) or any(notes) or _surplus(turn) > 0


async def tidy(turn: Committed) -> None:
    """Remove the undo notes that this turn left or found, and old entries of `seen` where they are too many; write
    again what this turn only used and what would expire otherwise.

    One save where there is something of it, none otherwise. A note whose turn is decided says the same as the
    document without it, and the write expects the very version that was judged; so nothing depends on its
    success, and conflicts and failures are left alone.
    """
    if turn.txn is None:
        await _try(turn.store, _renewals(turn))
        return
    view = turn.snapshot.view
    writes = _renewals(turn) | {key: _without_note(held) for key, held in turn.written.items() if held.note}
    for key, held in view.held.items():
        if held.note and key not in turn.written and not _foreign_pending(view, key):
            writes[key] = Write(build_document(view.resolved(key)), held.expect)
    await _try(turn.store, writes)
    pending = turn.snapshot.pending - {turn.conversation_key}
    if pending:
        await touch(turn.store, {key: view.decider(key) for key in pending})
    await _forget_seen(turn)


async def mark_delivered(turn: Committed | Redelivered) -> bool:
    """Record that a turn's replies have arrived, so that a redelivery stays silent; False where it could not
    be.

    For slow turns: one save right after sending. It moves the conversation's document on, so a turn under way
    has to begin again. Other turns are marked by the next `commit` of the conversation, at no cost.
    """
    key, conversation = turn.conversation_key, turn.conversation
    for number in range(turn.runtime.limits.tries):
        await turn.runtime.pause(number)
        entry = conversation.entry(turn.txn) if turn.txn else None
        if entry is None or entry.replies is None:
            return entry is not None
        entries = tuple(
            dataclasses.replace(each, replies=None) if each is entry else each for each in conversation.ledger.entries
        )
        ledger = dataclasses.replace(conversation.ledger, entries=entries)
        marked = dataclasses.replace(conversation, ledger=ledger)
        if await _try(turn.store, {key: Write(build_conversation(marked), conversation.expect)}):
            return True
        try:
            conversation = parse_conversation(key, (await turn.store.load([key])).get(key))
        except StorageUnavailable:
            continue
    return False


def _renewals(turn: Committed) -> dict[str, Write]:
    """The documents that the turn found due and did not write, as they are."""
    view = turn.snapshot.view
    writes = {
        key: Write(build_document(view.resolved(key)), view.held[key].expect)
        for key in view.due
        if key in view.held and key not in turn.written and view.verdict(key) in (None, Verdict.COMMITTED)
    }
    if turn.txn is None and turn.conversation_key in view.due:
        writes[turn.conversation_key] = Write(build_conversation(view.own), view.own.expect)
    return writes


def _foreign_pending(view: View, key: str) -> bool:
    # One that waits for our own conversation is aborted by the very commit that has just succeeded.
    note = view.held[key].note
    return view.verdict(key) is Verdict.UNDECIDED and note is not None and note.decider != view.own_key


def _without_note(held: Held) -> Write:
    return Write(build_document(dataclasses.replace(held, note=None)), held.expect)


async def _forget_seen(turn: Committed) -> None:
    """Drop the oldest entries of `seen`, each once its document is known to hold no note that the entry
    decides.

    The documents are loaded after the conversation's version with these entries was written; a note that is
    not there then never comes back. Without an entry, the next turn with that document loads it twice, and
    that is all.
    """
    conversation, limits = turn.conversation, turn.runtime.limits
    oldest = [key for key in conversation.seen if key not in (conversation.last or ())]
    surplus = _surplus(turn)
    if surplus <= 0 or not oldest:
        return
    leaving = oldest[: surplus + limits.seen // 2]
    try:
        found = await turn.store.load(leaving)
    except StorageUnavailable:
        return
    held = {key: parse_document(key, found.get(key)) for key in leaving}
    noted = {key: each for key, each in held.items() if _decides(turn.conversation_key, conversation, key, each)}
    if await _try(turn.store, {key: _without_note(each) for key, each in noted.items()}):
        seen = {key: tag for key, tag in conversation.seen.items() if key not in held}
        smaller = build_conversation(dataclasses.replace(conversation, seen=seen))
        await _try(turn.store, {turn.conversation_key: Write(smaller, conversation.expect)})


def _surplus(turn: Committed) -> int:
    return len(turn.conversation.seen) - turn.runtime.limits.seen


def _decides(own_key: str, conversation: Conversation, key: str, held: Held) -> bool:
    return held.note is not None and held.note.decider == own_key and conversation.seen[key] == held.tag


async def _try(store: DocumentStore, writes: Mapping[str, Write]) -> bool:
    if not writes:
        return True
    try:
        await store.save(writes)
    except (StorageConflict, StorageUnavailable):
        return False
    return True
