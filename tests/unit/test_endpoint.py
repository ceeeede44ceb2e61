"""`POST /api/messages` and the health of the process, over HTTP, with a connector that receives the replies."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import jwt
import pytest
import requests
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer, unused_port
from botbuilder.core import ActivityHandler, Bot, InvokeResponse, TurnContext
from botbuilder.schema import Attachment
from hypothesis import given, settings
from hypothesis import strategies as st

from app import STORAGE, create_app, serve
from bots import StateManagementBot
from bots.adapter import APOLOGY
from bots.state import ConversationState, UserState
from config import ConfigError, Settings
from storage import ABSENT, StorageConflict, StorageUnavailable, Write
from storage.blob import BlobStorage
from storage.cosmos import CosmosStorage
from storage.memory import MemoryStorage

MEMORY = Settings(state_storage="memory")
EMULATOR: dict[str, Any] = {
    "type": "message",
    "id": "9f2b7d10-c791-11f0-a1b2-8f3c2d1e0f4a",
    "channelId": "emulator",
    "serviceUrl": "replaced by the connector's",
    "conversation": {"id": "8c3d3f60-c791-11f0-8e9d-0d5f3f8f3a11|livechat"},
    "from": {"id": "7b0a5a6f-1f0e-4b62-9d8e-3c4b5a697887", "name": "User", "role": "user"},
    "recipient": {"id": "8b1f2c90-c791-11f0-a1b2-8f3c2d1e0f4a", "name": "Bot", "role": "bot"},
    "locale": "en-US",
    "textFormat": "plain",
    "text": "hi",
    "timestamp": "2026-03-29T12:30:00.123Z",
    "localTimestamp": "2026-03-29T14:30:00+02:00",
    "localTimezone": "Europe/Berlin",
    "entities": [{"type": "ClientCapabilities", "requiresBotState": True, "supportsTts": True}],
    "channelData": {"clientActivityID": "1774787400123abc"},
    "attachments": [],
    "membersAdded": [{"id": "7b0a5a6f", "name": "User"}],
}
MakeBot = Callable[[ConversationState, UserState], Bot]


@dataclass
class Channel:
    """The bot's process as a channel sees it."""

    client: TestClient[Any, Any]
    service_url: str
    replies: list[dict[str, Any]]
    paths: list[str]
    storage: MemoryStorage
    turns: list[str | None] = field(default_factory=list)  # the ids of the activities that reached the bot

    def body(self, **changes: Any) -> dict[str, Any]:
        return {**EMULATOR, "serviceUrl": self.service_url, **changes}

    async def post(self, body: object, **headers: str) -> ClientResponse:
        data = body if isinstance(body, (str, bytes, io.BytesIO)) else json.dumps(body)
        headers = {"Content-Type": "application/json", **headers}
        return await self.client.post("/api/messages", data=data, headers=headers)

    def texts(self) -> list[str]:
        return [reply["text"] for reply in self.replies]


@asynccontextmanager
async def channel(make_bot: MakeBot = StateManagementBot, using: Settings = MEMORY) -> AsyncIterator[Channel]:
    """Run the application, with a connector that takes the replies."""
    replies: list[dict[str, Any]] = []
    paths: list[str] = []
    turns: list[str | None] = []

    async def receive(request: web.Request) -> web.Response:
        replies.append(await request.json())
        paths.append(request.path)
        return web.json_response({"id": f"reply-{len(replies)}"})

    class Recorded(Bot):
        def __init__(self, conversation_state: ConversationState, user_state: UserState) -> None:
            self._bot = make_bot(conversation_state, user_state)

        async def on_turn(self, context: TurnContext) -> None:
            turns.append(context.activity.id)
            await self._bot.on_turn(context)

    connector = web.Application()
    connector.router.add_post("/v3/conversations/{tail:.*}", receive)
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(TestServer(connector))
        app = create_app(using, Recorded)
        client = await stack.enter_async_context(TestClient(TestServer(app)))
        storage = app[STORAGE]
        assert isinstance(storage, MemoryStorage)
        yield Channel(client, str(server.make_url("")), replies, paths, storage, turns)


