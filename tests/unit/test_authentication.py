"""With an app id, only the channels of this bot reach it: tokens signed by test keys, the issuers' real addresses."""

from __future__ import annotations

import base64
import dataclasses
import json
import logging
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from azure.core.credentials import AccessToken
from botbuilder.integration.aiohttp import ConfigurationBotFrameworkAuthentication
from botbuilder.schema import Activity
from botframework.connector.auth import AuthenticationConstants, JwtTokenExtractor
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bots import signing_keys
from bots.channel_auth import ChannelAuthentication
from bots.credentials import BotCredentialsFactory, BotIdentity
from bots.signing_keys import SigningKeys
from config import Settings
from tests.internet import Internet, internet
from tests.issuers import APP_ID, CHANNELS, EMULATOR, EMULATOR_2, channel_claims, emulator_claims, new_key
from tests.unit.http_channel import Channel, channel

PASSWORD = "ab~secret"
GUARDED = Settings(state_storage="memory", app_id=APP_ID, app_password=PASSWORD)
OTHER = "4d0f2c1e-0000-0000-0000-00000000000f"
Forge = Callable[[Internet, str], str]


@dataclasses.dataclass
class SignedIn:
    """The bot's own credential: where its token comes from is another test's matter."""

    async def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
        return AccessToken("of the bot", int(time.time()) + 3600)

    async def close(self) -> None: ...


@pytest.fixture
async def issuers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Internet]:
    monkeypatch.setattr("bots.credentials._sign_in", lambda _identity: SignedIn())
    monkeypatch.setattr(JwtTokenExtractor, "metadataCache", {})
    async with internet(tmp_path) as found:
        for name, value in found.environment.items():
            monkeypatch.setenv(name, value)
        yield found


@pytest.fixture
async def guarded(issuers: Internet) -> AsyncIterator[Channel]:
    async with channel(using=GUARDED) as found:
        yield found


Changes = dict[str, Any] | None


def of_channel(changes: Changes = None, *, seconds: dict[str, int] | None = None, **options: Any) -> Forge:
    """A channel's token with `changes`, and claims that are `seconds` from the moment of the test."""
    return lambda net, url: net.channels.sign(channel_claims(url, **_at(changes, seconds)), **options)


def of_emulator(changes: Changes = None, *, seconds: dict[str, int] | None = None, **options: Any) -> Forge:
    return lambda net, _url: net.entra.sign(emulator_claims(**_at(changes, seconds)), **options)


def _at(changes: Changes, seconds: dict[str, int] | None) -> dict[str, Any]:
    now = int(time.time())
    return {**(changes or {}), **{claim: now + offset for claim, offset in (seconds or {}).items()}}


def public_pem(net: Internet) -> bytes:
    return net.channels.keys["channels"][0].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def hs256(net: Internet, url: str) -> str:
    """The classic: the public key as the secret of a symmetric signature."""
    head, body = (_b64({"alg": "HS256", "typ": "JWT", "kid": "channels"}), _b64(channel_claims(url)))
    signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    return f"{head}.{body}.{_b64(signature.sign(f'{head}.{body}'.encode(), public_pem(net)))}"


def tampered(net: Internet, url: str) -> str:
    head, _, signature = net.channels.sign(channel_claims("https://example.com")).split(".")
    return f"{head}.{_b64(channel_claims(url))}.{signature}"


def damaged(net: Internet, url: str) -> str:
    token = net.channels.sign(channel_claims(url))
    return token[:-10] + ("A" if token[-10] != "A" else "B") + token[-9:]


def _b64(value: dict[str, Any] | bytes) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def without_signature(net: Internet, url: str) -> str:
    return net.channels.sign(channel_claims(url)).rpartition(".")[0] + "."


def of_nobody(_net: Internet, url: str) -> str:
    return f"{_b64({'alg': 'none', 'typ': 'JWT', 'kid': 'channels'})}.{_b64(channel_claims(url))}."


