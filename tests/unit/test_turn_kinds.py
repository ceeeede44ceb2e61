"""Every kind of turn is a transaction: events, members, proactive turns; and every kind of state takes part."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from botbuilder.core import BotState, TurnContext
from botbuilder.core import ConversationState as Stock
from botbuilder.core import MemoryStorage as StockMemory
from botbuilder.schema import ConversationReference

from bots.state import ConversationState, PrivateConversationState, StoredState, UserState
from bots.turn.errors import ForeignConversation, NestedTurn, TurnTooSlow, for_bugs_only
from bots.turn.middleware import TurnTransaction
from tests.unit.turn_bench import Bench, BenchStorage, C, D, InProcess, count, counting, losing


@pytest.mark.parametrize("kind", ["message", "conversationUpdate", "event", "installationUpdate", "messageReaction"])
async def test_an_activity_of_any_type_counts_once_however_often_it_is_delivered(bench: Bench, kind: str) -> None:
    activity = bench.activity(kind, membersAdded=[{"id": "u1"}], name="tick")
    for _ in range(2):
        replica = await bench.of(counting)
        assert [await replica.status(activity) for _ in range(2)] == [201, 201]
    assert await bench.storage.states() == {C: {"count": 1}}
    assert len(bench.connector.sent) == 2  # by each of the processes, once


async def test_expected_replies_come_in_the_answer_and_typing_with_them(bench: Bench) -> None:
    async def logic(context: TurnContext, conversation: ConversationState, _user: UserState) -> None:
        await context.update_activity(await _said(context, "earlier"))
        await context.send_activity(str(await count(context, conversation)))

    replica = await bench.of(logic)
    answer = await replica.post(bench.message(deliveryMode="expectReplies"))
    assert answer.status == 200
    assert [each["text"] for each in (await answer.json())["activities"]] == ["1"]
    assert [(sent.method, sent.activity_id) for sent in bench.connector.sent] == [("PUT", "earlier")]


async def _said(context: TurnContext, activity_id: str) -> Any:
    activity = TurnContext.apply_conversation_reference(
        type(context.activity)(type="message", id=activity_id, text="changed"),
        TurnContext.get_conversation_reference(context.activity),
    )
    activity.id = activity_id
    return activity


def reference_to(bench: Bench, conversation: str = "c1") -> ConversationReference:
    return ConversationReference().deserialize(
        {
            "channelId": "emulator",
            "serviceUrl": bench.connector.url or "http://localhost",
            "conversation": {"id": conversation},
            "user": {"id": "u1"},
            "bot": {"id": "bot"},
        }
    )


async def test_a_proactive_turn_is_a_transaction_also_beside_messages(bench: Bench) -> None:
    bot = InProcess(bench.storage, counting)

    async def proactive(context: TurnContext) -> None:
        await counting(context, bot.conversation_state, bot.user_state)

    reference = reference_to(bench)
    await asyncio.gather(
        *(bot.run(bench.message()) for _ in range(10)),
        *(bot.adapter.continue_conversation(reference, proactive) for _ in range(10)),
    )
    assert await bench.storage.states() == {C: {"count": 20}}
    assert sorted(int(text.split()[-1]) for text in bot.texts) == list(range(1, 21))


async def test_a_turn_that_waits_for_another_of_its_conversation_is_told_so(bench: Bench) -> None:
    told: list[str] = []

    async def logic(context: TurnContext, conversation: ConversationState, _user: UserState) -> None:
        await count(context, conversation)
        with pytest.raises(RuntimeError, match="would wait for itself") as error:
            await context.adapter.continue_conversation(reference_to(bench), _never)
        told.append(type(error.value).__name__)
        await context.send_activity("on it goes")

    bot = InProcess(bench.storage, logic)
    apologies: list[Exception] = []
    bot.adapter.on_turn_error = for_bugs_only(_collect(apologies))
    async with asyncio.timeout(10):
        await bot.run(bench.message())
    assert (told, apologies) == ([NestedTurn.__name__], [])
    assert bot.texts == ["on it goes"]


def _collect(errors: list[Exception]) -> Any:
    async def on_turn_error(_context: TurnContext, error: Exception) -> None:
        errors.append(error)

    return on_turn_error


async def _never(_context: TurnContext) -> None:
    raise AssertionError("this turn must not run")


async def test_a_turn_in_another_conversation_or_in_a_task_of_its_own_works(bench: Bench) -> None:
    tasks: list[asyncio.Task[None]] = []

    async def logic(context: TurnContext, conversation: ConversationState, user: UserState) -> None:
        await count(context, conversation)

        async def proactive(other: TurnContext) -> None:
            await counting(other, conversation, user)

        await context.adapter.continue_conversation(reference_to(bench, "c2"), proactive)
        tasks.append(asyncio.create_task(context.adapter.continue_conversation(reference_to(bench), proactive)))

    bot = InProcess(bench.storage, logic)
    async with asyncio.timeout(10):
        await bot.run(bench.message())
        await asyncio.gather(*tasks)
    assert (await bench.storage.states())[C] == {"count": 2}
    assert [text.split()[-1] for text in bot.texts] == ["1", "2"]


async def test_a_turn_that_is_not_decided_in_time_is_to_be_delivered_again_and_frees_those_behind_it(
    bench: Bench,
) -> None:
    hang = asyncio.Event()

    async def logic(context: TurnContext, conversation: ConversationState, user: UserState) -> None:
        if context.activity.text == "hang":
            await count(context, user)
            await hang.wait()
        await counting(context, conversation, user)

    bot = InProcess(bench.storage, logic, turn=0.05)
    hanging = asyncio.create_task(bot.run(bench.message("hang")))
    with pytest.raises(TurnTooSlow, match=r"0\.05 s"):
        await hanging
    await bot.run(bench.message())
    assert await bench.storage.states() == {C: {"count": 1}}
    assert [text.split()[-1] for text in bot.texts] == ["1"]


async def test_a_turn_that_waits_for_one_of_its_conversation_in_another_task_ends_in_time(bench: Bench) -> None:
    async def logic(context: TurnContext, conversation: ConversationState, _user: UserState) -> None:
        await count(context, conversation)
        await asyncio.create_task(context.adapter.continue_conversation(reference_to(bench), _never))

    bot = InProcess(bench.storage, logic, turn=0.05)
    with pytest.raises(TurnTooSlow):
        await bot.run(bench.message())
    assert await bench.storage.states() == {}


async def test_a_timeout_of_the_bots_own_is_the_bots_error(bench: Bench) -> None:
    async def logic(_context: TurnContext, _conversation: ConversationState, _user: UserState) -> None:
        raise TimeoutError("of a service that the bot calls")

    with pytest.raises(TimeoutError, match="of a service"):
        await InProcess(bench.storage, logic).run(bench.message())


async def test_a_scope_that_nobody_named_joins_the_transaction_when_the_bot_uses_it(bench: Bench) -> None:
    private = PrivateConversationState(bench.storage)
    runs: list[str] = []

    async def logic(context: TurnContext, conversation: ConversationState, _user: UserState) -> None:
        runs.append(context.activity.text)
        try:
            await count(context, private)
        except Exception as error:
            raise AssertionError("the bot must not be told") from error
        await count(context, conversation)
        if context.activity.text == "crash":
            raise RuntimeError("a bug in the bot")

    bot = InProcess(bench.storage, logic)
    for text in ("first", "second"):
        await bot.run(bench.message(text))
    with pytest.raises(RuntimeError, match="a bug"):
        await bot.run(bench.message("crash"))
    assert runs == ["first", "first", "second", "crash"]
    assert await bench.storage.states() == {C: {"count": 2}, f"{C}/users/u1/": {"count": 2}}


async def test_a_scope_whose_key_only_the_logic_knows_is_part_of_the_turn_all_the_same(bench: Bench) -> None:
    class TeamState(StoredState, BotState):
        def get_storage_key(self, turn_context: TurnContext) -> str:
            return f"teams/{turn_context.turn_state['team']}"

    team = TeamState(bench.storage, "TeamState")

    async def logic(context: TurnContext, conversation: ConversationState, _user: UserState) -> None:
        context.turn_state["team"] = context.activity.text
        await count(context, team)
        await count(context, conversation)

    bot = InProcess(bench.storage, logic)
    for text in ("red", "blue", "red"):
        await bot.run(bench.message(text))
    assert await bench.storage.states() == {C: {"count": 3}, "teams/red": {"count": 2}, "teams/blue": {"count": 1}}


async def test_a_task_of_an_attempt_that_began_again_neither_counts_nor_speaks(bench: Bench) -> None:
    private = PrivateConversationState(bench.storage)
    go = asyncio.Event()

    async def slowly(context: TurnContext, conversation: ConversationState) -> None:
        await go.wait()
        await context.send_activity(f"counted {await count(context, conversation)}")

    async def logic(context: TurnContext, conversation: ConversationState, _user: UserState) -> None:
        work = asyncio.gather(slowly(context, conversation), count(context, private))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        go.set()
        await work

    bot = InProcess(bench.storage, logic)
    await bot.run(bench.message())
    assert await bench.storage.states() == {C: {"count": 1}, f"{C}/users/u1/": {"count": 1}}
    assert bot.texts == ["counted 1"]


@pytest.mark.parametrize("group", ["task group", "gather that returns exceptions"])
async def test_scopes_that_are_first_used_side_by_side_are_all_part_of_the_turn(bench: Bench, group: str) -> None:
    class Room(StoredState, BotState):
        def __init__(self, name: str) -> None:
            super().__init__(bench.storage, name)
            self.name = name

        def get_storage_key(self, turn_context: TurnContext) -> str:
            return f"rooms/{self.name}"

    async def logic(context: TurnContext, _conversation: ConversationState, _user: UserState) -> None:
        rooms = [Room(f"{context.activity.text}-{number}") for number in range(3)]
        if group == "task group":
            async with asyncio.TaskGroup() as tasks:
                for room in rooms:
                    tasks.create_task(count(context, room))
        else:
            await asyncio.gather(*(count(context, room) for room in rooms), return_exceptions=True)

    bot = InProcess(bench.storage, logic)
    for text in ("a", "b", "a"):
        await bot.run(bench.message(text))
    counts = {"a": 2, "b": 1}
    found = await bench.storage.states()
    rooms = {f"rooms/{text}-{number}": {"count": counts[text]} for text in counts for number in range(3)}
    assert {key: state for key, state in found.items() if key.startswith("rooms/")} == rooms


async def test_two_scopes_of_one_class_and_name_each_keep_their_own_document(bench: Bench) -> None:
    class Room(StoredState, BotState):
        def __init__(self, room: str) -> None:
            super().__init__(bench.storage, "Room")
            self.room = room

        def get_storage_key(self, turn_context: TurnContext) -> str:
            return f"rooms/{self.room}"

    async def logic(context: TurnContext, _conversation: ConversationState, _user: UserState) -> None:
        await count(context, Room(context.activity.text))

    bot = InProcess(bench.storage, logic)
    for text in ("red", "blue", "red"):
        await bot.run(bench.message(text))
    found = await bench.storage.states()
    assert (found["rooms/red"], found["rooms/blue"]) == ({"count": 2}, {"count": 1})


async def test_a_scope_that_was_given_keeps_its_document_beside_another_of_its_class(bench: Bench) -> None:
    class Room(StoredState, BotState):
        def __init__(self, room: str) -> None:
            super().__init__(bench.storage, "Room")
            self.room = room

        def get_storage_key(self, turn_context: TurnContext) -> str:
            return f"rooms/{self.room}"

    given = Room("red")

    async def logic(context: TurnContext, _conversation: ConversationState, _user: UserState) -> None:
        await count(context, given if context.activity.text == "red" else Room(context.activity.text))

    bot = InProcess(bench.storage, logic)
    turns = TurnTransaction(bench.storage, bot.conversation_state, bot.user_state, given)
    bot.adapter._middleware._middleware[:] = [turns]
    for text in ("red", "blue", "blue"):
        await bot.run(bench.message(text))
    await turns.aclose()
    found = await bench.storage.states()
    assert (found["rooms/red"], found["rooms/blue"]) == ({"count": 1}, {"count": 2})


async def test_a_refused_document_of_another_conversation_is_no_matter_for_later_turns(bench: Bench) -> None:
    class Elsewhere(StoredState, BotState):
        def get_storage_key(self, turn_context: TurnContext) -> str:
            return "emulator/conversations/c2"

    elsewhere = Elsewhere(bench.storage, "Elsewhere")

    async def logic(context: TurnContext, conversation: ConversationState, _user: UserState) -> None:
        await count(context, elsewhere if context.activity.text == "peek" else conversation)

    bot = InProcess(bench.storage, logic)
    with pytest.raises(ForeignConversation):
        await bot.run(bench.message("peek"))
    await bot.run(bench.message())
    assert await bench.storage.states() == {C: {"count": 1}}


@pytest.mark.parametrize("known", ["before the logic runs", "only then"])
async def test_another_conversations_document_is_refused_whoever_asks_for_it(bench: Bench, known: str) -> None:
    class Elsewhere(StoredState, BotState):
        def get_storage_key(self, turn_context: TurnContext) -> str:
            if known == "only then" and "ready" not in turn_context.turn_state:
                raise TypeError("not yet")
            return "emulator/conversations/c2"

    elsewhere = Elsewhere(bench.storage, "Elsewhere")

    async def logic(context: TurnContext, conversation: ConversationState, _user: UserState) -> None:
        context.turn_state["ready"] = True
        await count(context, conversation)
        await count(context, elsewhere)

    bot = InProcess(bench.storage, logic)
    for _ in range(2):
        with pytest.raises(ForeignConversation, match=r"conversations/c2.*continue_conversation"):
            await bot.run(bench.message())
    assert await bench.storage.states() == {}


async def test_private_conversation_state_and_a_scope_of_ones_own_are_part_of_the_turn(bench: Bench) -> None:
    class TeamState(StoredState, BotState):
        def get_storage_key(self, turn_context: TurnContext) -> str:
            return f"teams/{turn_context.activity.channel_data['team']}"

    storage = bench.storage
    team, private = TeamState(storage, "TeamState"), PrivateConversationState(storage)
    other = await bench.of(counting)
    attempts: list[int] = []

    async def logic(context: TurnContext, conversation: ConversationState, user: UserState) -> None:
        attempts.append(1)
        for state in (team, private, user, conversation):
            await count(context, state)
        if context.activity.text == "crash":
            raise RuntimeError("a bug in the bot")

    bench.storage = storage
    bot = InProcess(storage, logic)
    turns = TurnTransaction(storage, bot.conversation_state, bot.user_state, team, private)
    bot.adapter._middleware._middleware[:] = [turns]
    storage.before = losing(bench, other, times=1)
    await bot.run(bench.message(channelData={"team": "red"}))
    await turns.aclose()
    assert len(attempts) == 2
    counted = {"teams/red": {"count": 1}, f"{C}/users/u1/": {"count": 1}, D: {"count": 1}, C: {"count": 2}}
    assert await storage.states() == counted
    with pytest.raises(RuntimeError, match="a bug"):
        await bot.run(bench.message("crash", channelData={"team": "red"}))
    assert await storage.states() == counted


async def test_an_activity_without_a_user_has_no_user_state_and_runs_all_the_same(bench: Bench) -> None:
    bot = InProcess(bench.storage, counting)
    senders: list[dict[str, str] | None] = [None, {}]
    for sender in senders:
        await bot.run(bench.activity("event", **{"from": sender}))
    assert await bench.storage.states() == {C: {"count": 2}}
    assert {key for call in bench.storage.calls for key in call.keys} == {C}


async def test_an_activity_without_an_id_is_none_that_was_delivered_before(bench: Bench) -> None:
    bot = InProcess(bench.storage, counting)
    for _ in range(3):
        await bot.run(bench.message(id=None))
    assert bot.texts == ["hi 1", "hi 2", "hi 3"]
    assert await bench.storage.states() == {C: {"count": 3}}


async def test_the_sdks_own_state_classes_are_refused_with_the_name_of_ours() -> None:
    with pytest.raises(TypeError, match=r"ConversationState .*bots\.state"):
        TurnTransaction(BenchStorage(), Stock(StockMemory()))