@pytest.fixture
async def local() -> AsyncIterator[Channel]:
    async with channel() as found:
        yield found


async def test_a_message_is_answered_201_and_its_replies_reach_the_connector_in_order(local: Channel) -> None:
    for text in ("hi", "Ada", "what do you know?"):
        assert (await local.post(local.body(text=text))).status == 201
    texts = local.texts()
    assert texts[:3] == [
        "What is your name?",
        "Thanks Ada. To see conversation data, type anything.",
        "Ada sent: what do you know?",
    ]
    assert [text.partition(":")[0] for text in texts[3:]] == ["Message received at", "Message received from"]
    assert all(EMULATOR["conversation"]["id"] in path for path in local.paths)
    assert all(reply["replyToId"] == EMULATOR["id"] for reply in local.replies)


NO_ACTIVITY = {
    "empty": b"",
    "not JSON": b"hello",
    "half JSON": b'{"type": "message"',
    "invalid UTF-8": b'{"type": "\xff\xfe"}',
    "an array": b"[]",
    "a number": b"5",
    "text": b'"message"',
    "null": b"null",
    "an empty object": b"{}",
    "NaN": json.dumps({**EMULATOR, "channelData": float("nan")}).encode(),
    "Infinity": json.dumps({**EMULATOR, "value": float("-inf")}).encode(),
    "an integer beyond all bounds": b'{"type": ' + b"9" * 5000 + b"}",
    "deep arrays": b"[" * 100_000,
    "deep objects": b'{"a":' * 100_000,
}


@pytest.mark.parametrize("kind", NO_ACTIVITY)
async def test_a_body_that_is_no_activity_is_400_with_a_reason(local: Channel, kind: str) -> None:
    answer = await local.post(NO_ACTIVITY[kind])
    assert answer.status == 400
    assert "the body is not" in (await answer.json())["error"]
    assert not local.turns


async def test_a_body_of_2_mb_is_413(local: Channel) -> None:
    body = io.BytesIO(json.dumps(local.body(text="x" * 2_000_000)).encode())
    assert (await local.post(body)).status == 413
    assert not local.turns


async def test_a_body_that_is_not_compressed_as_it_says_is_400(local: Channel) -> None:
    answer = await local.post(b"no gzip", **{"Content-Encoding": "gzip"})
    assert answer.status == 400


@pytest.mark.parametrize("content_type", [None, "", "text/plain", "application/x-www-form-urlencoded", "json"])
async def test_another_content_type_or_none_is_415(local: Channel, content_type: str | None) -> None:
    body = json.dumps(local.body()).encode()
    headers = {} if content_type is None else {"Content-Type": content_type}
    answer = await local.client.post(
        "/api/messages", data=body, headers=headers, skip_auto_headers=["Content-Type"] if content_type is None else []
    )
    assert answer.status == 415
    assert "application/json" in (await answer.json())["error"]
    assert not local.turns


async def test_a_charset_beside_the_content_type_is_fine(local: Channel) -> None:
    answer = await local.post(local.body(), **{"Content-Type": "application/json; charset=utf-8"})
    assert answer.status == 201


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_another_method_is_405(local: Channel, method: str) -> None:
    answer = await local.client.request(method, "/api/messages", json=local.body())
    assert answer.status == 405
    assert "POST" in answer.headers["Allow"]
    assert not local.turns


REQUIRED = ["type", "id", "channelId", "serviceUrl", "conversation", "from"]
ACCOUNTS = ["conversation", "from"]


