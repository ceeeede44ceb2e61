"""The bot's process and a channel that is slow to take its replies."""

from __future__ import annotations

import asyncio
import time

from infra.local.channel import BOT, Channel
from tests.e2e.conftest import Environment, Start

TURN_SECONDS, ANSWERED = 2, 4.0  # what is decided late has two seconds for its replies
MEMBERS = 6
WELCOME = "Welcome to State Bot Sample. Type anything to get started."


async def test_a_turn_with_many_slow_replies_is_answered_in_time_and_each_reply_arrives_once(
    machine: Environment, start: Start, channel: Channel
) -> None:
    conversation = channel.conversation()
    members = [BOT, *({"id": f"u{number}", "name": "User"} for number in range(MEMBERS))]
    update = conversation.activity("conversationUpdate", "u1", membersAdded=members)
    limits = {"TURN_TIMEOUT": str(TURN_SECONDS), "REPLY_TIMEOUT": "15"}
    async with start(machine | {"STATE_STORAGE": "memory"} | limits) as bot:
        with channel.holding_answers():
            began = time.monotonic()
            answer = await channel.deliver(update, bot.url)
            took = time.monotonic() - began
            assert (answer.status, answer.retry_after) == (502, 1)
            assert ANSWERED <= took < ANSWERED + 2
            again = asyncio.create_task(channel.deliver(update, bot.url))
            assert not (await asyncio.wait([again], timeout=0.5))[0]
            assert len(channel.received) == 1
        assert (await again).status == 201
        assert await bot.stop() == 0
    assert [reply["text"] for reply in channel.received] == [WELCOME] * MEMBERS
