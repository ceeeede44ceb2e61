"""State with an Entra identity: no key anywhere, a token from the endpoint that Azure gives a managed identity."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from infra.local.bot_process import BotDidNotStartError
from infra.local.channel import Channel
from infra.local.emulators import azurite_for_identities, cosmos
from tests.certificates import certificate as certificate_of
from tests.e2e.conftest import Environment, Start

CLIENT_ID = "11111111-2222-3333-4444-555555555555"
HEADER = "the header that only this machine's processes know"


class IdentityEndpoint:
    """What App Service and Container Apps give a process with a managed identity."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.status = 200

    async def token(self, request: web.Request) -> web.Response:
        if request.headers.get("X-IDENTITY-HEADER") != HEADER:
            return web.json_response({"error": "unauthorized"}, status=401)
        self.asked.append(dict(request.query))
        if self.status != 200:
            return web.json_response({"error": "no such identity"}, status=self.status)
        resource, expires = request.query["resource"], int(time.time()) + 3600
        token = {"access_token": _token(resource, expires), "token_type": "Bearer"}
        return web.json_response({**token, "resource": resource, "expires_on": expires})


@pytest.fixture
async def identity(machine: Environment) -> AsyncIterator[IdentityEndpoint]:
    """The endpoint, running; `machine` knows where."""
    endpoint = IdentityEndpoint()
    app = web.Application()
    app.router.add_get("/token", endpoint.token)
    async with TestServer(app) as server:
        machine |= {
            "IDENTITY_ENDPOINT": str(server.make_url("/token")),
            "IDENTITY_HEADER": HEADER,
            "AZURE_CLIENT_ID": CLIENT_ID,
        }
        yield endpoint


@pytest.fixture(params=[pytest.param("blob", marks=pytest.mark.blob), pytest.param("cosmos", marks=pytest.mark.cosmos)])
def keyless(request: pytest.FixtureRequest, machine: Environment, tmp_path: Path) -> Iterator[Environment]:
    """The environment of a process that has no key to its storage."""
    certificate, private_key = certificate_of(tmp_path)
    start: Callable[[], AbstractContextManager[dict[str, str]]] = {
        "blob": lambda: azurite_for_identities(certificate, private_key),
        "cosmos": cosmos,
    }[request.param]
    with start() as settings:
        settings.pop("COSMOS_KEY", None)
        yield machine | settings | {"SSL_CERT_FILE": str(certificate)}


async def test_a_bot_without_a_key_knows_the_name_after_kill_9(
    channel: Channel, start: Start, keyless: Environment, identity: IdentityEndpoint, machine: Environment
) -> None:
    environment = keyless | machine
    conversation = channel.conversation()
    async with start(environment) as bot:
        for text in ("hi", "Ada"):
            await conversation.say(text, "u1", bot.url)
        await bot.kill()
    async with start(environment) as bot:
        assert (await conversation.say("still me?", "u1", bot.url))[0] == "Ada sent: still me?"
    assert {each["client_id"] for each in identity.asked} == {CLIENT_ID}


@pytest.mark.parametrize("status", [400, 403])
async def test_an_identity_that_is_refused_stops_the_start_with_one_line(
    start: Start, keyless: Environment, identity: IdentityEndpoint, machine: Environment, status: int
) -> None:
    identity.status = status
    with pytest.raises(BotDidNotStartError) as said:
        async with start(keyless | machine):
            pass
    assert "AZURE_CLIENT_ID" in str(said.value)
    assert "Traceback" not in str(said.value)


def _token(audience: str, expires: int) -> str:
    claims: dict[str, Any] = {
        "aud": audience,
        "iss": "https://sts.windows.net/00000000-0000-0000-0000-000000000001/",
        "iat": expires - 3700,
        "nbf": expires - 3700,
        "exp": expires,
    }
    return jwt.encode(claims, "nobody checks this signature here, it is long enough", algorithm="HS256")
