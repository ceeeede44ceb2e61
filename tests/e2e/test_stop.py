"""A process that is told to end: its turns have all of SHUTDOWN_TIMEOUT, and what follows them has the rest of it."""

from __future__ import annotations

import asyncio
import time

import pytest

from infra.local.bot_process import APP
from infra.local.channel import Channel, Manner
from tests.e2e.conftest import Environment, Start

SECONDS = 4.0
TO_SPARE = 3.0  # for the interpreter to end, on a busy machine too; less than SECONDS
LIMITS = {"SHUTDOWN_TIMEOUT": str(SECONDS), "REPLY_TIMEOUT": "30", "TURN_TIMEOUT": "60", "PYTHONPATH": str(APP.parent)}
WORKS = """
import asyncio, app
from botbuilder.core import ActivityHandler
from bots.turn.replies import at_once

class Works(ActivityHandler):
    def __init__(self, *_states):
        super().__init__()

    async def on_message_activity(self, turn_context):
        with at_once():
            await turn_context.send_activity("begun")
        await asyncio.sleep(float(turn_context.activity.text))
        await turn_context.send_activity("done")

app.main(Works)
"""


@pytest.fixture
def environment(machine: Environment) -> Environment:
    return machine | {"STATE_STORAGE": "memory", "HOST": "127.0.0.1"} | LIMITS


@pytest.mark.parametrize("hangs", ["the bot", "the channel"])
async def test_a_turn_that_does_not_end_does_not_keep_the_process_for_longer(
    hangs: str, environment: Environment, start: Start, channel: Channel
) -> None:
    manners = iter([Manner(), Manner(seconds=60)])  # of the first reply, and of the second
    async with start(environment, "-c", WORKS) as bot:
        message = channel.conversation().message("60" if hangs == "the bot" else "0", "u1")
        with channel.behaving(lambda: next(manners)):
            turn = asyncio.create_task(channel.deliver(message, bot.url))
            await channel.replies(message, 1 if hangs == "the bot" else 2)
            began = time.monotonic()
            assert await bot.stop() == 0
            assert time.monotonic() - began < SECONDS + TO_SPARE
        await asyncio.gather(turn, return_exceptions=True)


async def test_a_turn_has_all_of_that_time(environment: Environment, start: Start, channel: Channel) -> None:
    async with start(environment, "-c", WORKS) as bot:
        message = channel.conversation().message(str(0.7 * SECONDS), "u1")
        turn = asyncio.create_task(channel.deliver(message, bot.url))
        await channel.replies(message, 1)
        assert await bot.stop() == 0
        assert (await turn).status == 201
    assert channel.texts(message) == ["begun", "done"]
