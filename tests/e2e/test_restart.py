"""What the bot was told survives its process: killed, replaced, or one of several."""

from __future__ import annotations

import asyncio
import signal
import socket
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientConnectionError

from infra.local.bot_process import BotProcess
from infra.local.channel import Channel, Conversation
from tests.e2e.conftest import Environment, Start

WELCOME = "Welcome to State Bot Sample. Type anything to get started."
ASK = "What is your name?"
THANKS = "Thanks {}. To see conversation data, type anything."


def assert_shows(replies: list[str], name: str, text: str) -> None:
    """Assert that the replies are those to a user whose name the bot knows."""
    sent, received_at, received_from = replies
    assert sent == f"{name} sent: {text}"
    assert received_at.startswith("Message received at: 20")
    assert received_from == "Message received from: emulator"


async def introduce(conversation: Conversation, name: str, user: str, bot: BotProcess) -> None:
    assert await conversation.say("Hi", user, bot.url) == [ASK]
    assert await conversation.say(name, user, bot.url) == [THANKS.format(name)]


async def listens_no_more(bot: BotProcess) -> None:
    """Return when another could listen at the bot's address."""
    url = urlsplit(bot.url)
    async with asyncio.timeout(20):
        while not is_free(url.hostname or "", url.port or 0):  # noqa: ASYNC110 - no event of another process
            await asyncio.sleep(0.01)


def is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


async def test_conversation_goes_on_after_kill_9(
    durable_environment: Environment, start: Start, channel: Channel
) -> None:
    conversation = channel.conversation()
    async with start(durable_environment) as first:
        assert await conversation.join("u1", first.url) == [WELCOME]
        assert await conversation.say("Hi", "u1", first.url) == [ASK]
        await first.kill()
    async with start(durable_environment) as second:  # it knows that it has asked
        assert await conversation.say("Ada Ünal 李", "u1", second.url) == [THANKS.format("Ada Ünal 李")]
        await second.kill()
    async with start(durable_environment) as third:
        assert_shows(await conversation.say("still there?", "u1", third.url), "Ada Ünal 李", "still there?")
        elsewhere = channel.conversation()
        assert_shows(await elsewhere.say("and here?", "u1", third.url), "Ada Ünal 李", "and here?")


async def test_kill_9_in_the_middle_of_a_turn_leaves_what_was_stored_before(
    durable_environment: Environment, start: Start, channel: Channel
) -> None:
    conversation = channel.conversation()
    async with start(durable_environment) as first:
        await introduce(conversation, "Ada", "u1", first)
        message = conversation.message("in flight", "u1")
        with channel.holding_answers():
            turn = asyncio.create_task(channel.deliver(message, first.url))
            assert await channel.replies(message, 1) == ["Ada sent: in flight"]
            await first.kill()
            with pytest.raises(ClientConnectionError):
                await turn
    async with start(durable_environment) as second:
        answer = await channel.deliver(message, second.url)  # as a channel does that got no answer
        assert answer.status == 201
        assert_shows(channel.texts(message)[1:], "Ada", "in flight")


async def test_name_given_in_a_killed_turn_is_taken_from_its_redelivery(
    durable_environment: Environment, start: Start, channel: Channel
) -> None:
    conversation = channel.conversation()
    async with start(durable_environment) as first:
        assert await conversation.say("Hi", "u1", first.url) == [ASK]
        message = conversation.message("Ada", "u1")
        with channel.holding_answers():
            turn = asyncio.create_task(channel.deliver(message, first.url))
            await channel.replies(message, 1)
            await first.kill()
            with pytest.raises(ClientConnectionError):
                await turn
    async with start(durable_environment) as second:
        assert (await channel.deliver(message, second.url)).status == 201
        assert channel.texts(message)[1:] == [THANKS.format("Ada")]
        assert_shows(await conversation.say("ok", "u1", second.url), "Ada", "ok")


async def test_second_user_of_a_conversation_is_somebody_else_after_the_restart(
    durable_environment: Environment, start: Start, channel: Channel
) -> None:
    conversation = channel.conversation()
    async with start(durable_environment) as first:
        await introduce(conversation, "Ada", "u1", first)
        await first.kill()
    async with start(durable_environment) as second:
        await introduce(conversation, "Grace", "u2", second)
        await second.kill()
    async with start(durable_environment) as third:
        assert_shows(await conversation.say("a", "u1", third.url), "Ada", "a")
        assert_shows(await conversation.say("b", "u2", third.url), "Grace", "b")


async def test_two_processes_on_one_store_share_every_turn(
    durable_environment: Environment, start: Start, channel: Channel
) -> None:
    conversation = channel.conversation()
    async with start(durable_environment) as one, start(durable_environment) as other:
        assert await conversation.say("Hi", "u1", one.url) == [ASK]
        assert await conversation.say("Ada", "u1", other.url) == [THANKS.format("Ada")]
        assert_shows(await conversation.say("a", "u1", one.url), "Ada", "a")
        await one.kill()
        assert_shows(await conversation.say("b", "u1", other.url), "Ada", "b")


@pytest.mark.memory
async def test_memory_forgets_with_its_process(machine: Environment, start: Start, channel: Channel) -> None:
    conversation = channel.conversation()
    for _ in range(2):
        async with start(machine | {"STATE_STORAGE": "memory"}) as bot:
            await introduce(conversation, "Ada", "u1", bot)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
async def test_signal_lets_a_running_turn_finish_and_closes_everything(
    number: signal.Signals, any_environment: Environment, start: Start, channel: Channel
) -> None:
    conversation = channel.conversation()
    async with start(any_environment | {"HOST": "127.0.0.1"}) as bot:
        await introduce(conversation, "Ada", "u1", bot)
        message = conversation.message("last words", "u1")
        with channel.holding_answers():
            turn = asyncio.create_task(channel.deliver(message, bot.url))
            await channel.replies(message, 1)
            stop = asyncio.create_task(bot.stop(number))
            await listens_no_more(bot)  # so the signal has arrived
        assert (await turn).status == 201
        assert_shows(channel.texts(message), "Ada", "last words")
        assert await stop == 0
    assert all(" INFO bots." in line for line in bot.log.splitlines())
