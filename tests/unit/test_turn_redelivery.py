"""An activity that is delivered again: its state counts once, and its replies are not lost."""

from __future__ import annotations

import asyncio
import itertools
import logging
from typing import Any

import pytest
from botbuilder.core import CardFactory, InvokeResponse, MessageFactory, TurnContext
from botbuilder.schema import (
    Activity,
    ActivityTypes,
    Attachment,
    CardAction,
    ChannelAccount,
    Entity,
    HeroCard,
    Mention,
    SuggestedActions,
)

from bots.state import ConversationState, UserState
from tests.unit.turn_bench import Bench, C, Call, D, InProcess, Replica, count, counting, failing


async def three(context: TurnContext, conversation: ConversationState, user: UserState) -> None:
    await count(context, user)
    number = await count(context, conversation)
    for text in "abc":
        await context.send_activity(f"{text}{number}")


async def test_in_the_same_process_it_changes_nothing_and_no_second_copy_is_sent(bench: Bench) -> None:
    replica = await bench.of(three)
    message = bench.message()
    assert [await replica.status(message) for _ in range(3)] == [201] * 3
    assert bench.connector.texts == ["a1", "b1", "c1"]
    assert await bench.storage.states() == {C: {"count": 1}, D: {"count": 1}}


async def test_in_another_process_the_replies_are_sent_from_the_ledger(bench: Bench) -> None:
    message = bench.message()
    assert await (await bench.of(three)).status(message) == 201
    assert await (await bench.of(three)).status(message) == 201
    first, again = bench.connector.sent[:3], bench.connector.sent[3:]
    assert again == first
    assert await bench.storage.states() == {C: {"count": 1}, D: {"count": 1}}


def rich() -> list[Activity]:
    entity = Entity(type="https://schema.org/Message")
    entity.additional_properties = {"dropped": "by the SDK itself"}
    typed = HeroCard(title="title", buttons=[CardAction(type="imBack", title="t", value={"a": None, "b": [1, 2.5]})])
    return [
        MessageFactory.text("plain"),
        Activity(
            type="message",
            text="@Ada \N{PARTY POPPER}",
            entities=[
                Mention(type="mention", text="<at>Ada</at>", mentioned=ChannelAccount(id="u1", name="Ada")),
                entity,
            ],
            channel_data={"none": None, "empty": {}, "nested": [[], [{"x": False}]], "date": "2026-03-29T12:30:00Z"},
        ),
        Activity(
            type="message",
            attachments=[
                CardFactory.hero_card(typed),
                CardFactory.adaptive_card({"type": "AdaptiveCard", "body": [{"type": "TextBlock", "text": ""}]}),
                Attachment(content_type="image/png", content_url="https://example.org/a.png", name="a.png"),
            ],
            attachment_layout="carousel",
            suggested_actions=SuggestedActions(to=["u1"], actions=[CardAction(type="postBack", title="x", value=0)]),
            importance="high",
            speak="<speak/>",
            input_hint="expectingInput",
        ),
        Activity(type="event", name="done", value={"list": [1, "2", None], "card": typed}, attachments=[], text=""),
        Activity(type="message", value=0, channel_data="text", text_format="plain", summary="s"),
        Activity(type="endOfConversation", code="completedSuccessfully", value=[CardAction(type="openUrl", value="u")]),
    ]


async def test_whatever_was_in_the_replies_the_ledger_has_them_to_the_letter(bench: Bench) -> None:
    async def logic(context: TurnContext, conversation: ConversationState, _user: UserState) -> None:
        await count(context, conversation)

        async def unaddressed(_context: TurnContext, activities: list[Activity], next_send: Any) -> None:
            if activities[0].text == "plain":
                activities[0].locale = activities[0].recipient = None
            await next_send()

        context.on_send_activities(unaddressed)
        await context.send_activities(rich())
        context.activity.locale = "de-DE"  # of no matter to what was sent before
        context.activity.recipient = ChannelAccount(id="another")

    message = bench.message()
    assert await (await bench.of(logic)).status(message) == 201
    assert await (await bench.of(logic)).status(message) == 201
    count_of_replies = len(rich())
    assert bench.connector.sent[count_of_replies:] == bench.connector.sent[:count_of_replies]
    assert "recipient" not in bench.connector.sent[0].body
    mention = bench.connector.sent[1].body["entities"][0]
    assert mention == {"type": "mention", "text": "<at>Ada</at>", "mentioned": {"id": "u1", "name": "Ada"}}


