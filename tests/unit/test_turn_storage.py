"""What a turn asks of the storage, and what becomes of it when the storage fails or another turn is faster."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from botbuilder.core import TurnContext

from bots.adapter import APOLOGY
from bots.state import ConversationState, UserState
from bots.turn.events import TurnEvent
from bots.turn.runtime import Limits
from storage import StorageUnavailable
from tests.unit.turn_bench import Bench, C, Call, D, InProcess, count, counting, failing, losing

UNTIL_ALONE = Limits().alone_after  # turns, after which a replica takes itself to be alone with a conversation


async def obedient(context: TurnContext, conversation: ConversationState, user: UserState) -> None:
    """Count in the states that the message names."""
    words = context.activity.text.split()
    if "user" in words:
        await count(context, user)
    if "conversation" in words:
        await count(context, conversation)
    if "read" in words:
        await conversation.create_property("count").get(context)
        await user.create_property("count").get(context)
    await context.send_activity("done")


@pytest.mark.parametrize(
    ("text", "transactional", "separate", "afterwards"),
    [
        ("conversation", ["load", "save"], ["load", "save"], []),
        ("user", ["load", "save"], ["load", "save", "save"], ["save"]),
        ("user conversation", ["load", "save"], ["load", "save", "save"], ["save"]),
        ("read", ["load"], ["load"], []),
        ("nothing", ["load"], ["load"], []),
    ],
)
async def test_a_turn_costs_one_load_and_one_save_and_one_more_where_it_changes_another_document(
    bench: Bench, text: str, transactional: list[str], separate: list[str], afterwards: list[str]
) -> None:
    replica = await bench.of(obedient)
    assert await replica.status(bench.message("user conversation")) == 201
    await bench.settled(replica)
    bench.storage.calls.clear()
    answered: list[int] = []

    async def before(_call: Call) -> None:
        answered.append(len(bench.connector.sent))

    bench.storage.before = before
    bench.connector.sent.clear()
    assert await replica.status(bench.message(text)) == 201
    await bench.settled(replica)
    expected = transactional if bench.storage.transactional else [*separate, *afterwards]
    assert bench.storage.operations() == expected
    on_the_users_path = answered.count(0)
    assert on_the_users_path == len(transactional if bench.storage.transactional else separate)
    assert set(bench.storage.calls[0].keys) == {C, D}  # all in parallel


async def test_a_conversation_that_stays_at_one_replica_is_not_loaded(bench: Bench) -> None:
    replica = await bench.of(obedient)
    for _ in range(UNTIL_ALONE):
        assert await replica.status(bench.message("conversation")) == 201
    bench.storage.calls.clear()
    assert await replica.status(bench.message("conversation")) == 201
    assert [(call.operation, set(call.keys)) for call in bench.storage.calls] == [("load", {D}), ("save", {C})]
    bench.storage.calls.clear()
    assert await replica.status(bench.message("nothing")) == 201
    assert [(call.operation, set(call.keys)) for call in bench.storage.calls] == [("load", {D}), ("load", {C})]


async def test_a_conversation_in_which_users_take_turns_is_loaded_as_often_as_if_nothing_were_remembered(
    bench: Bench,
) -> None:
    replica = await bench.of(obedient)
    for number in range(6):
        bench.storage.calls.clear()
        assert await replica.status(bench.message("conversation", **{"from": {"id": f"u{number % 2}"}})) == 201
    assert bench.storage.operations() == (["load", "save"] if bench.storage.transactional else ["load", "load", "save"])


@pytest.mark.parametrize(
    "value",
    [
        [{"text": "x" * 1_000}] * 40,
        ["\N{GRINNING FACE}" * 1_000] * 10,
        [number / 7 for number in range(2_000)],
        [{} for _ in range(1_000)],
    ],
    ids=["texts", "texts of four bytes a character", "numbers", "empty objects"],
)
async def test_a_conversation_that_takes_much_memory_is_loaded_each_time_and_not_kept(
    bench: Bench, value: list[Any]
) -> None:
    async def verbose(context: TurnContext, conversation: ConversationState, user: UserState) -> None:
        await obedient(context, conversation, user)
        await conversation.create_property("parts").set(context, value)

    replica = await bench.of(verbose)
    for _ in range(UNTIL_ALONE + 1):
        bench.storage.calls.clear()
        assert await replica.status(bench.message("conversation")) == 201
        assert set(bench.storage.calls[0].keys) == {C, D}


async def test_so_is_one_whose_activities_have_long_names(bench: Bench) -> None:
    replica = await bench.of(obedient)
    for number in range(20):
        bench.storage.calls.clear()
        assert await replica.status(bench.message("conversation", id=f"{number:02000}")) == 201
    assert set(bench.storage.calls[0].keys) == {C, D}


async def test_a_conversation_that_was_left_a_while_ago_is_loaded(bench: Bench) -> None:
    now, recent = 0.0, Limits().recent
    bot = InProcess(bench.storage, obedient, monotonic=lambda: now)
    for _ in range(UNTIL_ALONE):
        await bot.run(bench.message("conversation"))
    for passed, first in (recent, {D}), (recent + 1, {C, D}), (0, {D}):
        now += passed
        bench.storage.calls.clear()
        await bot.run(bench.message("conversation"))
        assert set(bench.storage.calls[0].keys) == first


async def test_a_conversation_that_two_replicas_share_is_loaded_for_each_turn_and_no_turn_runs_twice(
    bench: Bench,
) -> None:
    told: list[TurnEvent] = []
    bots = [InProcess(bench.storage, obedient, observer=told.append) for _ in range(2)]
    for number in range(8):
        bench.storage.calls.clear()
        await bots[number % 2].run(bench.message("conversation"))
        assert set(bench.storage.calls[0].keys) == {C, D}
    assert "conflict" not in {event.what for event in told}


async def test_after_a_slow_turn_which_is_marked_as_delivered_the_conversation_is_loaded(bench: Bench) -> None:
    now = 0.0

    async def logic(context: TurnContext, conversation: ConversationState, user: UserState) -> None:
        nonlocal now
        now += 6.0 if "slow" in context.activity.text else 0.0
        await obedient(context, conversation, user)

    bot = InProcess(bench.storage, logic, monotonic=lambda: now)
    for text in (*["conversation"] * UNTIL_ALONE, "slow conversation"):
        await bot.run(bench.message(text))
    assert [set(call.keys) for call in bench.storage.calls[-3:]] == [{D}, {C}, {C}]
    bench.storage.calls.clear()
    await bot.run(bench.message("conversation"))
    assert set(bench.storage.calls[0].keys) == {C, D}


async def test_after_a_turn_of_which_nobody_knows_whether_it_committed_the_conversation_is_loaded(bench: Bench) -> None:
    replica = await bench.of(obedient)
    for _ in range(UNTIL_ALONE):
        assert await replica.status(bench.message("conversation")) == 201
    bench.storage.before = failing("load", times=99)
    bench.storage.after = failing("save", times=99)
    assert await replica.status(bench.message("conversation")) == 503
    bench.storage.before = bench.storage.after = failing("save", times=0)
    bench.storage.calls.clear()
    assert await replica.status(bench.message("conversation")) == 201
    assert set(bench.storage.calls[0].keys) == {C, D}


async def test_once_a_conversation_was_another_replicas_too_all_are_loaded_for_ten_minutes(bench: Bench) -> None:
    now = 0.0
    replica, other = (InProcess(bench.storage, obedient, monotonic=lambda: now) for _ in range(2))

    async def is_loaded(conversation: str) -> bool:
        bench.storage.calls.clear()
        await replica.run(bench.message("conversation", conversation={"id": conversation}))
        return len(bench.storage.calls[0].keys) > 1

    for conversation in ("c1", "c2"):
        assert [await is_loaded(conversation) for _ in range(UNTIL_ALONE + 1)] == [True] * UNTIL_ALONE + [False]
    await other.run(bench.message("conversation", conversation={"id": "c1"}))
    assert not await is_loaded("c1")  # it is found out by the commit
    assert await is_loaded("c2")
    now += Limits().shared
    assert [await is_loaded("c2") for _ in range(2)] == [True, False]  # nobody else has written it all the time


async def test_a_user_who_speaks_in_two_conversations_at_once_is_no_other_replica(bench: Bench) -> None:
    bot = InProcess(bench.storage, obedient)
    ours, others = {"conversation": {"id": "c2"}}, {"conversation": {"id": "c3"}, "from": {"id": "u2"}}
    for _ in range(UNTIL_ALONE):
        await bot.run(bench.message("conversation"))
        await bot.run(bench.message("conversation", **others))
    commits, go_on = asyncio.Event(), asyncio.Event()

    async def slow(call: Call) -> None:
        if call.operation == "save" and C in call.keys and not commits.is_set():
            commits.set()
            await go_on.wait()

    bench.storage.before = slow
    first = asyncio.create_task(bot.run(bench.message("user conversation")))
    await commits.wait()
    await bot.run(bench.message("user conversation", **ours))  # waits, and then ends the first one's attempt
    go_on.set()
    await first
    await bot.turns.aclose()
    assert (await bench.storage.states())[D] == {"count": 2}
    bench.storage.calls.clear()
    await bot.run(bench.message("conversation", **others))
    assert bench.storage.calls[0].keys == ("emulator/users/u2",)


async def test_replicas_behind_a_balancer_that_chooses_by_chance_rarely_run_a_turn_twice(bench: Bench) -> None:
    runs = 0

    async def counted(context: TurnContext, conversation: ConversationState, user: UserState) -> None:
        nonlocal runs
        runs += 1
        await obedient(context, conversation, user)

    replicas, chance = [await bench.of(counted), await bench.of(counted)], random.Random(4)  # noqa: S311
    for _ in range(200):
        assert await chance.choice(replicas).status(bench.message("conversation")) == 201
    assert runs <= 201


@pytest.mark.parametrize("text", ["conversation", "nothing"])
async def test_a_conversation_that_comes_back_from_another_replica_is_loaded_again(bench: Bench, text: str) -> None:
    replica = await bench.of(obedient)
    own = bench.storage
    other = await bench.of(obedient)
    for _ in range(UNTIL_ALONE):
        assert await replica.status(bench.message("conversation")) == 201
    assert await other.status(bench.message("conversation")) == 201
    own.calls.clear()
    assert await replica.status(bench.message(text)) == 201
    assert ("load", {C, D}) in [(call.operation, set(call.keys)) for call in own.calls]
    expected = UNTIL_ALONE + (2 if text == "conversation" else 1)
    assert (await bench.storage.states())[C]["count"] == expected


SOLD_OUT = [*["restock"] * UNTIL_ALONE, *["buy"] * UNTIL_ALONE]


async def buying(context: TurnContext, conversation: ConversationState, _user: UserState) -> None:
    """Sell what there is: "restock" brings one, "buy" takes it, and raises where there is none."""
    stock = conversation.create_property("stock")
    left = await stock.get(context, 0) + {"restock": 1, "buy": -1}[context.activity.text]
    if left < 0:
        raise ValueError("sold out")
    await stock.set(context, left)
    await context.send_activity(f"{left} left")


async def test_an_error_about_what_another_replica_has_changed_since_is_not_told_and_the_turn_begins_again(
    bench: Bench,
) -> None:
    replica, other = await bench.of(buying), await bench.of(buying)
    for text in SOLD_OUT:
        assert await replica.status(bench.message(text)) == 201
    assert await other.status(bench.message("restock")) == 201
    bench.connector.sent.clear()
    assert await replica.status(bench.message("buy")) == 201
    assert bench.connector.texts == ["0 left"]


async def test_an_error_about_what_another_replica_has_handled_is_not_told_and_the_ledger_answers(bench: Bench) -> None:
    replica, other = await bench.of(buying), await bench.of(buying)
    for text in SOLD_OUT:
        assert await replica.status(bench.message(text)) == 201
    message = bench.message("buy")
    assert await other.status(bench.message("restock")) == 201
    assert await other.status(message) == 201
    bench.connector.sent.clear()
    assert await replica.status(message) == 201
    assert bench.connector.texts == ["0 left"]


async def test_an_error_is_told_once_where_the_conversation_is_still_as_it_was_left(bench: Bench) -> None:
    replica = await bench.of(buying)
    for text in SOLD_OUT:
        assert await replica.status(bench.message(text)) == 201
    bench.storage.calls.clear()
    bench.connector.sent.clear()
    assert await replica.status(bench.message("buy")) == 201
    assert bench.connector.texts == list(APOLOGY)
    assert [(call.operation, set(call.keys)) for call in bench.storage.calls] == [("load", {D}), ("load", {C})]


async def test_an_error_is_not_told_while_nobody_can_say_whether_the_conversation_is_as_it_was_left(
    bench: Bench,
) -> None:
    replica = await bench.of(buying)
    for text in SOLD_OUT:
        assert await replica.status(bench.message(text)) == 201
    bench.connector.sent.clear()

    async def before(call: Call) -> None:
        if C in call.keys:
            raise StorageUnavailable("the service is away")

    bench.storage.before = before
    assert await replica.status(bench.message("buy")) == 503
    assert bench.connector.texts == []


async def test_a_redelivery_costs_one_load(bench: Bench) -> None:
    message = bench.message("user conversation")
    assert await (await bench.of(obedient)).status(message) == 201
    replica = await bench.of(obedient)
    await bench.settled(replica)
    bench.storage.calls.clear()
    for _ in range(2):
        assert await replica.status(message) == 201
    await bench.settled(replica)
    assert bench.storage.operations() == ["load", "load"]


async def test_a_user_document_that_moved_in_another_conversation_is_loaded_twice_at_most(bench: Bench) -> None:
    replica = await bench.of(obedient)
    for conversation in ("c1", "c2"):
        message = bench.message("user conversation", conversation={"id": conversation})
        assert await replica.status(message) == 201
        await bench.settled(replica)
    bench.storage.calls.clear()
    assert await replica.status(bench.message("conversation")) == 201
    assert bench.storage.operations() == (["load", "save"] if bench.storage.transactional else ["load", "load", "save"])


async def test_so_it_is_where_the_conversation_was_not_to_be_loaded(bench: Bench) -> None:
    replica = await bench.of(obedient)
    for conversation in (*["c1"] * UNTIL_ALONE, "c2"):
        message = bench.message("user conversation", conversation={"id": conversation})
        assert await replica.status(message) == 201
        await bench.settled(replica)
    bench.storage.calls.clear()
    assert await replica.status(bench.message("conversation")) == 201
    assert [set(call.keys) for call in bench.storage.calls] == [{D}, {C, D}, {C}]


@pytest.mark.parametrize("operation", ["load", "save"])
async def test_while_the_storage_is_away_the_answer_is_503_and_nothing_is_sent_or_stored(
    bench: Bench, operation: str
) -> None:
    replica = await bench.of(obedient)
    assert await replica.status(bench.message("user conversation")) == 201
    await bench.settled(replica)
    before = await bench.storage.states()
    bench.connector.sent.clear()
    message = bench.message("user conversation")
    bench.storage.before = failing(operation, times=99)
    answer = await replica.post(message)
    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert bench.connector.sent == []
    assert await bench.storage.states() == before
    bench.storage.before = failing(operation, times=0)
    assert await replica.status(message) == 201
    assert bench.connector.texts == ["done"]
    assert await bench.storage.states() == {C: {"count": 2}, D: {"count": 2}}


async def test_a_save_that_fails_once_is_tried_again_unseen(bench: Bench) -> None:
    replica = await bench.of(obedient)
    bench.storage.before = failing("save")
    assert await replica.status(bench.message("user conversation")) == 201
    assert await bench.storage.states() == {C: {"count": 1}, D: {"count": 1}}
    assert bench.connector.texts == ["done"]


async def test_past_the_bound_of_conflicts_the_answer_is_503_without_apology_and_the_state_as_before(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    other, replica = await bench.of(counting), await bench.of(obedient)
    bench.storage.before = losing(bench, other, times=10_000)
    answer = await replica.post(bench.message("user conversation"))
    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) > 0
    texts = bench.connector.texts
    assert texts == [f"other {number}" for number in range(1, len(texts) + 1)]
    states = await bench.storage.states()
    assert states[C] == {"count": len(texts)}
    await bench.settled(replica)
    bench.storage.before = failing("save", times=0)
    assert await replica.status(bench.message("user")) == 201  # and nothing of the failed turn is ever acted upon
    await bench.settled(replica)
    assert await bench.storage.states() == {C: {"count": len(texts)}, D: {"count": 1}}
    assert any("faster 30 times" in record.getMessage() for record in caplog.records)


async def test_a_value_that_cannot_be_stored_is_the_bots_bug_and_nothing_is_stored(bench: Bench) -> None:
    async def logic(context: TurnContext, conversation: ConversationState, user: UserState) -> None:
        await count(context, user)
        await conversation.create_property("bad").set(context, object())
        await context.send_activity("never sent")

    replica = await bench.of(logic)
    assert await replica.status(bench.message()) == 201
    assert "never sent" not in bench.connector.texts
    assert len(bench.connector.texts) == 2  # the apology
    assert await bench.storage.states() == {}


@pytest.mark.parametrize("moment", range(3))  # load, save, and where there are no transactions a second save
async def test_a_turn_cancelled_at_any_operation_leaves_nothing_half_done_and_the_queue_free(
    bench: Bench, moment: int
) -> None:
    bot, calls, reached = InProcess(bench.storage, obedient), iter(range(99)), asyncio.Event()

    async def before(_call: Call) -> None:
        if next(calls) == moment:
            reached.set()
            await asyncio.Event().wait()

    bench.storage.before = before
    running = asyncio.create_task(bot.run(bench.message("user conversation")))
    arrived = asyncio.create_task(reached.wait())
    await asyncio.wait({running, arrived}, return_when=asyncio.FIRST_COMPLETED)
    running.cancel()
    arrived.cancel()
    ended = (await asyncio.gather(running, arrived, return_exceptions=True))[0]
    bench.storage.before = failing("save", times=0)
    sent = len(bot.texts)
    assert (ended is None) == bool(sent)
    async with asyncio.timeout(10):
        await bot.run(bench.message("user conversation"))
        await bot.turns.aclose()
    assert await bench.storage.states() == {C: {"count": 1 + sent}, D: {"count": 1 + sent}}


async def test_a_turn_cancelled_while_a_reply_is_on_its_way_stands_and_sends_it_once(bench: Bench) -> None:
    # aiohttp's test server cancels a handler whose client is gone; `python app.py` lets it end.
    replica = await bench.of(obedient)
    bench.connector.may_answer.clear()
    message = bench.message("user conversation")
    request = asyncio.create_task(replica.status(message))
    await bench.connector.arrived.wait()
    request.cancel()
    await asyncio.gather(request, return_exceptions=True)
    bench.connector.may_answer.set()
    assert await replica.status(message) == 201
    assert bench.connector.texts == ["done"]
    assert await bench.storage.states() == {C: {"count": 1}, D: {"count": 1}}


async def test_shutting_down_waits_for_what_is_done_after_the_replies(bench: Bench) -> None:
    replica = await bench.of(obedient)
    go_on, held = asyncio.Event(), asyncio.Event()

    async def before(call: Call) -> None:
        if call.operation == "save" and bench.connector.sent:
            held.set()
            await go_on.wait()

    bench.storage.before = before
    assert await replica.status(bench.message("user conversation")) == 201
    if bench.storage.transactional:
        return  # nothing is left to do
    await held.wait()
    closing = asyncio.create_task(replica.client.close())
    await asyncio.sleep(0)
    assert not closing.done()
    go_on.set()
    await closing
    [document] = (await bench.storage.load([D])).values()
    assert "undo" not in document.value["$turn"]


async def test_a_turn_waits_for_what_is_done_after_the_one_before_and_does_not_run_twice(bench: Bench) -> None:
    told: list[TurnEvent] = []
    bot = InProcess(bench.storage, obedient, observer=told.append)
    go_on, held = asyncio.Event(), asyncio.Event()

    async def before(call: Call) -> None:
        if call == Call("save", (D,)) and bot.texts:
            held.set()
            await go_on.wait()

    bench.storage.before = before
    await bot.run(bench.message("user conversation"))
    if bench.storage.transactional:
        return  # nothing is left to do
    await held.wait()
    second = asyncio.create_task(bot.run(bench.message("user conversation")))
    assert not (await asyncio.wait([second], timeout=0.1))[0]
    go_on.set()
    await second
    await bot.turns.aclose()
    assert "conflict" not in {event.what for event in told}


async def test_what_is_done_after_a_turn_is_left_to_the_next_one_where_that_waits_already(bench: Bench) -> None:
    bot = InProcess(bench.storage, obedient)
    await asyncio.gather(*(bot.run(bench.message("user conversation")) for _ in range(3)))
    await bot.turns.aclose()
    saves = [call for call in bench.storage.calls if call.operation == "save"]
    assert len(saves) == (3 if bench.storage.transactional else 3 * 2 + 1)


async def test_work_after_the_replies_that_fails_is_no_matter_for_the_user(bench: Bench) -> None:
    replica = await bench.of(obedient)

    async def before(call: Call) -> None:
        if call.operation == "save" and bench.connector.sent:
            raise StorageUnavailable("the service is away")

    bench.storage.before = before
    assert await replica.status(bench.message("user conversation")) == 201
    await bench.settled(replica)
    bench.storage.before = failing("save", times=0)
    assert await replica.status(bench.message("user conversation")) == 201
    assert await bench.storage.states() == {C: {"count": 2}, D: {"count": 2}}
