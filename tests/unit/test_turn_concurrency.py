"""Many messages at once: all are applied, in one order, over any number of processes."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from botbuilder.core import TurnContext

from bots.state import ConversationState, UserState
from tests.unit.turn_bench import TURN, Bench, C, D, Logic, count, counting


async def both(context: TurnContext, conversation: ConversationState, user: UserState) -> None:
    """Count in the conversation and in the user; answer twice."""
    numbers = f"{await count(context, conversation)} {await count(context, user)}"
    await context.send_activity(f"{context.activity.text}: {numbers}")
    await context.send_activity(f"{context.activity.text}, again")


async def test_of_50_messages_at_once_into_one_conversation_all_count_and_each_ones_replies_are_together(
    bench: Bench,
) -> None:
    replica = await bench.of(both)
    statuses = await asyncio.gather(*(replica.status(bench.message(f"m{number}")) for number in range(50)))
    assert statuses == [201] * 50
    assert (await bench.storage.states())[C] == {"count": 50}
    texts = bench.connector.texts
    assert [text.partition(":")[2].split()[0] for text in texts[::2]] == [str(number) for number in range(1, 51)]
    pairs = zip(texts[::2], texts[1::2], strict=True)
    assert all(again == first.partition(":")[0] + ", again" for first, again in pairs)


@pytest.mark.parametrize(("logic", "documents"), [(counting, [C]), (both, [C, D])], ids=["one", "two documents"])
async def test_of_50_messages_at_once_into_one_conversation_over_two_processes_all_count_and_few_writes_are_in_vain(
    bench: Bench, logic: Logic, documents: list[str]
) -> None:
    replicas, storages = [], []
    for _ in range(2):
        replicas.append(await bench.of(logic))
        storages.append(bench.storage)
    messages = [bench.message() for _ in range(50)]
    statuses = await asyncio.gather(*(replicas[at % 2].status(message) for at, message in enumerate(messages)))
    for replica in replicas:
        await bench.settled(replica)
    assert statuses == [201] * 50
    assert await bench.storage.states() == {key: {"count": 50} for key in documents}
    calls = [call for storage in storages for call in storage.calls if call.operation == "save"]
    assert sum(len(call.keys) for call in calls) <= 1.5 * 50 * len(documents)


async def test_a_conversation_does_not_wait_for_another(bench: Bench) -> None:
    go_on = asyncio.Event()

    async def logic(context: TurnContext, conversation: ConversationState, _user: UserState) -> None:
        if context.activity.text == "slow":
            await go_on.wait()
        await count(context, conversation)

    replica = await bench.of(logic)
    slow = asyncio.create_task(replica.status(bench.message("slow")))
    assert await replica.status(bench.message("fast", conversation={"id": "c2"})) == 201
    go_on.set()
    assert await slow == 201


async def test_over_two_processes_100_messages_of_several_users_and_conversations_count_exactly(bench: Bench) -> None:
    replicas = [await bench.of(both) for _ in range(2)]
    messages = [
        bench.message(f"m{number}", conversation={"id": f"c{number % 3}"}, **{"from": {"id": f"u{number % 4}"}})
        for number in range(100)
    ]
    pending = [(message, at % 2) for at, message in enumerate(messages)]
    for _ in range(20):  # as a channel does, until all are acknowledged
        statuses = await asyncio.gather(*(replicas[at].status(message) for message, at in pending))
        assert set(statuses) <= {201, 503}
        pending = [(message, 1 - at) for (message, at), status in zip(pending, statuses, strict=True) if status != 201]
        if not pending:
            break
    assert not pending
    for replica in replicas:
        await bench.settled(replica)
    conversations = Counter(f"emulator/conversations/{message['conversation']['id']}" for message in messages)
    users = Counter(f"emulator/users/{message['from']['id']}" for message in messages)
    counted = {key: state["count"] for key, state in (await bench.storage.states()).items()}
    assert counted == conversations + users
    first_replies = {text for text in bench.connector.texts if ":" in text}
    assert len(first_replies) == 100  # each message has one answer, however often it was sent
    numbered = Counter(reply.partition(": ")[2].split()[0] for reply in first_replies)
    assert numbered == Counter(str(number) for total in conversations.values() for number in range(1, total + 1))


async def test_the_queue_and_the_documents_keep_nothing_of_a_conversation_but_its_record(bench: Bench) -> None:
    replica = await bench.of(both)
    await asyncio.gather(*(replica.status(bench.message()) for _ in range(5)))
    await bench.settled(replica)
    for key, document in (await bench.storage.load(list((await bench.storage.states()).keys()))).items():
        assert document.value.keys() == {"count", TURN}, key
