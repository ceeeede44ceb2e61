"""The bot's process with an app id, its code and addresses those of production: who gets in, and who it is itself."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bots.signing_keys import ANSWER, RETRY
from infra.local.channel import Channel, Conversation
from tests.e2e.conftest import Environment, Start
from tests.e2e.identity import IdentityEndpoint
from tests.internet import BOTS_TOKEN, Internet, internet
from tests.issuers import APP_ID, CHANNELS, channel_claims, emulator_claims, new_key

TENANT = "99999999-0000-0000-0000-000000000001"
PASSWORD = "the~password~of~the~bot"
ON_TEAMS = {"channelId": "msteams"}


@pytest.fixture
async def net(tmp_path: Path) -> AsyncIterator[Internet]:
    async with internet(tmp_path) as found:
        yield found


@pytest.fixture
def guarded(machine: Environment, net: Internet, tmp_path: Path) -> Environment:
    identity = {"MicrosoftAppId": APP_ID, "MicrosoftAppPassword": PASSWORD}
    storage = {"STATE_STORAGE": "sqlite", "SQLITE_PATH": str(tmp_path / "state.db")}
    return machine | net.environment | identity | storage


def token_for(channel: Channel, net: Internet) -> str:
    return net.channels.sign(channel_claims(channel.service_url))


async def say(conversation: Conversation, text: str, url: str, token: str | None) -> tuple[int, list[str]]:
    message = conversation.message(text, "u1", **ON_TEAMS)
    answer = await conversation.channel.deliver(message, url, token)
    return answer.status, conversation.channel.texts(message)


@pytest.mark.parametrize(
    ("kind", "tenant"),
    [({}, "botframework.com"), ({"MicrosoftAppType": "SingleTenant"}, TENANT)],
    ids=["multi", "single"],
)
async def test_with_a_password_the_bot_signs_in_once_and_its_replies_bear_its_token(
    guarded: Environment, net: Internet, channel: Channel, start: Start, kind: Environment, tenant: str
) -> None:
    single = {"MicrosoftAppTenantId": TENANT} if kind else {}
    conversation, token = channel.conversation(), token_for(channel, net)
    async with start(guarded | kind | single) as bot:
        assert await say(conversation, "hi", bot.url, token) == (201, ["What is your name?"])
        for _ in range(5):
            assert (await say(conversation, "Ada", bot.url, token))[0] == 201
        assert await bot.stop() == 0
    (sign_in,) = net.sign_ins
    assert sign_in["path"] == f"/{tenant}/oauth2/v2.0/token"
    assert (sign_in["client_id"], sign_in["client_secret"]) == (APP_ID, PASSWORD)
    assert sign_in["scope"] == "https://api.botframework.com/.default"
    assert set(channel.authorizations) == {f"Bearer {BOTS_TOKEN}"}


async def test_a_managed_identity_needs_no_password_and_signs_in_once(
    guarded: Environment, net: Internet, channel: Channel, start: Start
) -> None:
    endpoint = IdentityEndpoint()
    async with endpoint.running() as where:
        del guarded["MicrosoftAppPassword"]
        msi = {"MicrosoftAppType": "UserAssignedMSI", "MicrosoftAppTenantId": TENANT}
        conversation, token = channel.conversation(), token_for(channel, net)
        async with start(guarded | msi | where) as bot:
            assert await say(conversation, "hi", bot.url, token) == (201, ["What is your name?"])
            assert (await say(conversation, "Ada", bot.url, token))[0] == 201
            assert await bot.stop() == 0
    (asked,) = endpoint.asked
    assert (asked["client_id"], asked["resource"]) == (APP_ID, "https://api.botframework.com")
    assert not net.sign_ins
    assert all(header.startswith("Bearer ey") for header in channel.authorizations)


async def test_while_the_bot_cannot_sign_in_a_message_is_503_and_the_next_delivery_is_answered(
    guarded: Environment, net: Internet, channel: Channel, start: Start
) -> None:
    token = token_for(channel, net)
    message = channel.conversation().message("hi", "u1", **ON_TEAMS)
    async with start(guarded) as bot:
        net.sign_in_status = 401
        answer = await channel.deliver(message, bot.url, token)
        assert (answer.status, answer.retry_after) == (503, 1)
        assert "sign in" in answer.text
        net.sign_in_status = 200
        assert (await channel.deliver(message, bot.url, token)).status == 201
    assert channel.texts(message) == ["What is your name?"]


async def test_while_the_issuer_hangs_callers_are_turned_away_together_and_let_in_once_it_answers(
    guarded: Environment, net: Internet, channel: Channel, start: Start
) -> None:
    token = token_for(channel, net)
    async with start(guarded) as bot:
        net.may_answer.clear()
        async with asyncio.timeout(2 * ANSWER):  # one after the other they would take six times as long
            turned_away = await asyncio.gather(
                *(say(channel.conversation(), "hi", bot.url, token) for _ in range(12)),
            )
        assert turned_away == [(503, [])] * 12
        net.may_answer.set()
        await asyncio.sleep(RETRY + 0.1)  # for so long it is left alone
        assert await say(channel.conversation(), "hi", bot.url, token) == (201, ["What is your name?"])


async def test_a_stranger_is_401_leaves_no_trace_in_the_storage_and_makes_one_line_each(
    guarded: Environment, net: Internet, channel: Channel, start: Start, tmp_path: Path
) -> None:
    conversation, url = channel.conversation(), channel.service_url
    strangers = [
        None,
        "not-a-token",
        net.channels.sign(channel_claims(url, aud="another")),
        net.channels.sign(channel_claims(url, exp=int(time.time()) - 400)),
        net.channels.sign(channel_claims("https://smba.trafficmanager.net/emea/")),
        net.channels.sign(channel_claims(url), key=new_key("stranger")),
        net.entra.sign(emulator_claims(aud=CHANNELS)),
    ]
    async with start(guarded) as bot:
        for token in strangers:
            assert await say(conversation, "let me in", bot.url, token) == (401, [])
        assert await bot.stop() == 0
    with sqlite3.connect(tmp_path / "state.db") as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        assert all(database.execute(f'SELECT count(*) FROM "{table}"').fetchone() == (0,) for table in tables)  # noqa: S608
    database.close()
    assert not channel.received
    assert not net.sign_ins
    assert len(bot.log.splitlines()) == len(strangers)
    assert not any(token in bot.log for token in strangers if token)
