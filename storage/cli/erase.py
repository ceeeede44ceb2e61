"""Deleting documents while the bot runs, so that no turn undoes it and no other document loses by it.

Every write is conditional on the version that was judged, and judged anew where a turn was faster. A person's own
documents go first: a turn that has loaded one can no longer commit a change of it. Then a conversation: a turn
that has loaded that one fails, and begins again with what is left, which is nothing.

Turns themselves never remove a conversation's document, for it is the evidence that the writes marked with an undo
note in other documents count (`bots.turn.protocol`). So before one is deleted here, the notes that it has decided
are taken out of the documents of others; a note that is undecided then counts as aborted, which its turn will be.

What is given up: an activity that is delivered again after its conversation was deleted counts again. And where a
turn began before its conversation existed, and ends after it was made by another turn and deleted here, its change
of a document that it found absent may be lost.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Final

from storage.cli.person import Kept, Person, find, others_in, took_part
from storage.cli.reading import Found, batches, read
from storage.cli.record import Record, digest_of, record_of, without_mention, without_note
from storage.contract import ANY, DocumentStore, Write
from storage.errors import StateDecodeError, StorageConflict

TRIES: Final = 10  # for one document, while turns change it
ROUNDS: Final = 3  # over a person's documents, while turns make new ones


@dataclasses.dataclass(slots=True)
class Erased:
    """What was done.

    Attributes:
        deleted: the keys of documents that are gone.
        forgotten: conversations with others that no longer name the person.
        changed: the keys of documents that turns changed or made meanwhile; they were judged anew.
        left: what a last look found of the person, still or again.
    """

    deleted: list[str] = dataclasses.field(default_factory=list)
    forgotten: list[str] = dataclasses.field(default_factory=list)
    changed: set[str] = dataclasses.field(default_factory=set)
    left: Kept = dataclasses.field(default_factory=Kept)


async def erase(
    store: DocumentStore, person: Person, kept: Kept, *, replies: bool, done: Callable[[], None] = lambda: None
) -> Erased:
    """Delete what `kept` found to be the person's, and look again until nothing is left.

    With `replies`, the replies kept in conversations with others go too: a reply may name the person, and
    nothing says which do. Raises `StorageUnavailable`; what was deleted before stays deleted.
    """
    erased = Erased(left=kept)
    for round_ in range(ROUNDS):
        if round_:
            left = erased.left
            erased.changed |= {found.key for found in (*left.own, *left.alone)} | left.shared.keys()
        for found in erased.left.own:
            await delete(store, found, erased)
        for found in erased.left.alone:
            # What was said goes first: without the conversation nobody could tell whose it was, if this is stopped.
            if all(_is_alone(person, each) for each in await read(store, [found.key])):
                await _delete_said(store, person, found, erased)
            if await delete(store, found, erased, lambda found: _is_alone(person, found)):
                await _delete_said(store, person, found, erased)
        for key in erased.left.shared:
            await _forget(store, key, person, erased, replies=replies)
        erased.left = await find(store, person, done)
        erased.left.named = list(dict.fromkeys([*kept.named, *erased.left.named]))
        if not erased.left.found:
            break
    return erased


async def delete(
    store: DocumentStore, found: Found, erased: Erased, still: Callable[[Found], bool] = lambda _: True
) -> bool:
    """Delete one document, for as long as it is `still` to be deleted, and note that in `erased`.

    One that cannot be read is deleted whatever its version. Returns False where it is there after all.
    Raises `StorageUnavailable`.
    """
    key = found.key
    for _ in range(TRIES):
        if not still(found):
            return False
        try:
            await _settle(store, found)
            await store.save({key: Write(None, found.document.etag if found.document else ANY)})
        except StorageConflict:
            erased.changed.add(key)
        else:
            erased.deleted.append(key)
            return True
        again = await read(store, [key])
        if not again:
            return True
        found = again[0]
    return False


async def _delete_said(store: DocumentStore, person: Person, conversation: Found, erased: Erased) -> None:
    """Delete what was said in a conversation; such documents are written once and never changed."""
    async for batch in batches(store.keys(person.transcript(conversation.key))):
        await store.save({key: Write(None, ANY) for key in batch})
        erased.deleted += batch


async def _settle(store: DocumentStore, found: Found) -> None:
    """Take the undo notes that a conversation has decided out of the documents that hold them.

    Raises `StorageConflict` where a turn is at one of them.
    """
    record = _record(found)
    if record is None or record.seen is None:
        return
    for other in await read(store, record.others):
        theirs = _record(other)
        if theirs and theirs.decider == found.key and theirs.tag == record.seen.get(other.key):
            assert other.document is not None
            await store.save({other.key: Write(without_note(other.document.value), other.document.etag)})


async def _forget(store: DocumentStore, key: str, person: Person, erased: Erased, *, replies: bool) -> None:
    """Make a conversation with others no longer name the person's documents, once those are gone.

    They are looked for after the conversation was loaded: a turn that makes one anew, and has not committed yet,
    fails by this write, and one that has makes this write fail.
    """
    for _ in range(TRIES):
        found = next(iter(await read(store, [key])), None)
        record = found and _record(found)
        theirs = [other for other in record.others if person.owns(other)] if record else []
        if not (found and found.document and record and took_part(person, record)) or await read(store, theirs):
            return
        value = without_mention(found.document.value, digest_of(person.id), person.owns, replies=replies)
        try:
            await store.save({key: Write(value, found.document.etag)})
        except StorageConflict:
            erased.changed.add(key)
        else:
            erased.forgotten.append(key)
            return


def _is_alone(person: Person, found: Found) -> bool:
    record = _record(found)
    return record is not None and record.is_whole and not others_in(person, record)


def _record(found: Found) -> Record | None:
    try:
        return record_of(found.key, found.document.value) if found.document else None
    except StateDecodeError:
        return None