@pytest.mark.parametrize("name", REQUIRED)
@pytest.mark.parametrize("value", [None, "", 5, True, [], {}, {"x": 1}, ["a"], "\ud800", "a\udfffb"])
async def test_a_required_field_that_is_missing_or_no_text_is_400_and_named(
    local: Channel, name: str, value: object
) -> None:
    wrong = [{**local.body(), name: value}]
    if value is None:
        wrong.append({key: item for key, item in local.body().items() if key != name})
    if name in ACCOUNTS:
        wrong.append(local.body(**{name: {"id": value}}))
    for body in wrong:
        answer = await local.post(body)
        assert answer.status == 400
        assert name in (await answer.json())["error"]
    assert not local.turns


@pytest.mark.parametrize("url", ["x", "/v3", "file:///etc/passwd", "http://", "http://[::1", "https://ada:port", "a b"])
async def test_a_service_url_to_which_nothing_can_be_sent_is_400(local: Channel, url: str) -> None:
    answer = await local.post(local.body(serviceUrl=url))
    assert answer.status == 400
    assert "serviceUrl" in (await answer.json())["error"]
    assert not local.turns


@pytest.mark.parametrize("depth", [10, 300, 900, 960, 980, 1000, 1500])
async def test_channel_data_of_any_depth_is_taken_or_refused(local: Channel, depth: int) -> None:
    nested = '{"a":' * depth + "1" + "}" * depth
    body = json.dumps(local.body(channelData="here")).replace('"here"', nested)
    assert (await local.post(body)).status in {201, 400}


@pytest.mark.parametrize(
    "kind", ["foo", "typing", "endOfConversation", "messageReaction", "conversationUpdate", "event"]
)
async def test_activities_of_other_types_are_201(local: Channel, kind: str) -> None:
    assert (await local.post(local.body(type=kind))).status == 201
    assert local.turns == [EMULATOR["id"]]


async def test_huge_ids_are_ids(local: Channel) -> None:
    body = local.body(id="a" * 3000, conversation={"id": "c" * 5000}, **{"from": {"id": "ü" * 5000}})
    assert (await local.post(body)).status == 201
    assert local.texts() == ["What is your name?"]


async def test_half_an_emoji_in_a_text_is_replaced_and_not_fatal(local: Channel) -> None:
    for text in ("hi", "Ada \ud83d", "cut \udc00"):
        assert (await local.post(local.body(text=text))).status == 201
    assert local.texts()[1] == "Thanks Ada \N{REPLACEMENT CHARACTER}. To see conversation data, type anything."


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
INSIDE = sorted(
    {"id", "name", "role", "type", "mentioned", "text", "contentType", "content", "conversationType", "isGroup"}
)
FIELD = JSON | st.dictionaries(st.sampled_from(INSIDE), JSON, max_size=4)
CHANGES = st.dictionaries(
    st.sampled_from(sorted(EMULATOR)), FIELD | st.lists(FIELD, max_size=2), min_size=1, max_size=3
)


async def test_whatever_json_is_in_the_fields_the_answer_is_201_or_4xx_and_no_turn_runs_on_4xx() -> None:
    # One application for all examples, in this loop: Hypothesis calls the function synchronously.
    examples: list[dict[str, Any]] = []

    @given(CHANGES, st.sampled_from(["message", "message", "conversationUpdate", "event"]))
    @settings(max_examples=250, deadline=None, database=None)
    def collect(changes: dict[str, Any], kind: str) -> None:
        examples.append({"type": kind, **changes})

    collect()
    async with channel() as local:
        for changes in examples:
            ran = len(local.turns)
            answer = await local.post(local.body(**changes))
            assert answer.status == 201 or 400 <= answer.status < 500, (answer.status, changes)
            assert len(local.turns) - ran == (answer.status == 201), changes


async def test_expect_replies_is_200_with_the_activities_in_the_body(local: Channel) -> None:
    answer = await local.post(local.body(deliveryMode="expectReplies"))
    assert answer.status == 200
    assert [activity["text"] for activity in (await answer.json())["activities"]] == ["What is your name?"]
    assert not local.replies


async def test_an_invoke_without_a_handler_is_501(local: Channel) -> None:
    answer = await local.post(local.body(type="invoke", name="unknown/thing"))
    assert (answer.status, await answer.text()) == (501, "")


