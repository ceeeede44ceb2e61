"""Everything kept about a person is found, and goes for good, whatever turns do meanwhile; nobody else loses by it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from bots.turn.conversation import parse_conversation
from bots.turn.protocol import Aborted, Committed
from storage import ABSENT, StateStorage, Write
from storage.cli.erase import Erased, delete, erase
from storage.cli.person import Person, find, look_up
from storage.cli.reading import read
from tests.contract.turns_of_people import (
    ADA,
    ALONE,
    BOB,
    BOBS,
    GROUP,
    PRIVATE,
    Interrupted,
    documents,
    finish,
    start,
    turn,
)

PERSON = Person("test", "ada")
SHARED = "test/statistics"  # a document of the bot's own, of nobody


def names_ada(value: object) -> bool:
    """Whether her id is in it: as a word, for the names that turns have may hold these letters by chance."""
    return re.search(r"\bada\b", str(value)) is not None


async def history(storage: StateStorage) -> None:
    await turn(storage, ALONE, ADA)
    await turn(storage, GROUP, ADA, PRIVATE)
    await turn(storage, GROUP, BOB)
    await turn(storage, BOBS, BOB)


async def test_what_is_theirs_is_told_from_what_is_others(storage: StateStorage) -> None:
    await history(storage)
    stock = {"test/conversations/stock": Write({"n": 1}, ABSENT), "survey/ada": Write({}, ABSENT)}
    await storage.save(stock | {"other/users/ada": Write({}, ABSENT), "test/users/adam": Write({}, ABSENT)})

    kept = await find(storage, PERSON)

    assert {found.key for found in kept.own} == {ADA, PRIVATE}
    assert [found.key for found in kept.alone] == [ALONE]
    assert kept.shared == {GROUP: 1}
    assert set(kept.named) == {"survey/ada", "other/users/ada"}
    assert kept.unrecorded == 1


async def test_an_id_means_a_user_of_each_channel_that_knows_it(storage: StateStorage) -> None:
    await history(storage)
    await storage.save({"other/conversations/c/users/ada/": Write({}, ABSENT)})

    assert list(await look_up(storage, "ada")) == [Person("other", "ada"), PERSON]
    assert list(await look_up(storage, "bob")) == [Person("test", "bob")]
    assert not any(kept.found for kept in (await look_up(storage, "ad")).values())
    assert list(await look_up(storage, "test/users/ad")) == [Person("test", "ad")]


async def test_who_took_part_without_a_document_is_found_and_is_another(storage: StateStorage) -> None:
    await turn(storage, GROUP, ADA)
    await turn(storage, GROUP, users=["bob"])
    await turn(storage, GROUP, ADA)
    await turn(storage, BOBS, users=["bob"])

    ada, bob = await find(storage, PERSON), (await look_up(storage, "bob"))[Person("test", "bob")]

    assert (ada.shared, ada.alone, ada.uncertain) == ({GROUP: 1}, [], set())
    assert (bob.shared, [found.key for found in bob.alone]) == ({GROUP: 1}, [BOBS])
    erased = await erase(storage, PERSON, ada, replies=False)
    assert (erased.deleted, erased.forgotten) == ([ADA], [GROUP])
    assert {found.key for found in (await find(storage, Person("test", "bob"))).alone} == {GROUP, BOBS}


async def test_erasing_deletes_the_conversation_of_a_person_without_any_other_document(storage: StateStorage) -> None:
    await turn(storage, ALONE, users=["ada"])

    erased = await erase(storage, PERSON, await find(storage, PERSON), replies=False)

    assert (erased.deleted, await documents(storage)) == ([ALONE], set())


async def test_all_who_took_part_are_counted_however_many_documents_are_remembered(storage: StateStorage) -> None:
    for number in range(80):
        await turn(storage, GROUP, f"test/users/user{number}")

    for number in 0, 79:
        assert (await find(storage, Person("test", f"user{number}"))).shared == {GROUP: 79}


async def test_a_conversation_with_more_users_than_the_record_holds_is_nobodys_alone(storage: StateStorage) -> None:
    await turn(storage, GROUP, users=[*(f"user{number}" for number in range(1_000)), "ada"])

    first, left_out = await find(storage, Person("test", "user0")), await find(storage, PERSON)

    assert (first.shared, first.uncertain) == ({GROUP: 999}, {GROUP})
    assert (left_out.found, left_out.unrecorded, left_out.is_all) == (False, 1, False)
    assert len(str((await storage.load([GROUP]))[GROUP].value)) < 12_000


@pytest.mark.parametrize("before", [{"n": 1}, {"n": 1, "$turn": {"ledger": [], "seen": {}, "last": []}}])
async def test_a_conversation_from_before_the_record_stays_and_is_told(storage: StateStorage, before: Any) -> None:
    await storage.save({ALONE: Write(before, ABSENT)})
    assert (await find(storage, PERSON)).unrecorded == 1
    await turn(storage, ALONE, ADA, state={"n": 2})

    kept = await find(storage, PERSON)
    erased = await erase(storage, PERSON, kept, replies=False)

    assert (kept.alone, kept.shared, kept.uncertain, kept.unrecorded) == ([], {ALONE: 0}, {ALONE}, 0)
    assert (erased.deleted, erased.forgotten, erased.left.unrecorded) == ([ADA], [ALONE], 1)
    assert (await start(storage, ALONE)).documents == {ALONE: {"n": 2}}


async def test_erasing_leaves_nothing_that_names_the_person(storage: StateStorage) -> None:
    await history(storage)

    erased = await erase(storage, PERSON, await find(storage, PERSON), replies=False)

    assert set(erased.deleted) == {ADA, PRIVATE, ALONE}
    assert (erased.forgotten, erased.changed) == ([GROUP], set())
    assert await documents(storage) == {BOB, GROUP, BOBS}
    assert not names_ada([found.value for found in (await storage.load([BOB, GROUP, BOBS])).values()])
    assert not erased.left.found


async def test_a_shared_conversation_keeps_its_state_and_its_ledger(storage: StateStorage) -> None:
    await history(storage)
    before = parse_conversation(GROUP, (await storage.load([GROUP]))[GROUP])

    await erase(storage, PERSON, await find(storage, PERSON), replies=False)

    after = parse_conversation(GROUP, (await storage.load([GROUP]))[GROUP])
    assert (after.state, after.ledger) == (before.state, before.ledger)
    assert after.seen == {BOB: before.seen[BOB]}
    assert isinstance(await turn(storage, GROUP, BOB, state={"n": 2}), Committed)
    assert isinstance(await turn(storage, GROUP, ADA, state={"n": 3}), Committed)


async def test_the_replies_kept_in_a_shared_conversation_go_on_request(storage: StateStorage) -> None:
    await history(storage)

    await erase(storage, PERSON, await find(storage, PERSON), replies=True)

    ledger = parse_conversation(GROUP, (await storage.load([GROUP]))[GROUP]).ledger.entries
    assert [entry.replies for entry in ledger] == [None, None]
    assert "Ada" not in str((await storage.load([GROUP]))[GROUP].value)


async def test_a_turn_that_began_before_fails_and_begins_again_without_the_person(storage: StateStorage) -> None:
    await history(storage)
    for key, others in (ALONE, [ADA]), (GROUP, [BOB, PRIVATE]):
        under_way = await start(storage, key, *others)
        await erase(storage, PERSON, await find(storage, PERSON), replies=False)

        assert isinstance(await finish(under_way, {key: {"name": "Ada"}}), Aborted)
        assert all(value is None for name, value in (await start(storage, ALONE, ADA)).documents.items())
        await history(storage)


async def test_what_a_turn_writes_meanwhile_goes_too_and_is_reported(storage: StateStorage) -> None:
    await history(storage)
    kept = await find(storage, PERSON)
    busy = Interrupted(storage, ADA, lambda: turn(storage, ALONE, ADA, state={"n": 2}))

    erased = await erase(busy, PERSON, kept, replies=False)

    assert ADA in erased.changed
    assert await documents(storage) == {BOB, GROUP, BOBS}


async def test_a_conversation_begun_meanwhile_goes_too_and_is_reported(storage: StateStorage) -> None:
    await history(storage)
    kept = await find(storage, PERSON)
    busy = Interrupted(storage, ALONE, lambda: turn(storage, "test/conversations/new", ADA))

    erased = await erase(busy, PERSON, kept, replies=False)

    assert erased.changed >= {"test/conversations/new", ADA}
    assert await documents(storage) == {BOB, GROUP, BOBS}


async def test_a_conversation_that_somebody_joins_meanwhile_stays(storage: StateStorage) -> None:
    await history(storage)
    kept = await find(storage, PERSON)
    busy = Interrupted(storage, ALONE, lambda: turn(storage, ALONE, BOB, state={"n": 2}))

    erased = await erase(busy, PERSON, kept, replies=False)

    assert set(erased.forgotten) == {ALONE, GROUP}
    assert (await start(storage, ALONE, BOB)).documents == {ALONE: {"n": 2}, BOB: {"n": 2}}
    assert not names_ada((await storage.load([ALONE]))[ALONE].value)


async def test_a_person_who_keeps_talking_is_told_and_loses_nothing_said_since(storage: StateStorage) -> None:
    await history(storage)
    kept = await find(storage, PERSON)

    async def talk() -> None:
        if not await storage.load([ADA]):
            await turn(storage, GROUP, ADA, tidied=False, state={"n": 5})

    erased = await erase(Interrupted(storage, GROUP, talk, every=True), PERSON, kept, replies=False)

    assert ([found.key for found in erased.left.own], erased.left.shared) == ([ADA], {GROUP: 1})
    assert (await start(storage, GROUP, ADA)).documents == {GROUP: {"n": 5}, ADA: {"n": 5}}


async def test_what_the_deleted_conversation_decided_for_others_still_counts(storage: StateStorage) -> None:
    await turn(storage, ALONE, ADA, SHARED, tidied=False, state={"n": 7})

    erased = await erase(storage, PERSON, await find(storage, PERSON), replies=False)

    assert await documents(storage) == {SHARED}
    assert erased.left.named == [SHARED]
    assert (await start(storage, BOBS, BOB, SHARED)).documents[SHARED] == {"n": 7}


async def test_deleting_a_conversation_by_its_key_keeps_what_it_decided(storage: StateStorage) -> None:
    await turn(storage, GROUP, BOB, tidied=False, state={"n": 7})
    erased = Erased()

    assert await delete(storage, (await read(storage, [GROUP]))[0], erased)

    assert erased.deleted == [GROUP]
    assert (await start(storage, BOBS, BOB)).documents == {BOBS: None, BOB: {"n": 7}}


async def test_erasing_twice_finds_nothing_the_second_time(storage: StateStorage) -> None:
    await history(storage)
    await erase(storage, PERSON, await find(storage, PERSON), replies=False)

    assert not (await find(storage, PERSON)).found


class TestTranscripts:
    """Of the development page: what was said, a document an entry."""

    SAID = tuple(f"test/transcripts/alone/{number}" for number in range(1, 41))
    IN_GROUP = "test/transcripts/group/1"
    BOBS_OWN = "test/transcripts/bobs/1"

    async def said(self, storage: StateStorage) -> None:
        await history(storage)
        keys = (*self.SAID, self.IN_GROUP, self.BOBS_OWN)
        await storage.save({key: Write({"from": {"id": "ada"}, "text": "I am Ada"}, ABSENT) for key in keys})

    async def test_they_are_found_with_their_conversation(self, storage: StateStorage) -> None:
        await self.said(storage)

        kept = await find(storage, PERSON)

        assert set(kept.said) == set(self.SAID)
        assert (kept.shared, kept.said_to_others) == ({GROUP: 1}, {self.IN_GROUP: 1})

    async def test_they_go_with_their_conversation_and_those_of_others_stay(self, storage: StateStorage) -> None:
        await self.said(storage)

        erased = await erase(storage, PERSON, await find(storage, PERSON), replies=False)

        assert set(erased.deleted) == {ADA, PRIVATE, ALONE, *self.SAID}
        assert await documents(storage) == {BOB, GROUP, BOBS, self.IN_GROUP, self.BOBS_OWN}
        assert not erased.left.found

    async def test_what_is_said_meanwhile_goes_too(self, storage: StateStorage) -> None:
        await self.said(storage)
        late = Write({"text": "Ada again"}, ABSENT)
        busy = Interrupted(storage, ALONE, lambda: storage.save({"test/transcripts/alone/41": late}))

        await erase(busy, PERSON, await find(storage, PERSON), replies=False)

        assert await documents(storage) == {BOB, GROUP, BOBS, self.IN_GROUP, self.BOBS_OWN}

    async def test_that_of_a_conversation_that_somebody_has_joined_meanwhile_stays(self, storage: StateStorage) -> None:
        await self.said(storage)
        kept = await find(storage, PERSON)
        busy = Interrupted(storage, ADA, lambda: turn(storage, ALONE, BOB, state={"n": 2}))

        await erase(busy, PERSON, kept, replies=False)

        assert await documents(storage) >= {ALONE, *self.SAID}
