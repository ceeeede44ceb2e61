"""What a turn costs, and what it leaves in the documents."""

from __future__ import annotations

import asyncio
import copy
import itertools
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from bots.turn.envelope import Held, Note, build_document, parse_document, tag_of
from bots.turn.protocol import (
    Committed,
    Limits,
    Redelivered,
    Runtime,
    Snapshot,
    begin,
    commit,
    mark_delivered,
    tidy,
)
from storage.contract import ABSENT, Document, DocumentStore, Write
from storage.errors import StateDecodeError, StorageConflict, StorageUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

C, D, E = "test/conversations/1", "test/users/ada", "test/users/bob"


class Store(DocumentStore):
    """The contract in a dict, noting each call."""

    transactional: ClassVar[bool] = False

    def __init__(self) -> None:
        self.documents: dict[str, Document] = {}
        self.calls: list[str] = []
        self._versions = itertools.count(1)

    async def open(self) -> None: ...

    async def aclose(self) -> None: ...

    async def ping(self) -> None: ...

    async def load(self, keys: Iterable[str]) -> dict[str, Document]:
        self.calls.append("load")
        return {key: copy.deepcopy(self.documents[key]) for key in keys if key in self.documents}

    async def save(self, writes: Mapping[str, Write]) -> dict[str, str]:
        self.calls.append("save")
        for key, write in writes.items():
            found = self.documents.get(key)
            if write.expect not in (found.etag if found else ABSENT, "*"):
                raise StorageConflict(key, str(write.expect), found.etag if found else None)
            value = copy.deepcopy(dict(write.value or {}))
            self.documents[key] = Document(value, str(next(self._versions)))
        return {key: self.documents[key].etag for key in writes}

    async def keys(self, prefix: str = "") -> AsyncIterator[str]:
        for key in self.documents:
            if key.startswith(prefix):
                yield key


class Transactional(Store):
    transactional: ClassVar[bool] = True


async def start(
    store: Store,
    activity_id: str | None = "a",
    keys: tuple[str, ...] = (D,),
    received: float = 0.0,
    **runtime: Any,
) -> Snapshot | Redelivered:
    at = Runtime(monotonic=lambda: 1.0, **runtime)
    return await begin(store, C, keys, activity_id, received=received, runtime=at)


async def turn(
    store: Store,
    changes: Mapping[str, Any],
    activity_id: str | None = "a",
    keys: tuple[str, ...] = (D,),
    **runtime: Any,
) -> Committed:
    found = await start(store, activity_id, keys, **runtime)
    assert isinstance(found, Snapshot)
    outcome = await commit(found, changes, [{"text": f"reply to {activity_id}"}])
    assert isinstance(outcome, Committed)
    return outcome


async def cost(store: Store, changes: Mapping[str, Any], activity_id: str) -> list[str]:
    store.calls.clear()
    await turn(store, changes, activity_id)
    return store.calls


@pytest.fixture(params=[Store, Transactional])
def store(request: pytest.FixtureRequest) -> Store:
    made: Store = request.param()
    return made


async def test_a_turn_that_changes_only_the_conversation_costs_one_load_and_one_save(store: Store) -> None:
    await turn(store, {C: {"n": 1}, D: {"n": 1}}, "a")
    assert await cost(store, {C: {"n": 2}}, "b") == ["load", "save"]


async def test_a_turn_that_changes_a_user_costs_one_save_more_where_there_are_no_transactions() -> None:
    for store, saves in ((Store(), 2), (Transactional(), 1)):
        for activity in "ab":
            assert await cost(store, {C: {"n": 1}, D: {"n": 1}}, activity) == ["load", *["save"] * saves]


async def test_a_turn_that_changes_nothing_writes_nothing(store: Store) -> None:
    await turn(store, {C: {"n": 1}, D: {"n": 1}}, "a")
    assert await cost(store, {}, "b") == ["load"]


async def test_a_redelivery_costs_one_load_and_gives_the_recorded_replies(store: Store) -> None:
    await turn(store, {C: {"n": 1}}, "a")
    store.calls.clear()
    found = await start(store, "a")
    assert isinstance(found, Redelivered)
    assert found.replies == [{"text": "reply to a"}]
    assert store.calls == ["load"]


@pytest.mark.parametrize("remembered", [False, True])
async def test_a_conversation_that_had_too_many_activities_is_refused_be_it_loaded_or_remembered(
    store: Store, remembered: bool
) -> None:
    limits = Limits(activities=2)
    await turn(store, {C: {"n": 1}, D: {"n": 1}}, "a", limits=limits)
    left = (await turn(store, {C: {"n": 2}}, "b", limits=limits)).conversation

    async def third(limits: Limits) -> Snapshot | Redelivered:
        runtime = Runtime(monotonic=lambda: 1.0, limits=limits)
        return await begin(store, C, [D], "c", received=0.0, runtime=runtime, recent=left if remembered else None)

    assert isinstance(await third(Limits(activities=3)), Snapshot)
    with pytest.raises(StorageUnavailable, match="more than its ledger has room for"):
        await third(limits)


async def test_delivered_replies_are_not_kept(store: Store) -> None:
    outcome = await turn(store, {C: {"n": 1}}, "a")
    assert await mark_delivered(outcome)
    found = await start(store, "a")
    assert isinstance(found, Redelivered)
    assert found.replies == []


