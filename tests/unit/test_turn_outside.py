"""State that is used outside of a turn, on documents that a turn is changing or has left half changed."""

from __future__ import annotations

import pytest

from bots.state import UserState
from bots.turn.conversation import Conversation, build_conversation
from bots.turn.envelope import Held, Note, build_document, tag_of
from storage import ABSENT, StateDecodeError, StorageConflict, Write
from tests.unit.turn_bench import SeparateStorage
from tests.unit.turns import CONVERSATION, USER, new_turn

BEFORE, AFTER = {"count": 1}, {"count": 2}
TAG = tag_of("t2", AFTER)


@pytest.fixture
async def storage() -> SeparateStorage:
    """A conversation, and a user's document that a turn of it has written but not decided."""
    storage = SeparateStorage()
    conversation = Conversation({}, seen={USER: tag_of("t1", BEFORE)}, last=(USER,))
    etags = await storage.save({CONVERSATION: Write(build_conversation(conversation), ABSENT)})
    note = Note(BEFORE, tag_of("t1", BEFORE), CONVERSATION, etags[CONVERSATION], 0.0)
    value = build_document(Held(AFTER, TAG, note))
    assert value
    await storage.save({USER: Write(value, ABSENT)})
    return storage


async def decide(storage: SeparateStorage, seen: str) -> None:
    found = (await storage.load([CONVERSATION]))[CONVERSATION]
    value = build_conversation(Conversation({}, seen={USER: seen}, last=(USER,)))
    await storage.save({CONVERSATION: Write(value, found.etag)})


async def count(storage: SeparateStorage) -> object:
    return await UserState(storage).create_property("count").get(new_turn())


async def test_what_a_turn_has_not_committed_is_not_read_and_cannot_be_committed_any_more(
    storage: SeparateStorage,
) -> None:
    before = (await storage.load([CONVERSATION]))[CONVERSATION]
    assert await count(storage) == 1
    with pytest.raises(StorageConflict):
        await storage.save({CONVERSATION: Write(before.value, before.etag)})


async def test_what_a_turn_has_committed_is_read(storage: SeparateStorage) -> None:
    await decide(storage, TAG)
    assert await count(storage) == 2


async def test_what_a_turn_has_lost_is_read_as_it_was(storage: SeparateStorage) -> None:
    await decide(storage, tag_of("t1", BEFORE))
    assert await count(storage) == 1


async def test_what_is_saved_over_a_lost_change_stays_even_where_it_is_the_same(storage: SeparateStorage) -> None:
    await decide(storage, tag_of("t1", BEFORE))
    context, state = new_turn(), UserState(storage)
    await state.create_property("count").set(context, 2)
    await state.save_changes(context)
    assert await count(storage) == 2


async def test_a_note_that_is_none_is_an_error(storage: SeparateStorage) -> None:
    found = (await storage.load([USER]))[USER]
    found.value["$turn"]["undo"]["base"] = 7
    await storage.save({USER: Write(found.value, found.etag)})
    with pytest.raises(StateDecodeError, match="base"):
        await count(storage)


async def test_a_conversations_document_is_not_a_users(storage: SeparateStorage) -> None:
    await decide(storage, TAG)
    found = (await storage.load([CONVERSATION]))[CONVERSATION]
    user = (await storage.load([USER]))[USER]
    found.value["$turn"]["undo"] = user.value["$turn"]["undo"]
    await storage.save({USER: Write(found.value, user.etag)})
    with pytest.raises(StateDecodeError, match="ledger"):
        await count(storage)