class Invoked(ActivityHandler):
    """Answers an invoke with the body that it was made with."""

    def __init__(self, body: object) -> None:
        self._body = body

    async def on_invoke_activity(self, _turn_context: TurnContext) -> InvokeResponse:
        return InvokeResponse(status=209, body=self._body)


CARD = Attachment(content_type="image/png", name="a.png")
CARD_JSON = {"contentType": "image/png", "name": "a.png"}


@pytest.mark.parametrize(
    ("body", "expected"),
    [({"a": [1]}, {"a": [1]}), ("text", "text"), (CARD, CARD_JSON), ({"cards": [CARD]}, {"cards": [CARD_JSON]})],
)
async def test_an_invoke_is_answered_with_its_handlers_status_and_body(body: object, expected: object) -> None:
    async with channel(lambda *_states: Invoked(body)) as local:
        answer = await local.post(local.body(type="invoke", name="task/fetch"))
        assert (answer.status, await answer.json()) == (209, expected)


class Buggy(StateManagementBot):
    """Sample 45's bot, with a bug: it changes the state and raises when the user says so."""

    async def on_message_activity(self, turn_context: TurnContext) -> None:
        await super().on_message_activity(turn_context)
        if turn_context.activity.text == "crash":
            profile = await self.user_profile_accessor.get(turn_context)
            profile.name = "nobody"
            raise RuntimeError("a bug in the bot")


KEYS = [
    f"emulator/conversations/{EMULATOR['conversation']['id']}",
    f"emulator/users/{EMULATOR['from']['id']}",
]


async def test_a_bot_that_raises_is_201_with_the_apology_its_traceback_is_logged_and_the_state_is_as_before(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with channel(Buggy) as local:
        for text in ("hi", "Ada"):
            await local.post(local.body(text=text))
        before = await local.storage.load(KEYS)
        local.replies.clear()
        answer = await local.post(local.body(text="crash"))
        assert answer.status == 201
        assert local.texts()[-2:] == list(APOLOGY)
        assert sum(text in APOLOGY for text in local.texts()) == 2
        assert await local.storage.load(KEYS) == before
        assert before.keys() == set(KEYS)
    [record] = [record for record in caplog.records if record.name == "bots.adapter"]
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], RuntimeError)


async def test_an_invoke_whose_handler_raises_is_500() -> None:
    class Raising(ActivityHandler):
        async def on_invoke_activity(self, _turn_context: TurnContext) -> InvokeResponse:
            raise RuntimeError("a bug in the bot")

    async with channel(lambda *_states: Raising()) as local:
        assert (await local.post(local.body(type="invoke", name="task/fetch"))).status == 500


async def test_a_document_that_cannot_be_read_is_an_apology_and_is_left_as_it_is(local: Channel) -> None:
    await local.storage.save({KEYS[1]: Write({"UserProfile": {"py/reduce": ["evil"]}}, ABSENT)})
    before = await local.storage.load(KEYS)
    assert (await local.post(local.body())).status == 201
    assert local.texts() == list(APOLOGY)
    assert await local.storage.load(KEYS) == before


@pytest.mark.parametrize("method", ["load", "save"])
@pytest.mark.parametrize("error", [StorageUnavailable("the service is away"), StorageConflict("key", "1", "2")])
async def test_a_storage_that_fails_in_a_turn_is_503_with_retry_after_and_without_apology(
    local: Channel, monkeypatch: pytest.MonkeyPatch, method: str, error: Exception
) -> None:
    async def fail(_argument: object) -> None:
        raise error

    monkeypatch.setattr(local.storage, method, fail)
    answer = await local.post(local.body())
    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert not set(local.texts()) & set(APOLOGY)
    monkeypatch.undo()
    assert await local.storage.load(KEYS) == {}
    assert (await local.post(local.body())).status == 201


