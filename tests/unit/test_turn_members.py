"""A conversation's record of who took part: whole, or it says so; small; as another package reads it."""

from __future__ import annotations

import pytest
from botbuilder.core import TurnContext

from bots.state import ConversationState
from bots.turn.conversation import Conversation, build_conversation, parse_conversation
from bots.turn.digests import digest_of
from bots.turn.ledger import Ledger
from bots.turn.members import Members
from bots.turn.middleware import TurnTransaction
from storage import Document, StateDecodeError, Write
from storage.cli.record import digest_of as digest_in_a_record
from storage.cli.record import record_of
from storage.contract import ABSENT, JsonObject
from storage.memory import MemoryStorage
from tests.unit.turns import new_turn

KEY = "test/conversations/c1"


async def say(store: MemoryStorage, *users: str) -> None:
    state = ConversationState(store)
    count = state.create_property("count")
    turns = TurnTransaction(store, state)
    for number, user in enumerate(users):
        context = new_turn()
        context.activity.id, context.activity.from_property.id = f"a{number}", user

        async def logic(context: TurnContext = context) -> None:
            await count.set(context, await count.get(context, 0) + 1)

        await turns.on_turn(context, logic)
    await turns.aclose()


@pytest.mark.parametrize("users", [["u1"] * 4, ["u1", "u2", "u1", "ü\udc80/\n"]])
async def test_everybody_whose_turn_committed_is_recorded_once_and_the_bot_is_not(users: list[str]) -> None:
    async with MemoryStorage() as store:
        await say(store, *users, "bot")
        record = record_of(KEY, (await store.load([KEY]))[KEY].value)

    assert record is not None
    assert record.is_whole
    assert record.members == {digest_in_a_record(user) for user in users}


async def test_a_conversation_that_a_stock_bot_began_says_that_there_may_be_others() -> None:
    async with MemoryStorage() as store:
        await store.save({KEY: Write({"count": 1}, ABSENT)})
        await say(store, "u1", "u1")
        turn = (await store.load([KEY]))[KEY].value["$turn"]

    assert (turn["members"], turn["more"]) == (digest_of("u1"), True)


def test_one_user_costs_a_few_characters_whatever_the_id() -> None:
    talked = Conversation().next({}, Ledger(), {}, 0.0, ["x" * 2_000])
    assert build_conversation(talked)["$turn"]["members"] == digest_of("x" * 2_000)
    assert len(digest_of("x" * 2_000)) == 11


def test_a_record_that_is_broken_is_told() -> None:
    value = {"$turn": {"ledger": [], "seen": {}, "members": "x"}}
    with pytest.raises(StateDecodeError, match="members"):
        parse_conversation(KEY, Document(value, "1"))
    with pytest.raises(StateDecodeError, match="members"):
        record_of(KEY, value)


def test_a_record_of_before_is_not_whole() -> None:
    value: JsonObject = {"$turn": {"ledger": [], "seen": {}}}
    assert parse_conversation(KEY, Document(value, "1")).members == Members(more=True)
