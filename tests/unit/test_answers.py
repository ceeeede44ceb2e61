"""What a turn answers over HTTP: replies, an invoke's result, an apology, or a reason to deliver again."""

from __future__ import annotations

import logging

import pytest
from botbuilder.core import ActivityHandler, InvokeResponse, TurnContext
from botbuilder.schema import Attachment

from bots import StateManagementBot
from bots.adapter import APOLOGY
from bots.logs import DiscreetFormatter, short_hash
from storage import ABSENT, StorageConflict, StorageUnavailable, Write
from tests.contract import raw
from tests.unit.http_channel import EMULATOR, Channel, channel


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


@pytest.mark.parametrize(
    ("profile", "place", "reason"),
    [
        ({"py/reduce": ["evil"]}, "UserProfile", "'py/reduce' is not read"),
        ({"name": 4711}, "UserProfile.name", "is int: input should be a valid string"),
        ({"schema_version": "PIN 4711"}, "UserProfile.schema_version", "is not a version from 1 on"),
    ],
)
async def test_a_document_that_cannot_be_read_is_one_line_without_what_is_in_it_and_no_redelivery(
    local: Channel, caplog: pytest.LogCaptureFixture, profile: dict[str, object], place: str, reason: str
) -> None:
    tag = {} if "py/reduce" in profile else {"py/object": "data_models.user_profile.UserProfile"}
    await local.storage.save({KEYS[1]: Write({"UserProfile": tag | profile}, ABSENT)})
    with caplog.at_level(logging.INFO):
        await local.post(local.body())
    [error] = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert (error.getMessage(), error.exc_info) == (f"a document cannot be read at {place}: {reason}", None)
    assert "4711" not in caplog.text
    assert EMULATOR["from"]["id"] not in caplog.text
    assert "delivered again" not in caplog.text


async def test_a_document_that_is_no_json_is_told_as_a_turn_that_failed(
    local: Channel, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    await raw.put(local.storage, KEYS[0], b"{")
    formatter = DiscreetFormatter("%(message)s")
    lines: list[str] = []
    with caplog.at_level(logging.INFO):
        monkeypatch.setattr(caplog.handler, "emit", lambda record: lines.append(formatter.format(record)))
        await local.post(local.body())
    hashed = f"document={short_hash(KEYS[0])}"
    assert any(line.startswith("a document cannot be read at line 1 column 1: is not JSON") for line in lines)
    assert [hashed in line for line in lines if line.startswith("turn ")] == [True]


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


async def test_a_connector_that_takes_no_reply_is_502_with_retry_after_and_the_retry_gets_the_reply(
    local: Channel,
) -> None:
    body = local.body()
    answer = await local.post({**body, "serviceUrl": f"{local.service_url}/nowhere"})
    assert answer.status == 502
    assert int(answer.headers["Retry-After"]) > 0
    assert (await local.post(body)).status == 201
    assert local.texts() == ["What is your name?"]
    assert len(local.turns) == 1