async def test_a_connector_that_takes_no_reply_is_502_with_retry_after_and_nothing_is_stored(local: Channel) -> None:
    answer = await local.post(local.body(serviceUrl=f"{local.service_url}/nowhere"))
    assert answer.status == 502
    assert int(answer.headers["Retry-After"]) > 0
    assert await local.storage.load(KEYS) == {}


async def test_a_ready_process_names_its_storage_and_a_living_one_says_ok(local: Channel) -> None:
    assert (await local.client.get("/readyz")).status == 200
    health = await local.client.get("/healthz")
    assert (health.status, await health.json()) == (200, {"status": "ok"})


async def test_while_the_storage_is_away_the_process_lives_and_is_not_ready(
    local: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail() -> None:
        raise StorageUnavailable("the service is away")

    monkeypatch.setattr(local.storage, "ping", fail)
    assert (await local.client.get("/readyz")).status == 503
    assert (await local.client.get("/healthz")).status == 200
    monkeypatch.undo()
    assert (await local.client.get("/readyz")).status == 200


KEY = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"


def _blob_away() -> Settings:
    address = f"http://127.0.0.1:{unused_port()}/ada"
    return Settings(
        state_storage="blob",
        blob_connection_string=f"AccountName=ada;AccountKey={KEY};BlobEndpoint={address}?sig={KEY}",
    )


def _cosmos_away() -> Settings:
    return Settings(state_storage="cosmos", cosmos_endpoint=f"https://127.0.0.1:{unused_port()}", cosmos_key=KEY)


@pytest.mark.parametrize(("kind", "away"), [(BlobStorage, _blob_away), (CosmosStorage, _cosmos_away)])
async def test_why_the_process_is_not_ready_is_told_without_the_secrets(
    monkeypatch: pytest.MonkeyPatch, kind: type, away: Callable[[], Settings]
) -> None:
    async def opened(_self: object) -> None:
        """The service was there when the process started."""

    monkeypatch.setattr(kind, "open", opened)
    monkeypatch.setattr(f"{kind.__module__}._client_options", lambda *_: {"retry_total": 0})
    async with TestClient(TestServer(create_app(away()))) as client:
        answer = await client.get("/readyz")
        told = await answer.text()
        assert answer.status == 503
        assert "cannot be reached" in told
        assert KEY not in told
        assert (await client.get("/healthz")).status == 200


async def test_settings_that_the_sdk_cannot_use_stop_the_start_with_one_line_and_no_secret() -> None:
    broken = Settings(state_storage="blob", blob_connection_string=f"AccountKey={KEY};=;nothing")
    with pytest.raises(ConfigError, match="STATE_STORAGE=blob") as caught:
        await serve(broken)
    assert KEY not in str(caught.value)


PASSWORD = "ab~secret"
GUARDED = Settings(state_storage="memory", app_id="4d0f2c1e-0000-0000-0000-000000000001", app_password=PASSWORD)
TOKEN = jwt.encode({"iss": "https://api.botframework.com"}, "k" * 40, headers={"kid": "unknown"})
FOREIGN = jwt.encode({"iss": "https://example.com"}, "k" * 40)


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer x", "Bearer a.b.c", "Basic YTpi", f"Bearer {FOREIGN}"])
async def test_with_an_app_id_a_request_without_a_valid_token_is_401_and_the_bot_does_not_run(
    header: str | None,
) -> None:
    async with channel(using=GUARDED) as local:
        headers = {} if header is None else {"Authorization": header}
        answer = await local.post(local.body(), **headers)
        assert answer.status == 401
        assert PASSWORD not in await answer.text()
        assert not local.turns


async def test_while_the_channels_keys_cannot_be_fetched_a_token_is_503_and_the_bot_does_not_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def offline(*_arguments: object, **_options: object) -> None:
        raise requests.ConnectionError("no network")

    monkeypatch.setattr(requests, "get", offline)
    async with channel(using=GUARDED) as local:
        answer = await local.post(local.body(), Authorization=f"Bearer {TOKEN}")
        assert answer.status == 503
        assert "Retry-After" in answer.headers
        assert not local.turns