async def test_replies_named_as_delivered_leave_with_the_next_commit(store: Store) -> None:
    await turn(store, {C: {"n": 1}}, "a")
    found = await start(store, "b")
    assert isinstance(found, Snapshot)
    await commit(found, {C: {"n": 2}}, [], delivered=["a"])
    again = await start(store, "a")
    assert isinstance(again, Redelivered)
    assert again.replies == []


async def test_tidying_removes_the_note_and_keeps_the_state() -> None:
    store = Store()
    outcome = await turn(store, {D: {"n": 1}}, "a")
    assert "undo" in store.documents[D].value["$turn"]
    await tidy(outcome)
    assert "undo" not in store.documents[D].value["$turn"]
    assert store.documents[D].value["n"] == 1


async def test_deleted_state_is_gone_and_the_record_stays(store: Store) -> None:
    await turn(store, {C: {"n": 1}, D: {"n": 1}}, "a")
    await turn(store, {C: None, D: None}, "b")
    found = await start(store, "c")
    assert isinstance(found, Snapshot)
    assert found.documents == {C: None, D: None}
    assert isinstance(await start(store, "a"), Redelivered)


async def test_an_empty_document_is_not_a_deleted_one(store: Store) -> None:
    await turn(store, {C: {}, D: {}}, "a")
    found = await start(store, "b")
    assert isinstance(found, Snapshot)
    assert found.documents == {C: {}, D: {}}


async def test_the_ledger_keeps_young_entries_beyond_its_length_and_lets_old_ones_go(store: Store) -> None:
    limits = Limits(ledger_entries=1, ledger_age=100.0)
    for at, activity in enumerate("abc"):
        await turn(store, {C: {"n": at}}, activity, wall=lambda at=at: float(at), limits=limits)
    assert isinstance(await start(store, "a"), Redelivered)
    await turn(store, {C: {"n": 9}}, "d", wall=lambda: 200.0, limits=limits)
    ledger = store.documents[C].value["$turn"]["ledger"]
    assert [entry["id"] for entry in ledger] == ["c", "d"]


async def test_a_delivery_older_than_the_ledger_can_vouch_for_is_refused(store: Store) -> None:
    with pytest.raises(StorageUnavailable, match="too long"):
        await start(store, received=-1000.0)


async def test_seen_stays_within_its_bound_over_many_users(store: Store) -> None:
    for at in range(40):
        user = f"test/users/{at}"
        await tidy(await turn(store, {user: {"n": at}}, f"a{at}", (user,), limits=Limits(seen=8)))
    assert len(store.documents[C].value["$turn"]["seen"]) <= 8


async def test_a_key_that_was_not_loaded_is_an_error(store: Store) -> None:
    with pytest.raises(KeyError, match="bob"):
        await turn(store, {E: {"n": 1}})


async def test_a_cancelled_commit_leaves_what_the_next_turn_resolves() -> None:
    class Hanging(Store):
        async def save(self, writes: Mapping[str, Write]) -> dict[str, str]:
            if C in writes:
                raise asyncio.CancelledError
            return await super().save(writes)

    hanging = Hanging()
    with pytest.raises(asyncio.CancelledError):
        await turn(hanging, {C: {"n": 1}, D: {"n": 1}}, "a")
    store = Store()
    store.documents = hanging.documents
    found = await start(store, "b", limits=Limits(patience=0))
    assert isinstance(found, Snapshot)
    assert found.documents == {C: None, D: None}


@pytest.mark.parametrize(
    ("key", "turn_part", "where"),
    [
        (D, "text", "$turn"),
        (D, {}, "$turn.tag"),
        (D, {"tag": "a.b", "undo": {"before": "{", "decider": C}}, "$turn.undo.before"),
        (D, {"tag": "a.b", "undo": {"before": "[]", "decider": C}}, "$turn.undo.before"),
        (D, {"tag": "a.b", "undo": {}}, "$turn.undo.decider"),
        (C, {"seen": {}}, "$turn.ledger"),
        (C, {"ledger": [{"at": 1.0}], "seen": {}}, "$turn.ledger[0].txn"),
        (C, {"ledger": [{"txn": "a", "at": "now"}], "seen": {}}, "$turn.ledger[0].at"),
        (C, {"ledger": [{"txn": "a", "at": 1, "replies": "[1]"}], "seen": {}}, "$turn.ledger[0].replies"),
        (C, {"ledger": [], "seen": {"D": 1}}, "$turn.seen"),
    ],
)
async def test_a_damaged_record_is_an_error_that_names_its_place(
    store: Store, key: str, turn_part: Any, where: str
) -> None:
    store.documents[key] = Document({"n": 1, "$turn": turn_part}, "1")
    with pytest.raises(StateDecodeError) as error:
        await start(store)
    assert (error.value.key, error.value.where) == (key, where)


def test_a_document_reads_back_as_it_was_built() -> None:
    for before in (None, {}, {"name": "Ada"}):
        held = Held({"n": 1}, tag_of("txn", {"n": 1}), Note(before, None, C, "7", 1.5), "8")
        assert parse_document(D, Document(build_document(held) or {}, "8")) == held


def test_a_service_that_keeps_numbers_as_doubles_does_not_look_like_a_stock_bot() -> None:
    held = Held({"n": 1.0, "list": [2.0, {"x": 0.5}]}, tag_of("txn", {"n": 1.0, "list": [2.0, {"x": 0.5}]}))
    value = build_document(held) or {}
    found = parse_document(D, Document({**value, "n": 1, "list": [2, {"x": 0.5}]}, "1"))
    assert found.tag == held.tag