REFUSED: dict[str, tuple[str, Forge]] = {
    "no audience": ("msteams", of_channel({"aud": None})),
    "another bot's": ("msteams", of_channel({"aud": OTHER})),
    "several audiences": ("msteams", of_channel({"aud": [APP_ID, OTHER]})),
    "the app id in capitals": ("msteams", of_channel({"aud": APP_ID.upper()})),
    "no issuer": ("msteams", of_channel({"iss": None})),
    "another issuer": ("msteams", of_channel({"iss": "https://example.com"})),
    "an issuer that looks like it": ("msteams", of_channel({"iss": CHANNELS + "/"})),
    "the Emulator's issuer, the channels' key": ("msteams", of_channel({"iss": EMULATOR})),
    "a key that the issuer does not have": (
        "msteams",
        lambda net, url: net.channels.sign(channel_claims(url), "unknown", key=new_key("unknown")),
    ),
    "another key under the name of one": ("msteams", of_channel(key=new_key("unknown"))),
    "no key named": (
        "msteams",
        lambda net, url: jwt.encode(channel_claims(url), net.channels.keys["channels"][0], "RS256"),
    ),
    "algorithm none": ("msteams", of_nobody),
    "algorithm HS256 with the public key": ("msteams", hs256),
    "algorithm RS512": ("msteams", of_channel(algorithm="RS512")),
    "algorithm PS256": ("msteams", of_channel(algorithm="PS256")),
    "expired": ("msteams", of_channel(seconds={"exp": -400})),
    "not valid yet": ("msteams", of_channel(seconds={"nbf": 600})),
    "issued in the future": ("msteams", of_channel(seconds={"iat": 600})),
    "without an end": ("msteams", of_channel({"exp": None})),
    "another serviceUrl": ("msteams", of_channel({"serviceurl": "https://smba.trafficmanager.net/emea/"})),
    "no serviceUrl": ("msteams", of_channel({"serviceurl": None})),
    "a serviceUrl with a slash more": (
        "msteams",
        lambda net, url: net.channels.sign(channel_claims(url + "/")),
    ),
    "other claims under the signature": ("msteams", tampered),
    "a damaged signature": ("msteams", damaged),
    "no signature": ("msteams", without_signature),
    "a key that does not endorse the channel": ("slack", of_channel()),
    "a channel's token on the Emulator's channel": ("emulator", of_channel()),
    "the Emulator's, of another app": ("emulator", of_emulator({"appid": OTHER, "aud": OTHER})),
    "the Emulator's, without a version": ("emulator", of_emulator({"ver": None})),
    "the Emulator's, of an unknown version": ("emulator", of_emulator({"ver": "3.0"})),
    "the Emulator's, expired": ("emulator", of_emulator(seconds={"exp": -400})),
    "the Emulator's, with another key": ("emulator", of_emulator(key=new_key("unknown"))),
    "the Emulator's, for another channel": ("msteams", of_emulator()),
    "the bot's own token, sent back": ("emulator", of_emulator({"aud": CHANNELS})),
    "another bot that calls this one as a skill": ("msteams", of_emulator({"appid": OTHER})),
    "an anonymous skill": ("msteams", of_emulator({"appid": "AnonymousSkill"})),
}
TAKEN: dict[str, tuple[str, Forge]] = {
    "a channel's": ("msteams", of_channel()),
    "another channel's": ("directline", of_channel()),
    "a channel's, on a clock 4 minutes behind": ("msteams", of_channel(seconds={"exp": -240})),
    "a channel's, on a clock 4 minutes ahead": ("msteams", of_channel(seconds={"nbf": 240})),
    "the Emulator's": ("emulator", of_emulator()),
    "the Emulator's, version 2": ("emulator", of_emulator({"ver": "2.0", "iss": EMULATOR_2, "azp": APP_ID})),
}


@pytest.mark.parametrize("kind", TAKEN)
async def test_a_token_of_a_channel_of_this_bot_is_201_and_answered_with_the_bots_own(
    guarded: Channel, issuers: Internet, kind: str
) -> None:
    channel_id, forge = TAKEN[kind]
    token = forge(issuers, guarded.service_url)
    answer = await guarded.post(guarded.body(channelId=channel_id), Authorization=f"Bearer {token}")
    assert answer.status == 201
    assert guarded.texts() == ["What is your name?"]


