"""Replies over the compiled operations: the request, the result and the error that the SDK's own operations make."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import unquote

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from botbuilder.schema import Activity, Attachment, ChannelAccount
from botframework.connector.aio.operations_async import ConversationsOperations
from botframework.connector.auth import ClaimsIdentity
from botframework.connector.models import ErrorResponseException

from bots.connector.pool import ConnectorPool
from tests.unit.test_connector import NOBODY, authentication_of

REPLY = Activity(type="message", text="Zoë \U0001f600", from_property=ChannelAccount(id="bot", name="Bot"))
CARD = Activity(type="message", attachments=[Attachment(content_type="x", content={"a": [1, None, {"b": 1.5}]})])
IDS = ["c1", "a:1|livechat", "19:meeting@thread.v2;messageid=1", "with space/and?slash#%41", "ü", "x" * 2000, "{0}"]
DEEP = json.loads("[" * 300 + "]" * 300)
UNUSUAL = ["half a pair \ud83d", "\x00\x7f\u2028", float("inf"), 2**70, -0.0, 5e-324, DEEP, {"": {"\ud83d": None}}]
ANSWERS: dict[str, tuple[int, dict[str, Any]]] = {
    "an id": (200, {"body": b'{"id": "1"}', "content_type": "application/json"}),
    "created": (201, {"body": b'{"id": "1"}', "content_type": "application/json"}),
    "accepted": (202, {"body": b'{"id": "1"}', "content_type": "application/json"}),
    "no body": (200, {}),
    "an empty object": (200, {"body": b"{}", "content_type": "application/json"}),
    "more than an id": (200, {"body": b'{"id": "1", "more": 2}', "content_type": "application/json"}),
    "an id that is a number": (200, {"body": b'{"id": 1}', "content_type": "application/json"}),
    "a list": (200, {"body": b"[]", "content_type": "application/json"}),
    "broken JSON": (200, {"body": b"{", "content_type": "application/json"}),
    "a text": (200, {"body": b"ok", "content_type": "text/plain"}),
    "another success": (204, {}),
    "a redirect": (302, {"headers": {"Location": "/elsewhere"}}),
    "an error of the connector": (
        400,
        {"body": b'{"error": {"code": "BadArgument", "message": "no"}}', "content_type": "application/json"},
    ),
    "an error without a body": (403, {}),
}
SITES = ["", "/", "/amer/", "/a%2Fb/"]


class Channel:
    """Keeps what it is sent, and answers what it is told to."""

    def __init__(self) -> None:
        self.url = ""
        self.seen: list[tuple[str, str, dict[str, str], Any]] = []
        self.status, self.answer = ANSWERS["an id"]

    async def take(self, request: web.Request) -> web.Response:
        headers = {name: value for name, value in request.headers.items() if name != "Content-Length"}
        self.seen.append((request.method, unquote(request.raw_path), headers, await request.json()))
        return web.Response(status=self.status, **self.answer)


@pytest.fixture
async def channel() -> AsyncIterator[Channel]:
    channel = Channel()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", channel.take)
    async with TestServer(application) as server:
        channel.url = str(server.make_url("/"))
        yield channel


@pytest.fixture
async def pool() -> AsyncIterator[ConnectorPool]:
    pool = ConnectorPool(5.0)
    yield pool
    await pool.aclose()


async def outcome(pool: ConnectorPool, url: str, operations: type[Any], *arguments: Any, **options: Any) -> Any:
    """What an operation comes to: the class of the operations decides who makes the request."""
    factory = authentication_of(NOBODY, pool).create_connector_factory(ClaimsIdentity({}, True))
    made = (await factory.create(url, "a")).conversations
    if operations is ConversationsOperations:
        made = ConversationsOperations(made._client, made.config, made._serialize, made._deserialize)
    operation = made.reply_to_activity if len(arguments) == 3 else made.send_to_conversation
    try:
        result = await operation(*arguments, **options)
    except Exception as error:
        return type(error), str(error), getattr(getattr(error, "error", None), "error", None)
    return None if result is None else result.as_dict()


async def both(pool: ConnectorPool, channel: Channel, *arguments: Any, site: str = "") -> None:
    ours, of_sdk = [
        await outcome(pool, channel.url.rstrip("/") + site, operations, *arguments)
        for operations in (object, ConversationsOperations)
    ]
    assert ours == of_sdk
    if channel.seen:
        one, other = channel.seen[-2:]
        assert one == other


@pytest.mark.parametrize("conversation", IDS)
@pytest.mark.parametrize("activity", [REPLY, CARD])
async def test_a_reply_is_the_request_that_the_sdk_makes(
    pool: ConnectorPool, channel: Channel, conversation: str, activity: Activity
) -> None:
    await both(pool, channel, conversation, "m1", activity)
    await both(pool, channel, "c1", conversation, activity)
    await both(pool, channel, conversation, activity)
    assert len(channel.seen) == 6


@pytest.mark.parametrize("value", UNUSUAL)
async def test_unusual_values_arrive_as_the_sdk_sends_them(pool: ConnectorPool, channel: Channel, value: Any) -> None:
    await both(pool, channel, "c1", "m1", Activity(type="message", value=value))
    assert len(channel.seen) == 2


@pytest.mark.parametrize("site", SITES)
async def test_a_channel_may_live_anywhere_on_its_host(pool: ConnectorPool, channel: Channel, site: str) -> None:
    await both(pool, channel, "c1", "m1", REPLY, site=site)


@pytest.mark.parametrize("kind", ANSWERS)
async def test_an_answer_becomes_what_the_sdk_makes_of_it(pool: ConnectorPool, channel: Channel, kind: str) -> None:
    channel.status, channel.answer = ANSWERS[kind]
    await both(pool, channel, "c1", "m1", REPLY)
    await both(pool, channel, "c1", REPLY)
    assert len(channel.seen) == 4


async def test_an_error_page_is_the_channels_error_whatever_it_holds(pool: ConnectorPool, channel: Channel) -> None:
    channel.status, channel.answer = 404, {"body": b"<html>", "content_type": "text/html"}
    kind, text, _ = await outcome(pool, channel.url, object, "c1", "m1", REPLY)
    assert (kind, text) == (ErrorResponseException, "Operation returned an invalid status code 'Not Found'")


@pytest.mark.parametrize("name", [None, "", 7])
async def test_a_conversation_without_a_name_is_what_it_is_to_the_sdk(
    pool: ConnectorPool, channel: Channel, name: Any
) -> None:
    await both(pool, channel, name, "m1", REPLY)
    await both(pool, channel, "c1", name, REPLY)
    await both(pool, channel, name, REPLY)


async def test_an_activity_that_cannot_be_sent_fails_as_with_the_sdk(pool: ConnectorPool, channel: Channel) -> None:
    await both(pool, channel, "c1", "m1", Activity(type="message", timestamp="yesterday"))
    assert not channel.seen


async def test_options_of_the_sdks_operations_still_count(pool: ConnectorPool, channel: Channel) -> None:
    for operations in (object, ConversationsOperations):
        await outcome(pool, channel.url, operations, "c1", "m1", REPLY, custom_headers={"x-more": "1"})
    assert [headers["x-more"] for _, _, headers, _ in channel.seen] == ["1", "1"]
