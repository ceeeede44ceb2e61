"""State with an Entra identity, under the settings of the templates in infra/: no key anywhere, a token from the
endpoint that Azure gives a managed identity."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiohttp import ClientSession
from azure.cosmos import CosmosClient, PartitionKey
from azure.storage.blob import BlobServiceClient

from bots.credentials import BotCredentialsFactory, BotIdentity
from infra.local.bot_process import BotDidNotStartError, BotProcess
from infra.local.channel import Answer, Channel, Conversation
from infra.local.emulators import AZURITE_ACCOUNT, AZURITE_KEY, azurite_for_identities, cosmos
from tests.certificates import certificate
from tests.e2e.conftest import Environment, Start
from tests.e2e.identity import IdentityEndpoint, Place, RoleCheck, Trouble
from tests.infra.production import CLIENT_ID, up

SOON = {"TURN_TIMEOUT": "2"}  # seconds: long enough for a turn, and nobody waits longer for one that cannot be


@pytest.fixture
async def identity(machine: Environment) -> AsyncIterator[IdentityEndpoint]:
    """The endpoint, running; `machine` knows where."""
    endpoint = IdentityEndpoint()
    async with endpoint.running() as variables:
        machine |= variables
        yield endpoint


@pytest.fixture
def on_blob(machine: Environment, identity: IdentityEndpoint, tmp_path: Path) -> Iterator[Place]:
    """On Azurite, which looks at the tokens."""
    trusted = certificate(tmp_path)
    with azurite_for_identities(*trusted) as found:
        told = up({"STORAGE_BACKEND": "blob"}).environment | machine | found | {"SSL_CERT_FILE": str(trusted[0])}
        url = found["BLOB_ACCOUNT_URL"]
        said = (
            f"DefaultEndpointsProtocol=https;AccountName={AZURITE_ACCOUNT};AccountKey={AZURITE_KEY};BlobEndpoint={url}"
        )
        with BlobServiceClient.from_connection_string(said, connection_verify=str(trusted[0])) as client:
            client.create_container(told["BLOB_CONTAINER"])
        yield Place(told, url.removesuffix(f"/{AZURITE_ACCOUNT}"), trusted)


@pytest.fixture
def on_cosmos(machine: Environment, identity: IdentityEndpoint, tmp_path: Path) -> Iterator[Place]:
    """On the Cosmos server, which takes any token."""
    with cosmos() as found:
        told = up({}).environment | machine | {"COSMOS_ENDPOINT": found["COSMOS_ENDPOINT"]}
        with warnings.catch_warnings(action="ignore"):  # of a certificate that nobody checks
            client = CosmosClient(found["COSMOS_ENDPOINT"], found["COSMOS_KEY"], connection_verify=False)
            with client:
                database = client.create_database(told["COSMOS_DATABASE"])
                database.create_container(told["COSMOS_CONTAINER"], PartitionKey("/id"))
        yield Place(told, found["COSMOS_ENDPOINT"].rstrip("/"), certificate(tmp_path))


@pytest.fixture(params=[pytest.param("blob", marks=pytest.mark.blob), pytest.param("cosmos", marks=pytest.mark.cosmos)])
def place(request: pytest.FixtureRequest, identity: IdentityEndpoint) -> Place:
    """Each of them."""
    found: Place = request.getfixturevalue(f"on_{request.param}")
    return found


async def get(bot: BotProcess, path: str) -> Answer:
    """What the bot answers at a path."""
    async with ClientSession() as session, session.get(bot.url.replace("/api/messages", path)) as response:
        return Answer(response.status, await response.text())


async def delivered(channel: Channel, conversation: Conversation, text: str, bot: BotProcess) -> Answer:
    """What the bot answers to a message."""
    return await channel.deliver(conversation.message(text, "u1"), bot.url)


async def test_a_production_starts_is_ready_and_lets_nobody_in_without_a_token(
    channel: Channel, start: Start, place: Place
) -> None:
    async with start(place.environment) as bot:
        assert (await get(bot, "/readyz")).status == 200
        assert (await delivered(channel, channel.conversation(), "hi", bot)).status == 401
        assert await bot.stop() == 0


async def test_a_bot_without_a_key_knows_the_name_after_kill_9(
    channel: Channel, start: Start, place: Place, identity: IdentityEndpoint
) -> None:
    conversation = channel.conversation()
    async with start(place.local) as bot:
        for text in ("hi", "Ada"):
            await conversation.say(text, "u1", bot.url)
        await bot.kill()
    async with start(place.local) as bot:
        assert (await conversation.say("still me?", "u1", bot.url))[0] == "Ada sent: still me?"
    assert {each["client_id"] for each in identity.asked} == {CLIENT_ID}


@pytest.mark.blob
async def test_a_bot_fetches_a_new_token_when_its_own_has_ended(
    channel: Channel, start: Start, on_blob: Place, identity: IdentityEndpoint
) -> None:
    identity.lifetime = 2
    conversation = channel.conversation()
    async with start(on_blob.local) as bot, asyncio.timeout(30):
        while len(identity.asked) < 3:  # a token may end on its way: then the channel delivers again
            assert (await delivered(channel, conversation, "hi", bot)).status in (201, 503)
        identity.lifetime = 3600
        while (await delivered(channel, conversation, "hi", bot)).status == 503:
            pass
        assert await conversation.say("hi", "u1", bot.url)


@pytest.mark.parametrize("trouble", ["400", "403", "down", "slow"])
async def test_an_endpoint_in_trouble_stops_the_start_with_one_line(
    start: Start, place: Place, identity: IdentityEndpoint, trouble: Trouble
) -> None:
    identity.trouble = trouble
    with pytest.raises(BotDidNotStartError) as said:
        async with start(place.environment):
            pass
    assert "AZURE_CLIENT_ID" in str(said.value)
    assert "Traceback" not in str(said.value)
    assert len(str(said.value).splitlines()) <= 3


@pytest.mark.parametrize("trouble", ["403", "down", "slow"])
async def test_a_bot_lives_on_the_token_it_has_then_answers_503_and_recovers_with_the_endpoint(
    channel: Channel, start: Start, place: Place, identity: IdentityEndpoint, trouble: Trouble
) -> None:
    identity.lifetime = 3
    conversation = channel.conversation()
    async with start(place.local | SOON) as bot:
        identity.trouble = trouble
        async with asyncio.timeout(20):
            while (answer := await delivered(channel, conversation, "hi", bot)).status != 503:
                assert answer.status == 201
        assert answer.retry_after is not None
        assert (await get(bot, "/healthz")).status == 200
        identity.trouble, identity.lifetime = "", 3600
        assert await conversation.say("hi", "u1", bot.url)
        assert (await get(bot, "/readyz")).status == 200


async def test_a_missing_role_stops_the_start_with_one_line_that_says_so(start: Start, place: Place) -> None:
    role = RoleCheck(*place.trusted)
    role.assigned = role.metadata = False
    async with role.before(place.service) as url:
        with pytest.raises(BotDidNotStartError) as said:
            async with start(place.at(url)):
                pass
    assert "role" in str(said.value)
    assert "Traceback" not in str(said.value)


async def test_a_role_that_is_taken_away_makes_the_bot_unready_until_it_is_back(
    channel: Channel, start: Start, place: Place
) -> None:
    role, conversation = RoleCheck(*place.trusted), channel.conversation()
    async with role.before(place.service) as url, start(Place(place.at(url), url, place.trusted).local) as bot:
        await conversation.say("hi", "u1", bot.url)
        role.assigned = False
        assert (await delivered(channel, conversation, "Ada", bot)).status == 503
        ready = await get(bot, "/readyz")
        assert (ready.status, "role" in ready.text) == (503, True)
        assert (await get(bot, "/healthz")).status == 200
        role.assigned = True
        assert (await conversation.say("Bob", "u1", bot.url))[0].startswith("Thanks Bob")


async def test_the_channels_token_is_of_the_same_identity(
    machine: Environment, identity: IdentityEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER"):
        monkeypatch.setenv(name, machine[name])
    told = up({}).environment
    who = BotIdentity(told["MicrosoftAppId"], None, told["MicrosoftAppType"], told["MicrosoftAppTenantId"])
    factory = BotCredentialsFactory(who)
    scope = "https://api.botframework.com"
    credentials = await factory.create_credentials(CLIENT_ID, scope, "https://login.microsoftonline.com", True)
    assert credentials.get_access_token()
    await factory.aclose()
    assert [(each["resource"], each["client_id"]) for each in identity.asked] == [(scope, CLIENT_ID)]