@pytest.mark.parametrize("kind", REFUSED)
async def test_any_other_token_is_401_runs_nothing_stores_nothing_and_is_not_logged(
    guarded: Channel, issuers: Internet, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    channel_id, forge = REFUSED[kind]
    token = forge(issuers, guarded.service_url)
    with caplog.at_level(logging.INFO):
        answer = await guarded.post(guarded.body(channelId=channel_id), Authorization=f"Bearer {token}")
    assert answer.status == 401
    assert await answer.json() == {"error": "no valid token of a channel for this bot"}
    assert not guarded.turns
    assert not guarded.replies
    assert not guarded.storage._documents
    (line,) = [record for record in caplog.records if not record.name.startswith("aiohttp.access")]
    assert line.levelname == "WARNING"
    assert not any(part in caplog.text for part in token.split(".") if part)


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Bearer x", "Bearer a.b.c", "Basic YTpi", "bearer {}", "Bearer {} {}", "{}"],
)
async def test_a_request_without_a_token_in_its_place_is_401_and_the_bot_does_not_run(
    guarded: Channel, issuers: Internet, header: str | None
) -> None:
    token = issuers.channels.sign(channel_claims(guarded.service_url))
    headers = {} if header is None else {"Authorization": header.format(token, token)}
    answer = await guarded.post(guarded.body(channelId="msteams"), **headers)
    assert answer.status == 401
    assert PASSWORD not in await answer.text()
    assert not guarded.turns


async def test_a_key_that_endorses_no_channel_is_401(guarded: Channel, issuers: Internet) -> None:
    nobody: tuple[list[str] | None, ...] = (None, [])
    for endorsements in nobody:
        issuers.channels.keys["bare"] = new_key("bare"), endorsements
        token = issuers.channels.sign(channel_claims(guarded.service_url), "bare")
        answer = await guarded.post(guarded.body(channelId="msteams"), Authorization=f"Bearer {token}")
        assert answer.status == 401
    assert not guarded.turns


async def test_while_the_channels_keys_cannot_be_fetched_a_token_is_503_and_the_bot_does_not_run(
    guarded: Channel, issuers: Internet, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = issuers.channels.sign(channel_claims(guarded.service_url))
    message = guarded.body(channelId="msteams")
    issuers.is_up = False
    answer = await guarded.post(message, Authorization=f"Bearer {token}")
    assert answer.status == 503
    assert "Retry-After" in answer.headers
    assert not guarded.turns
    issuers.is_up = True
    monkeypatch.setattr(signing_keys, "RETRY", 0.0)
    assert (await guarded.post(message, Authorization=f"Bearer {token}")).status == 201


async def test_keys_are_fetched_once_for_many_requests_at_once(guarded: Channel, issuers: Internet) -> None:
    token = issuers.channels.sign(channel_claims(guarded.service_url))
    for _ in range(20):
        await guarded.post(guarded.body(channelId="msteams"), Authorization=f"Bearer {token}")
    forged = issuers.channels.sign(channel_claims(guarded.service_url), "unknown", key=new_key("unknown"))
    for _ in range(20):
        await guarded.post(guarded.body(channelId="msteams"), Authorization=f"Bearer {forged}")
    assert issuers.channels.asked == 1


async def test_with_authentication_off_a_token_is_not_taken_on_trust(issuers: Internet) -> None:
    async with channel() as local:
        token = issuers.channels.sign(channel_claims(local.service_url))
        answer = await local.post(local.body(channelId="msteams"), Authorization=f"Bearer {token}")
        assert answer.status == 401
        assert not local.turns


LET_THROUGH_BY_THE_SDK = ["without an end", "the Emulator's, for another channel", "the bot's own token, sent back"]


@pytest.mark.parametrize("kind", LET_THROUGH_BY_THE_SDK)
async def test_the_sdk_alone_takes_what_is_refused_here(issuers: Internet, kind: str) -> None:
    identity = BotIdentity(APP_ID, PASSWORD, "MultiTenant", None)
    ChannelAuthentication(identity, BotCredentialsFactory(identity))  # for its keys, which do not block
    channel_id, forge = REFUSED[kind]
    activity = Activity(channel_id=channel_id, service_url="https://example.com")
    token = forge(issuers, activity.service_url)
    stock = ConfigurationBotFrameworkAuthentication(identity)
    assert (await stock.authenticate_request(activity, f"Bearer {token}")).claims_identity.is_authenticated


def test_there_are_no_keys_but_ours_where_the_sdk_looks_for_them() -> None:
    identity = BotIdentity(APP_ID, PASSWORD, "MultiTenant", None)
    ChannelAuthentication(identity, BotCredentialsFactory(identity))
    for url in (
        AuthenticationConstants.TO_BOT_FROM_CHANNEL_OPENID_METADATA_URL,
        AuthenticationConstants.TO_BOT_FROM_EMULATOR_OPENID_METADATA_URL,
    ):
        assert isinstance(JwtTokenExtractor.get_open_id_metadata(url), SigningKeys)


def test_the_identity_does_not_show_its_password() -> None:
    assert PASSWORD not in repr(BotIdentity(APP_ID, PASSWORD, "MultiTenant", None))
