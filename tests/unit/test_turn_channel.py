"""A turn whose channel is difficult: nothing acknowledged is lost, and nothing is said that never counted."""

from __future__ import annotations

import asyncio
import json

import pytest
from botbuilder.core import TurnContext
from botbuilder.schema import Activity, ActivityTypes

from bots.state import ConversationState, UserState
from bots.turn.replies import at_once
from storage import ANY, Write
from tests.unit.turn_bench import Bench, C, count, losing


async def test_typing_that_the_channel_refuses_does_not_cost_the_message(bench: Bench) -> None:
    async def logic(context: TurnContext, conversation: ConversationState, _user: UserState) -> None:
        number = await count(context, conversation)
        await context.send_activity(Activity(type=ActivityTypes.typing))
        await context.send_activity(f"n {number}")

    replica = await bench.of(logic)
    bench.connector.refusals = [True]
    assert await replica.status(bench.message()) == 201
    assert bench.connector.texts == ["n 1"]
    assert (await bench.storage.states())[C] == {"count": 1}


async def test_what_has_to_leave_at_once_and_cannot_makes_the_channel_deliver_again(bench: Bench) -> None:
    async def logic(context: TurnContext, conversation: ConversationState, _user: UserState) -> None:
        number = await count(context, conversation)
        with at_once():
            await context.send_activity("a minute, please")
        await context.send_activity(f"n {number}")

    replica = await bench.of(logic)
    bench.connector.refusals = [True]
    message = bench.message()
    assert await replica.status(message) in range(500, 600)
    assert bench.connector.texts == []
    assert await replica.status(message) == 201
    assert bench.connector.texts == ["a minute, please", "n 1"]
    assert (await bench.storage.states())[C] == {"count": 1}


async def test_an_expected_reply_has_an_id_by_which_the_turn_can_change_and_withdraw_it(bench: Bench) -> None:
    async def logic(context: TurnContext, conversation: ConversationState, _user: UserState) -> None:
        await count(context, conversation)
        assert context.activity.delivery_mode is None
        working = await context.send_activity("working")
        wrong = await context.send_activity("wrong")
        await context.update_activity(Activity(id=working.id, type="message", text="done"))
        await context.delete_activity(wrong.id)

    replica = await bench.of(logic)
    message = bench.message(deliveryMode="expectReplies")
    for _ in range(2):
        answer = await replica.post(message)
        assert answer.status == 200
        assert [reply["text"] for reply in (await answer.json())["activities"]] == ["done"]
    assert (await bench.storage.states())[C] == {"count": 1}


async def test_a_turn_that_only_read_and_runs_anew_is_answered_in_full(bench: Bench) -> None:
    async def logic(context: TurnContext, conversation: ConversationState, _user: UserState) -> None:
        if context.activity.text == "count":
            await count(context, conversation)
        known = await conversation.create_property("count").get(context)
        for text in ("first", "second"):
            await context.send_activity(f"{text} {known}")

    replica = await bench.of(logic)
    bench.connector.refusals = [False, True]
    message = bench.message("read")
    assert await replica.status(message) in range(500, 600)
    assert await replica.status(bench.message("count")) == 201
    bench.connector.sent.clear()
    assert await replica.status(message) == 201
    assert bench.connector.texts == ["first 1", "second 1"]


async def test_a_task_of_a_lost_attempt_says_nothing(bench: Bench) -> None:
    tasks: list[asyncio.Task[None]] = []
    may_speak = asyncio.Event()

    async def logic(context: TurnContext, conversation: ConversationState, _user: UserState) -> None:
        number = await count(context, conversation)
        attempt = len(tasks) + 1

        async def speak() -> None:
            await may_speak.wait()
            await adapter.send_activities(context, [Activity(type="message", text=f"from attempt {attempt}")])

        adapter = context.adapter
        tasks.append(asyncio.create_task(speak()))
        await context.send_activity(f"n {number}")

    async def other(context: TurnContext, conversation: ConversationState, _user: UserState) -> None:
        await count(context, conversation)

    first = await bench.of(other)
    replica = await bench.of(logic)
    bench.storage.before = losing(bench, first, times=2)
    assert await replica.status(bench.message()) == 201
    may_speak.set()
    await asyncio.gather(*tasks[:-1])
    tasks[-1].cancel()
    assert len(tasks) == 3
    assert [text for text in bench.connector.texts if text.startswith("from")] == []


@pytest.mark.parametrize(
    "replies", ["[{}]", '[{"do":"send","activity":7}]', '[{"do":"bogus","activity":{}}]', "[" * 9000]
)
async def test_replies_in_the_ledger_that_no_turn_made_are_an_error_and_are_not_sent(
    bench: Bench, replies: str, caplog: pytest.LogCaptureFixture
) -> None:
    message = bench.message()
    entry = {"txn": "t", "at": 4e9, "id": message["id"], "replies": replies}
    damaged = {"$turn": {"ledger": [entry], "seen": {}, "last": []}}
    await bench.storage.save({C: Write(json.loads(json.dumps(damaged)), ANY)})

    async def logic(_context: TurnContext, _conversation: ConversationState, _user: UserState) -> None:
        raise AssertionError("not reached")

    assert await (await bench.of(logic)).status(message) == 201
    assert "The bot encountered an error or bug." in bench.connector.texts
    assert "a document cannot be read" in caplog.text
    assert (await bench.storage.load([C]))[C].value == damaged