async def test_updates_and_deletions_are_done_again_too(bench: Bench) -> None:
    async def logic(context: TurnContext, conversation: ConversationState, _user: UserState) -> None:
        await count(context, conversation)
        await context.update_activity(Activity(id="earlier", type="message", text="new"))
        await context.send_activity("between")
        await context.delete_activity("older")

    message = bench.message(channelId="directline")
    assert await (await bench.of(logic)).status(message) == 201
    assert await (await bench.of(logic)).status(message) == 201
    done = [(sent.method, sent.activity_id) for sent in bench.connector.sent]
    assert done[:3] == [("PUT", "earlier"), ("POST", None), ("DELETE", "older")]
    assert bench.connector.sent[3:] == bench.connector.sent[:3]


@pytest.mark.parametrize("taken", [0, 1, 2])
@pytest.mark.parametrize("by", ["same process", "another process"])
async def test_where_the_connector_fails_the_state_stands_and_the_retry_sends_what_is_missing(
    bench: Bench, taken: int, by: str, caplog: pytest.LogCaptureFixture
) -> None:
    replica = await bench.of(three)
    bench.connector.refusals = [False] * taken + [True]
    message = bench.message()
    answer = await replica.post(message)
    assert answer.status in range(500, 600)
    assert int(answer.headers["Retry-After"]) > 0
    failures = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert any("did not take the replies of a turn: " in failure for failure in failures)
    assert await bench.storage.states() == {C: {"count": 1}, D: {"count": 1}}
    assert bench.connector.texts == ["a1", "b1", "c1"][:taken]
    if by == "another process":
        replica = await bench.of(three)
        bench.connector.sent.clear()  # it cannot know of those
    assert await replica.status(message) == 201
    assert bench.connector.texts == ["a1", "b1", "c1"]
    assert await bench.storage.states() == {C: {"count": 1}, D: {"count": 1}}


async def test_two_deliveries_at_once_in_one_process_count_once_and_are_answered_once(bench: Bench) -> None:
    replica = await bench.of(three)
    message = bench.message()
    assert await asyncio.gather(*(replica.status(message) for _ in range(5))) == [201] * 5
    assert bench.connector.texts == ["a1", "b1", "c1"]


async def test_two_deliveries_at_once_over_two_processes_count_once(bench: Bench) -> None:
    replicas = [await bench.of(three) for _ in range(2)]
    message = bench.message()
    assert await asyncio.gather(*(replica.status(message) for replica in replicas)) == [201] * 2
    assert await bench.storage.states() == {C: {"count": 1}, D: {"count": 1}}
    assert sorted(set(bench.connector.texts)) == ["a1", "b1", "c1"]
    assert len(bench.connector.texts) in (3, 6)  # neither knows what the other has sent


async def test_an_acknowledgement_that_is_lost_at_any_write_counts_once(bench: Bench) -> None:
    for number in range(2 if not bench.storage.transactional else 1):
        replica = await bench.of(three)
        saves = iter(range(9))
        lost = number

        async def after(call: Call) -> None:
            if call.operation == "save" and next(saves) == lost:  # noqa: B023 - used in this round only
                await failing("save")(call)

        bench.storage.after = after
        before = (await bench.storage.states()).get(C, {"count": 0})["count"]
        bench.connector.sent.clear()
        assert await replica.status(bench.message()) == 201
        await bench.settled(replica)
        assert await bench.storage.states() == {C: {"count": before + 1}, D: {"count": before + 1}}
        assert bench.connector.texts == [f"{text}{before + 1}" for text in "abc"]


async def test_an_invoke_gets_the_recorded_response_and_counts_once(bench: Bench) -> None:
    async def logic(context: TurnContext, conversation: ConversationState, _user: UserState) -> None:
        number = await count(context, conversation)
        body = {"number": number, "cards": [Attachment(content_type="image/png", name="a.png")]}
        response = InvokeResponse(status=209, body=body)
        await context.send_activity(Activity(type=ActivityTypes.invoke_response, value=response))
        await context.send_activity(f"message {number}")

    invoke = bench.activity("invoke", name="task/fetch")
    expected = {"number": 1, "cards": [{"contentType": "image/png", "name": "a.png"}]}
    for _ in range(2):
        replica = await bench.of(logic)
        for _ in range(2):
            answer = await replica.post(invoke)
            assert (answer.status, await answer.json()) == (209, expected)
    assert bench.connector.texts == ["message 1"] * 2  # by each of the processes, once
    assert await bench.storage.states() == {C: {"count": 1}}


async def test_an_invokes_response_survives_later_turns(bench: Bench) -> None:
    async def logic(context: TurnContext, conversation: ConversationState, _user: UserState) -> None:
        number = await count(context, conversation)
        if context.activity.type == "invoke":
            response = InvokeResponse(status=200, body=number)
            await context.send_activity(Activity(type=ActivityTypes.invoke_response, value=response))

    replica = await bench.of(logic)
    invoke = bench.activity("invoke", name="task/fetch")
    assert await (await replica.post(invoke)).json() == 1
    for _ in range(3):
        assert await replica.status(bench.message()) == 201
    assert await (await replica.post(invoke)).json() == 1


