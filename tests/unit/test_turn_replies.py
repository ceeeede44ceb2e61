"""What a turn sends: after its commit, in order, once, and nothing of an attempt that came to nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from botbuilder.core import MessageFactory, TurnContext
from botbuilder.schema import Activity, ActivityTypes

from bots.adapter import APOLOGY
from bots.state import ConversationState, UserState
from bots.turn.replies import at_once
from tests.unit.turn_bench import Bench, Call, count, counting, losing


async def test_replies_leave_after_the_commit_in_order_once(bench: Bench) -> None:
    committed: list[int] = []

    async def logic(context: TurnContext, conversation: ConversationState, _user: UserState) -> None:
        await count(context, conversation)
        for text in "abc":
            await context.send_activity(text)
        await context.send_activities([MessageFactory.text("d"), MessageFactory.text("e")])

    replica = await bench.of(logic)

    async def after(call: Call) -> None:
        if call.operation == "save":
            committed.append(len(bench.connector.sent))

    bench.storage.after = after
    assert await replica.status(bench.message()) == 201
    assert bench.connector.texts == list("abcde")
    assert committed[0] == 0


async def test_a_bot_that_raises_leaves_no_state_and_sends_the_apology_only(bench: Bench) -> None:
    async def logic(context: TurnContext, conversation: ConversationState, user: UserState) -> None:
        await count(context, conversation)
        await user.create_property("name").set(context, context.activity.text)
        await user.save_changes(context)
        await conversation.save_changes(context)
        await context.send_activity("fine so far")
        if context.activity.text == "crash":
            raise RuntimeError("a bug in the bot")

    replica = await bench.of(logic)
    assert await replica.status(bench.message("Ada")) == 201
    before = await bench.storage.states()
    bench.connector.sent.clear()
    assert await replica.status(bench.message("crash")) == 201
    assert bench.connector.texts == list(APOLOGY)
    assert await bench.storage.states() == before


async def test_an_attempt_that_lost_runs_again_on_the_fresh_state_and_sends_nothing_of_the_first(bench: Bench) -> None:
    attempts: list[int] = []

    async def logic(context: TurnContext, conversation: ConversationState, _user: UserState) -> None:
        attempts.append(await count(context, conversation))
        await context.send_activity(f"mine {attempts[-1]}")

    other, replica = await bench.of(counting), await bench.of(logic)
    bench.storage.before = losing(bench, other, times=2)
    assert await replica.status(bench.message()) == 201
    assert attempts == [1, 2, 3]
    assert bench.connector.texts == ["other 1", "other 2", "mine 3"]


async def test_an_attempt_that_lost_leaves_no_trace_in_the_context(bench: Bench) -> None:
    seen: list[dict[str, Any]] = []
    told: list[str] = []

    async def tell(_context: TurnContext, activities: list[Activity], next_send: Any) -> None:
        told.extend(activity.text for activity in activities)
        await next_send()

    async def logic(context: TurnContext, conversation: ConversationState, _user: UserState) -> None:
        seen.append(
            {
                "text": context.activity.text,
                "data": dict(context.activity.channel_data),
                "user": context.activity.from_property.id,
                "responded": context.responded,
                "turn_state": "mark" in context.turn_state,
                "service": context.has("mark"),
            }
        )
        context.activity.text = "changed"
        context.activity.channel_data["more"] = 1
        context.activity.from_property.id = "somebody else"
        context.turn_state["mark"] = context.services["mark"] = 1
        context.on_send_activities(tell)
        await context.send_activity(str(await count(context, conversation)))
        assert context.responded

    other, replica = await bench.of(counting), await bench.of(logic)
    bench.storage.before = losing(bench, other, times=1)
    assert await replica.status(bench.message("hi", channelData={"a": 1})) == 201
    clean = {
        "text": "hi",
        "data": {"a": 1},
        "user": "u1",
        "responded": False,
        "turn_state": False,
        "service": False,
    }
    assert seen == [clean, clean]
    assert told == ["1", "2"]  # each attempt's own handler, once


async def test_typing_leaves_while_the_logic_runs_and_so_does_what_is_sent_at_once(bench: Bench) -> None:
    async def logic(context: TurnContext, conversation: ConversationState, _user: UserState) -> None:
        await count(context, conversation)
        await context.send_activity("held")
        await context.send_activity(Activity(type=ActivityTypes.typing))
        with at_once():
            response = await context.send_activity("at once")
        assert bench.connector.texts == ["typing", "at once"]
        assert response.id == "sent-2"

    replica = await bench.of(logic)
    assert await replica.status(bench.message()) == 201
    assert bench.connector.texts == ["typing", "at once", "held"]


async def test_what_was_sent_at_once_has_the_channels_id_by_which_a_later_turn_updates_it(bench: Bench) -> None:
    async def logic(context: TurnContext, conversation: ConversationState, _user: UserState) -> None:
        card = conversation.create_property("card")
        if not await card.get(context):
            with at_once():
                await card.set(context, (await context.send_activity("first")).id)
        else:
            await context.update_activity(Activity(id=await card.get(context), type="message", text="second"))
            await context.send_activity("between")
            await context.delete_activity(await card.get(context))

    replica = await bench.of(logic)
    assert [await replica.status(bench.message()) for _ in range(2)] == [201, 201]
    assert [(sent.method, sent.activity_id, sent.body.get("text")) for sent in bench.connector.sent] == [
        ("POST", "a1", "first"),
        ("PUT", "sent-1", "second"),
        ("POST", "a2", "between"),
        ("DELETE", "sent-1", None),
    ]


async def test_a_held_reply_can_be_changed_and_withdrawn_by_its_provisional_id(bench: Bench) -> None:
    async def logic(context: TurnContext, conversation: ConversationState, _user: UserState) -> None:
        await count(context, conversation)
        ids = [(await context.send_activity(text)).id for text in ("one", "two", "three")]
        assert len(set(ids)) == 3
        changed = Activity(id=ids[0], text="changed")
        await context.update_activity(changed)
        changed.text = "too late"
        await context.delete_activity(ids[1])
        with pytest.raises(ValueError, match="provisional"):
            await context.update_activity(Activity(id=ids[1], text="gone"))

    replica = await bench.of(logic)
    assert await replica.status(bench.message()) == 201
    assert [(sent.body["type"], sent.body["text"], "id" in sent.body) for sent in bench.connector.sent] == [
        ("message", "changed", False),
        ("message", "three", False),
    ]


async def test_what_is_sent_after_a_reply_was_withdrawn_has_an_id_of_its_own(bench: Bench) -> None:
    async def logic(context: TurnContext, conversation: ConversationState, _user: UserState) -> None:
        await count(context, conversation)
        first, second = [(await context.send_activity(text)).id for text in ("one", "two")]
        await context.delete_activity(first)
        await context.send_activity("three")
        await context.update_activity(Activity(id=second, text="changed"))

    replica = await bench.of(logic)
    assert await replica.status(bench.message()) == 201
    assert bench.connector.texts == ["changed", "three"]


async def test_of_replies_that_say_the_same_the_one_meant_is_withdrawn(bench: Bench) -> None:
    async def logic(context: TurnContext, conversation: ConversationState, _user: UserState) -> None:
        await count(context, conversation)
        ids = [(await context.send_activity(text)).id for text in ("same", "other", "same")]
        await context.delete_activity(ids[2])

    replica = await bench.of(logic)
    assert await replica.status(bench.message()) == 201
    assert bench.connector.texts == ["same", "other"]


async def test_a_provisional_id_kept_for_a_later_turn_is_an_error_that_says_what_to_do(bench: Bench) -> None:
    errors: list[str] = []

    async def logic(context: TurnContext, conversation: ConversationState, _user: UserState) -> None:
        card = conversation.create_property("card")
        if await card.get(context):
            with pytest.raises(ValueError, match="at_once") as error:
                await context.update_activity(Activity(id=await card.get(context), text="second"))
            errors.append(str(error.value))
        await card.set(context, (await context.send_activity("first")).id)

    replica = await bench.of(logic)
    assert [await replica.status(bench.message()) for _ in range(2)] == [201, 201]
    assert len(errors) == 1
    assert bench.connector.texts == ["first", "first"]


async def test_a_task_of_the_bots_that_outlives_the_turn_sends_at_once(bench: Bench) -> None:
    go_on = asyncio.Event()
    tasks: list[asyncio.Task[None]] = []

    async def logic(context: TurnContext, _conversation: ConversationState, _user: UserState) -> None:
        adapter = context.adapter

        async def later() -> None:
            await go_on.wait()
            reference = TurnContext.get_conversation_reference(context.activity)
            late = TurnContext.apply_conversation_reference(Activity(type="message", text="late"), reference)
            await adapter.send_activities(context, [late])
            await context.send_activity("later")

        tasks.append(asyncio.create_task(later()))
        await context.send_activity("now")

    replica = await bench.of(logic)
    assert await replica.status(bench.message()) == 201
    go_on.set()
    await asyncio.gather(*tasks)
    assert bench.connector.texts == ["now", "late", "later"]


async def test_a_trace_goes_to_the_emulator_and_is_not_kept_for_other_channels(bench: Bench) -> None:
    async def logic(context: TurnContext, conversation: ConversationState, _user: UserState) -> None:
        await count(context, conversation)
        await context.send_trace_activity("what I think", value={"secret": 1})
        assert not context.responded
        await context.send_activity("hi")

    replica = await bench.of(logic)
    assert await replica.status(bench.message(channelId="msteams")) == 201
    assert bench.connector.texts == ["hi"]
    [stored] = (await bench.storage.load(["msteams/conversations/c1"])).values()
    assert "what I think" not in str(stored.value)
    bench.connector.sent.clear()
    assert await replica.status(bench.message()) == 201
    assert [sent.body["type"] for sent in bench.connector.sent] == ["trace", "message"]
