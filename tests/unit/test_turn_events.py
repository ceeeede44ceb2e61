"""What an observer of turns is told."""

from __future__ import annotations

from typing import Any

import pytest
from botbuilder.core import TurnContext

from bots.state import ConversationState, UserState
from bots.turn.events import TurnEvent
from bots.turn.runtime import Limits
from storage.errors import StorageUnavailable
from tests.unit.turn_bench import Bench, InProcess, count, counting, failing, losing


def brief(told: list[TurnEvent]) -> list[tuple[str, Any]]:
    return [(event.what, event.facts.get("attempt")) for event in told]


async def test_a_turn_that_counts_is_told_with_the_versions_read_and_written(bench: Bench) -> None:
    told: list[TurnEvent] = []
    key = "emulator/conversations/c1"
    message = bench.message()
    await InProcess(bench.storage, counting, observer=told.append).run(message)
    assert brief(told) == [("loaded", 1), ("committed", 1), ("done", None)]
    assert {(event.conversation, event.activity_id) for event in told} == {(key, message["id"])}
    loaded, committed = told[0].facts, told[1].facts
    assert loaded["documents"][key] is None
    assert committed["documents"] == {key: (await bench.storage.load([key]))[key].etag}
    assert committed["replies"] == 1


async def test_a_turn_that_changes_nothing_is_told_as_writing_nothing(bench: Bench) -> None:
    async def reads(context: TurnContext, _conversation: ConversationState, _user: UserState) -> None:
        await context.send_activity("read")

    told: list[TurnEvent] = []
    await InProcess(bench.storage, reads, observer=told.append).run(bench.message())
    assert brief(told) == [("loaded", 1), ("committed", 1), ("done", None)]
    assert told[1].facts["documents"] == {}


async def test_a_turn_that_loses_is_told_as_a_conflict_and_loaded_again(bench: Bench) -> None:
    told: list[TurnEvent] = []
    other = await bench.of(counting)
    mine = InProcess(bench.storage, counting, observer=told.append)
    bench.storage.before = losing(bench, other, times=1)
    await mine.run(bench.message())
    assert brief(told) == [("loaded", 1), ("conflict", 1), ("loaded", 2), ("committed", 2), ("done", None)]
    assert "conversation went on" in told[1].facts["reason"]


async def test_a_conversation_of_many_users_at_one_process_has_no_conflict_with_what_is_done_after_its_turns(
    bench: Bench,
) -> None:
    async def logic(context: TurnContext, conversation: ConversationState, user: UserState) -> None:
        await count(context, conversation)
        await count(context, user)

    told: list[TurnEvent] = []
    bot = InProcess(bench.storage, logic, observer=told.append)
    for number in range(2 * (Limits().seen + 2)):
        await bot.run(bench.message("hi", **{"from": {"id": f"u{number // 2}"}}))
        await bot.turns.aclose()
    assert "conflict" not in {event.what for event in told}


async def test_a_redelivery_is_told_with_the_replies_that_the_ledger_has(bench: Bench) -> None:
    told: list[TurnEvent] = []
    message = bench.message()
    for _ in range(2):
        await InProcess(bench.storage, counting, observer=told.append).run(message)
    assert brief(told)[3:] == [("redelivered", None), ("done", None)]
    assert told[3].facts == {"replies": 1}


async def test_a_turn_of_which_nothing_is_stored_is_told_with_the_reason(bench: Bench) -> None:
    async def buggy(context: TurnContext, conversation: ConversationState, _user: UserState) -> None:
        await count(context, conversation)
        raise RuntimeError("a bug")

    told: list[TurnEvent] = []
    with pytest.raises(RuntimeError):
        await InProcess(bench.storage, buggy, observer=told.append).run(bench.message())
    bench.storage.before = failing("load")
    with pytest.raises(StorageUnavailable):
        await InProcess(bench.storage, counting, observer=told.append).run(bench.message())
    assert brief(told) == [("loaded", 1), ("failed", None), ("failed", None)]
    assert told[1].facts["reason"] == "RuntimeError: a bug"
    assert told[2].facts["reason"].startswith("StorageUnavailable: ")