async def test_expected_replies_are_in_the_answer_again(bench: Bench) -> None:
    message = bench.message(deliveryMode="expectReplies")
    for _ in range(2):
        replica = await bench.of(three)
        for _ in range(2):
            answer = await replica.post(message)
            assert answer.status == 200
            assert [each["text"] for each in (await answer.json())["activities"]] == ["a1", "b1", "c1"]
    assert bench.connector.sent == []
    assert await bench.storage.states() == {C: {"count": 1}, D: {"count": 1}}


async def test_an_invoke_that_expects_replies_gets_them_and_its_response_again_and_counts_once(bench: Bench) -> None:
    async def logic(context: TurnContext, conversation: ConversationState, _user: UserState) -> None:
        number = await count(context, conversation)
        await context.send_activity(f"message {number}")
        response = InvokeResponse(status=209, body={"number": number})
        await context.send_activity(Activity(type=ActivityTypes.invoke_response, value=response))

    invoke = bench.activity("invoke", name="task/fetch", deliveryMode="expectReplies")
    answers = []
    for _ in range(2):
        replica = await bench.of(logic)
        for _ in range(2):
            answer = await replica.post(invoke)
            assert answer.status == 200
            activities = (await answer.json())["activities"]
            answers.append([(each["type"], each.get("text"), each.get("value")) for each in activities])
    recorded = {"status": 209, "body": {"number": 1}}
    assert answers == [[("message", "message 1", None), ("invokeResponse", None, recorded)]] * 4
    assert bench.connector.sent == []
    assert await bench.storage.states() == {C: {"count": 1}}


async def test_an_edited_message_bears_the_messages_id_and_is_no_redelivery_of_it(bench: Bench) -> None:
    replica = await bench.of(counting)
    first = {"id": "m1", "timestamp": "2026-03-29T12:30:00Z"}
    later = {"id": "m1", "timestamp": "2026-03-29T12:31:00Z"}
    activities = [
        bench.message(**first),
        bench.message(**first),
        bench.activity("messageUpdate", **first),
        bench.activity("messageUpdate", **later),
        bench.activity("messageUpdate", **later),
        bench.activity("messageDelete", **later),
    ]
    assert [await replica.status(activity) for activity in activities] == [201] * 6
    assert await bench.storage.states() == {C: {"count": 4}}


async def test_replies_known_to_have_arrived_leave_the_ledger_with_the_next_turn(bench: Bench) -> None:
    replica = await bench.of(counting)

    async def kept() -> list[bool]:
        [document] = (await bench.storage.load([C])).values()
        return ["replies" in entry for entry in document.value["$turn"]["ledger"]]

    for _ in range(3):
        assert await replica.status(bench.message()) == 201
    assert await kept() == [False, False, True]
    bench.storage.before = failing("save", times=99)
    assert await replica.status(bench.message()) == 503
    bench.storage.before = failing("save", times=0)
    assert await replica.status(bench.message()) == 201
    assert await kept() == [False, False, False, True]


async def test_what_is_sent_later_is_not_delivered_by_a_process_that_redelivers_in_between(bench: Bench) -> None:
    old: Replica = await bench.of(three)
    first, second = bench.message(), bench.message()
    assert await old.status(first) == 201
    assert await old.status(second) == 201
    new = await bench.of(three)
    bench.connector.sent.clear()
    assert await new.status(first) == 201  # its replies are known to have arrived
    assert bench.connector.texts == []
    assert await new.status(second) == 201  # of these the ledger does not know it
    assert bench.connector.texts == ["a2", "b2", "c2"]


@pytest.mark.parametrize("kind", ["message", "invoke"])
async def test_a_turn_so_slow_that_it_is_delivered_again_meanwhile_is_not_answered_twice(
    bench: Bench, kind: str
) -> None:
    async def logic(context: TurnContext, conversation: ConversationState, _user: UserState) -> None:
        await context.send_activity(str(await count(context, conversation)))
        if kind == "invoke":
            response = InvokeResponse(status=200, body="response")
            await context.send_activity(Activity(type=ActivityTypes.invoke_response, value=response))

    seconds = itertools.count(step=6)
    slow, other = InProcess(bench.storage, logic, lambda: next(seconds)), InProcess(bench.storage, logic)
    activity = bench.activity(kind, name="task/fetch")
    await slow.run(activity)
    await other.run(activity)
    assert slow.texts[:1] == ["1"]
    # Whether an invoke's response has arrived nobody can know: it stays in the ledger.
    assert other.texts == ([] if kind == "message" else slow.texts)
