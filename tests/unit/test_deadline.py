"""A delivery is answered before the channel gives it up, whatever takes long in it."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from botbuilder.core import Bot, TurnContext
from botframework.connector.auth import JwtTokenExtractor

from bots import credentials
from bots.credentials import BotCredentialsFactory, BotIdentity, NotSignedIn
from bots.signing_keys import SigningKeys
from bots.state import ConversationState, UserState
from bots.turn import deadline
from bots.turn.deadline import delivery, time_to_decide, time_to_reply
from bots.turn.errors import TurnTooSlow
from tests.internet import internet
from tests.issuers import APP_ID, channel_claims
from tests.unit import turn_bench
from tests.unit.http_channel import MEMORY, channel
from tests.unit.turn_bench import Bench, C, count

DECIDED, REPLYING = 1.0, 0.3  # seconds
QUICK = 4.0  # seconds; every bound of a single step but the delivery's is longer
IN_TIME = replace(MEMORY, turn_timeout=DECIDED)
Turn = Callable[[TurnContext], Awaitable[None]]


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadline, "REPLYING", REPLYING)
    monkeypatch.setattr(turn_bench, "MEMORY", IN_TIME)


@contextmanager
def quickly() -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < QUICK


async def hang(*_anything: Any) -> Any:
    await asyncio.Event().wait()


async def one_and_two(context: TurnContext, conversation: ConversationState, _user: UserState) -> None:
    """Says two things; changes something where it is asked to."""
    if context.activity.text == "count":
        await count(context, conversation)
    for text in ("one", "two"):
        await context.send_activity(text)


@pytest.mark.parametrize("text", ["count", "only say something"])
async def test_a_reply_that_takes_too_long_is_left_to_arrive_and_the_next_delivery_sends_the_rest(
    bench: Bench, text: str
) -> None:
    replica, message = await bench.of(one_and_two), bench.message(text)
    bench.connector.may_answer.clear()
    with quickly():
        answer = await replica.post(message)
    assert (answer.status, answer.headers["Retry-After"]) == (502, "1")
    again = asyncio.create_task(replica.status(message))
    await asyncio.wait([again], timeout=DECIDED / 2)
    assert bench.connector.texts == ["one"]
    bench.connector.may_answer.set()
    assert await again == 201
    assert bench.connector.texts == ["one", "two"]
    assert await replica.status(message) == 201
    assert bench.connector.texts == ["one", "two"]


async def test_a_reply_on_its_way_does_not_hold_the_conversation(bench: Bench) -> None:
    replica = await bench.of(one_and_two)
    bench.connector.may_answer.clear()
    assert await replica.status(bench.message("count")) == 502
    bench.connector.may_answer.set()
    with quickly():
        assert await replica.status(bench.message("count")) == 201
    assert (await bench.storage.states())[C] == {"count": 2}


async def test_a_reply_that_fails_when_nobody_waits_for_it_is_no_error_of_the_process(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    replica, message = await bench.of(one_and_two), bench.message("count")
    bench.connector.may_answer.clear()
    assert await replica.status(message) == 502
    bench.connector.fails = True
    bench.connector.may_answer.set()
    await bench.settled(replica)
    gc.collect()
    assert not [record for record in caplog.records if record.name == "asyncio"]
    bench.connector.fails = False
    assert await replica.status(message) == 201
    assert bench.connector.texts == ["one", "one", "two"]


async def test_shutting_down_waits_for_a_reply_on_its_way_and_begins_no_other(bench: Bench) -> None:
    replica, message = await bench.of(one_and_two), bench.message("count")
    bench.connector.may_answer.clear()
    assert await replica.status(message) == 502
    ending = asyncio.create_task(bench.settled(replica))
    assert not (await asyncio.wait([ending], timeout=0.1))[0]
    bench.connector.may_answer.set()
    await ending
    assert bench.connector.texts == ["one"]


async def test_an_apology_that_takes_too_long_is_502(bench: Bench) -> None:
    async def logic(_context: TurnContext, _conversation: ConversationState, _user: UserState) -> None:
        raise ZeroDivisionError

    replica = await bench.of(logic)
    bench.connector.may_answer.clear()
    with quickly():
        assert await replica.status(bench.message()) == 502


async def test_a_turn_that_is_not_decided_in_time_is_503(bench: Bench) -> None:
    with quickly():
        assert await (await bench.of(hang)).status(bench.message()) == 503


async def test_a_body_that_does_not_come_in_time_is_408() -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"{"
        await hang()

    async with channel(using=IN_TIME) as bot:
        with quickly():
            assert (await bot.post(body())).status == 408


async def test_a_token_that_cannot_be_checked_in_time_is_503(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(JwtTokenExtractor, "metadataCache", {})
    monkeypatch.setattr(SigningKeys, "get", hang)
    guarded = replace(IN_TIME, app_id=APP_ID, app_password="none")  # noqa: S106
    async with internet(tmp_path) as net, channel(using=guarded) as bot:
        token = net.channels.sign(channel_claims(bot.service_url))
        with quickly():
            answer = await bot.post(bot.body(channelId="msteams"), Authorization=f"Bearer {token}")
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        assert not bot.turns


class HangingSignIn:
    """Stands for azure-identity's credential."""

    async def get_token(self, *_scopes: str) -> AccessToken:
        return await hang()  # type: ignore[no-any-return]

    async def close(self) -> None:
        """Nothing is open."""


async def test_signing_in_has_what_time_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "_sign_in", lambda _identity: HangingSignIn())
    factory = BotCredentialsFactory(BotIdentity(APP_ID, "none", "MultiTenant", None))
    with quickly(), delivery(DECIDED), pytest.raises(NotSignedIn):
        await factory.create_credentials(APP_ID, "scope", "", validate_authority=True)


async def test_a_proactive_turn_has_the_time_of_the_setting() -> None:
    answered, proactive = asyncio.Event(), list[asyncio.Task[None]]()

    class Proactive(Bot):
        def __init__(self, *_states: object) -> None:
            """It has no state."""

        async def on_turn(self, context: TurnContext) -> None:
            reference = TurnContext.get_conversation_reference(context.activity)
            adapter: Any = context.adapter

            async def later() -> None:
                await answered.wait()
                await adapter.continue_conversation(reference, hang, "")

            proactive.append(asyncio.create_task(later()))

    async with channel(Proactive, IN_TIME) as bot:
        assert (await bot.post(bot.body())).status == 201
        answered.set()
        with quickly(), pytest.raises(TurnTooSlow):
            await proactive[0]


async def test_the_replies_of_a_turn_that_took_all_its_time_have_some_too() -> None:
    with delivery(0.0):
        decided, replied = time_to_decide().when(), time_to_reply().when()
    assert decided is not None
    assert replied == pytest.approx(decided + REPLYING)


async def test_the_time_of_a_delivery_bounds_no_task_that_outlives_it_and_no_turn_without_one() -> None:
    over = asyncio.Event()

    async def bounds() -> list[float | None]:
        await over.wait()
        return [time_to_decide().when(), time_to_reply().when()]

    with delivery(0.0):
        assert None not in [time_to_decide().when(), time_to_reply().when()]
        task = asyncio.create_task(bounds())
    over.set()
    assert await task == await bounds() == [None, None]
