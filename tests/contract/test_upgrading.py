"""Documents of older versions are written as the models are now, once, whatever turns do meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from bots.turn.protocol import Aborted, Committed
from storage import ABSENT, StateEncodeError, StateStorage, Write
from storage.cli.upgrade import State, check, upgrade
from storage.spelling import tag_of
from tests.contract.turns_of_people import ADA, ALONE, Interrupted, finish, start, turn


@dataclass
class Profile:
    """Had no `language` once."""

    name: str
    language: str = "en"


@dataclass
class Unknown:
    """Nobody registers it."""


@dataclass
class Weighed:
    weight: float
    by_day: list[dict[str, float]]


OLD = {"profile": {"py/object": tag_of(Profile), "name": "Ada"}}
NEW = {"profile": {"py/object": tag_of(Profile), "name": "Ada", "language": "en"}}


@pytest.fixture(autouse=True)
def registered(storage: StateStorage) -> None:
    storage.codec.register(Profile)


def nothing() -> None: ...


async def upgraded(storage: Any) -> dict[State, int]:
    return dict((await upgrade(storage, storage.keys(), nothing)).states)


async def test_old_documents_are_upgraded_once(storage: StateStorage) -> None:
    await storage.save({f"k/{i}": Write(OLD if i % 2 else NEW, ABSENT) for i in range(100)})

    assert await upgraded(storage) == {State.UPGRADED: 50, State.CURRENT: 50}
    assert await upgraded(storage) == {State.CURRENT: 100}
    assert (await storage.load(["k/1"]))["k/1"].value == NEW


async def test_what_cannot_be_decoded_is_reported_and_left_as_it_is(storage: StateStorage) -> None:
    bad: dict[str, dict[str, Any]] = {
        "unknown": {"list": [{"py/object": tag_of(Unknown)}], **OLD},
        "code": {"x": {"py/reduce": []}, **OLD},
        "unfit": {"profile": {"py/object": tag_of(Profile)}},
        "record": {"$turn": {"tag": 1}, **OLD},
    }
    etags = await storage.save({key: Write(value, ABSENT) for key, value in bad.items()})
    await storage.save({"old": Write(OLD, ABSENT)})

    tally = await upgrade(storage, storage.keys(), nothing)

    assert tally.states == {State.UPGRADED: 1, State.BAD: 4}
    places = {error.key: error.where.lower() for error in tally.bad}
    assert places == {"unknown": "list[0]", "code": "x", "unfit": "profile", "record": "$turn.tag"}
    assert {key: found.etag for key, found in (await storage.load(bad)).items()} == etags


async def test_checking_writes_nothing(storage: StateStorage) -> None:
    etags = await storage.save({"old": Write(OLD, ABSENT), "new": Write(NEW, ABSENT)})

    tally = await check(storage, storage.keys(), nothing)

    assert tally.states == {State.OLD: 1, State.CURRENT: 1}
    assert {key: found.etag for key, found in (await storage.load(etags)).items()} == etags


async def test_turns_go_on_with_an_upgraded_document(storage: StateStorage) -> None:
    await turn(storage, ALONE, ADA, state=OLD)
    await turn(storage, "test/conversations/other", ADA, state=OLD)

    assert await upgraded(storage) == {State.UPGRADED: 3}

    for conversation in (ALONE, "test/conversations/other"):
        snapshot = await start(storage, conversation, ADA)
        assert snapshot.documents == {conversation: NEW, ADA: NEW}
        assert isinstance(await finish(snapshot, {ADA: NEW, conversation: {"n": 2}}), Committed)
    assert await upgraded(storage) == {State.CURRENT: 3}


async def test_what_turns_have_recorded_is_kept(storage: StateStorage) -> None:
    await turn(storage, ALONE, ADA, state=OLD)
    before = await storage.load([ALONE, ADA])

    assert await upgraded(storage) == {State.UPGRADED: 2}

    after = await storage.load([ALONE, ADA])
    assert {key: each.value["$turn"] for key, each in after.items()} == {
        key: each.value["$turn"] for key, each in before.items()
    }


async def test_a_turn_under_way_notices(storage: StateStorage) -> None:
    await turn(storage, ALONE, ADA, state=OLD)
    under_way = await start(storage, ALONE, ADA)
    await upgraded(storage)

    assert isinstance(await finish(under_way, {ADA: {"n": 1}}), Aborted)
    assert (await start(storage, ALONE, ADA)).documents == {ALONE: NEW, ADA: NEW}


async def test_a_document_with_an_undo_note_waits_for_the_bot(storage: StateStorage) -> None:
    if storage.transactional:
        pytest.skip("a transactional store needs no notes")
    await turn(storage, ALONE, ADA, tidied=False, state=OLD)
    before = (await storage.load([ADA]))[ADA]

    tally = await upgrade(storage, storage.keys(), nothing)

    assert (tally.busy, tally.states) == ([ADA], {State.BUSY: 1, State.UPGRADED: 1})
    assert (await storage.load([ADA]))[ADA] == before


async def test_what_a_turn_changes_meanwhile_is_not_lost(storage: StateStorage) -> None:
    await storage.save({key: Write(OLD, ABSENT) for key in (ADA, "a", "b")})
    newer = {"profile": OLD["profile"] | {"name": "Grace"}}
    busy = Interrupted(storage, ADA, lambda: turn(storage, ALONE, ADA, state=newer))

    assert await upgraded(busy) == {State.UPGRADED: 3}

    found = (await start(storage, ALONE, ADA)).documents
    assert found[ADA] == {"profile": NEW["profile"] | {"name": "Grace"}}


async def test_what_goes_meanwhile_stays_away(storage: StateStorage) -> None:
    await storage.save({key: Write(OLD, ABSENT) for key in ("a", "b")})
    busy = Interrupted(storage, "a", lambda: storage.delete(["a"]))

    assert await upgraded(busy) == {State.UPGRADED: 1}
    assert (await storage.load(["a", "b"])).keys() == {"b"}


async def test_a_document_that_has_no_room_to_grow_is_reported_and_left_as_it_is(storage: StateStorage) -> None:
    class Full(Interrupted):
        async def save(self, writes: Mapping[str, Write]) -> dict[str, str]:
            for key in writes:
                if key.startswith("full"):
                    raise StateEncodeError(key, "the document", "is too large")
            return await super().save(writes)

    await storage.save({key: Write(OLD, ABSENT) for key in ("a", "full 1", "b", "full 2")})
    full = Full(storage, "a", storage.ping)

    assert await upgraded(full) == {State.UPGRADED: 2, State.BAD: 2}
    assert (await storage.load(["full 1"]))["full 1"].value == OLD


async def test_what_was_upgraded_before_it_was_stopped_stays_upgraded(storage: StateStorage) -> None:
    await storage.save({f"k/{i:03}": Write(OLD, ABSENT) for i in range(100)})

    async def stopping() -> AsyncIterator[str]:
        async for number, key in numbered(storage):
            if number == 70:
                raise KeyboardInterrupt
            yield key

    with pytest.raises(KeyboardInterrupt):
        await upgrade(storage, stopping(), nothing)

    states = await upgraded(storage)
    assert states == {State.CURRENT: 64, State.UPGRADED: 36}


async def numbered(storage: StateStorage) -> AsyncIterator[tuple[int, str]]:
    number = 0
    async for key in storage.keys():
        yield number, key
        number += 1


async def test_a_whole_number_in_a_field_for_fractions_makes_no_document_old(storage: StateStorage) -> None:
    storage.codec.register(Weighed)
    for number, weight in enumerate((70, 70.0)):
        weighed = {"py/object": tag_of(Weighed), "weight": weight, "by_day": [{"x": weight}]}
        await storage.save({f"k/{number}": Write({"w": weighed}, ABSENT)})

    assert await upgraded(storage) == {State.CURRENT: 2}
