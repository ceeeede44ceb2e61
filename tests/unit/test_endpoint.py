"""`POST /api/messages`: what is an activity runs a turn, and what is none is refused and runs nothing."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config import Settings
from tests.fuzz.mutations import SEEDS, URL, mutate, seeds
from tests.unit.http_channel import EMULATOR, Channel, channel


async def test_a_message_is_answered_201_and_its_replies_reach_the_connector_in_order(local: Channel) -> None:
    messages = [local.body(text=text) for text in ("hi", "Ada", "what do you know?")]
    for message in messages:
        assert (await local.post(message)).status == 201
    texts = local.texts()
    assert texts[:3] == [
        "What is your name?",
        "Thanks Ada. To see conversation data, type anything.",
        "Ada sent: what do you know?",
    ]
    assert [text.partition(":")[0] for text in texts[3:]] == ["Message received at", "Message received from"]
    assert all(EMULATOR["conversation"]["id"] in path for path in local.paths)
    assert [reply["replyToId"] for reply in local.replies] == [messages[at]["id"] for at in (0, 1, 2, 2, 2)]


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
    "UTF-16": json.dumps(EMULATOR).encode("utf-16"),
    "UTF-32": json.dumps(EMULATOR).encode("utf-32"),
    "a name twice": json.dumps(EMULATOR).replace('"type"', '"type": "event", "type"', 1).encode(),
    "a name twice inside": json.dumps({**EMULATOR, "value": 0}).replace("0}", '{"a": 1, "a": 2}}').encode(),
    "a number beyond a double": json.dumps({**EMULATOR, "value": 0}).replace("0}", "1e999}").encode(),
    "two values": b"{} {}",
    "a comment": b"{/**/}",
    "single quotes": b"{'type': 'message'}",
}


@pytest.mark.parametrize("kind", NO_ACTIVITY)
async def test_a_body_that_is_no_activity_is_400_with_a_reason(local: Channel, kind: str) -> None:
    answer = await local.post(NO_ACTIVITY[kind])
    assert answer.status == 400
    assert "the body is not" in (await answer.json())["error"]
    assert not local.turns


async def _in_chunks(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 65536):
        yield body[start : start + 65536]


@pytest.mark.parametrize("is_announced", [True, False], ids=["Content-Length", "chunked"])
async def test_a_body_of_2_mb_is_413_in_json(local: Channel, is_announced: bool) -> None:
    body = json.dumps(local.body(text="x" * 2_000_000)).encode()
    answer = await local.post(body if is_announced else _in_chunks(body))
    assert answer.status == 413
    assert "1048576 bytes" in (await answer.json())["error"]
    assert not local.turns


async def test_the_limit_of_a_body_is_a_setting() -> None:
    async with channel(using=Settings(state_storage="memory", max_request_bytes=2048)) as local:
        assert (await local.post(local.body(text="x" * 500))).status == 201
        assert (await local.post(local.body(text="x" * 2048))).status == 413


async def test_a_body_that_does_not_come_is_408_and_the_connection_is_closed(
    local: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bots.activity_body.READ_SECONDS", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", local.client.port)
    head = b"POST /api/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n"
    writer.write(head + b"\r\n{")
    async with asyncio.timeout(5):
        answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'{"error": "the body did not arrive' in answer
    assert not local.turns


async def test_a_compressed_body_is_415_before_it_is_unpacked(local: Channel) -> None:
    for coding in ("gzip", "deflate", "br", "x"):
        answer = await local.post(gzip.compress(b"0" * 1_000_000), **{"Content-Encoding": coding})
        assert answer.status == 415
        assert "Content-Encoding" in (await answer.json())["error"]


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
    assert (await answer.json())["error"] == "Method Not Allowed"
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


SERVICE_URLS = [
    *("x", "/v3", "file:///etc/passwd", "http://", "http://[::1", "https://ada:port", "a b", "http://localhost:0"),
    *("http://localhost@example.com", "http://example.com\\@localhost", "http://localhost/{conversationId}"),
]


@pytest.mark.parametrize("url", SERVICE_URLS)
async def test_a_service_url_to_which_nothing_can_be_sent_is_400(local: Channel, url: str) -> None:
    answer = await local.post(local.body(serviceUrl=url))
    assert answer.status == 400
    assert "serviceUrl" in (await answer.json())["error"]
    assert not local.turns


@pytest.mark.parametrize(("depth", "status"), [(10, 201), (90, 201), (101, 400), (960, 400), (1500, 400)])
async def test_channel_data_may_be_as_deep_as_any_card_and_not_deeper(local: Channel, depth: int, status: int) -> None:
    nested = '{"a":' * depth + "1" + "}" * depth
    body = json.dumps(local.body(channelData="here")).replace('"here"', nested)
    assert (await local.post(body)).status == status


@pytest.mark.parametrize("name", ["channelData", "entities", "membersAdded", "unknown"])
@pytest.mark.parametrize(("count", "status"), [(40_000, 201), (50_001, 400)])
async def test_an_activity_may_have_more_values_than_any_card_and_not_a_megabyte_of_them(
    local: Channel, name: str, count: int, status: int
) -> None:
    assert (await local.post(local.body(**{name: [{}] * count}))).status == status


@pytest.mark.parametrize(
    "kind", ["foo", "typing", "endOfConversation", "messageReaction", "conversationUpdate", "event"]
)
async def test_activities_of_other_types_are_201(local: Channel, kind: str) -> None:
    assert (await local.post(local.body(type=kind, id="a1"))).status == 201
    assert local.turns == ["a1"]


async def test_long_ids_are_ids(local: Channel) -> None:
    body = local.body(id="a" * 2000, conversation={"id": "c" * 2000}, **{"from": {"id": "ü" * 2000}})
    assert (await local.post(body)).status == 201
    assert local.texts() == ["What is your name?"]


@pytest.mark.parametrize("name", ["type", "id", "channelId", "conversation", "from"])
async def test_an_id_longer_than_any_channels_is_400(local: Channel, name: str) -> None:
    value = {"id": "x" * 2001} if name in ACCOUNTS else "x" * 2001
    answer = await local.post(local.body(**{name: value}))
    assert answer.status == 400
    assert "2000 characters" in (await answer.json())["error"]
    assert not local.turns


@pytest.mark.parametrize("dots", [".", ".."])
async def test_an_id_that_would_climb_in_the_replys_address_is_400(local: Channel, dots: str) -> None:
    assert (await local.post(local.body(conversation={"id": dots}))).status == 400
    assert (await local.post(local.body(id=dots))).status == 400
    assert not local.turns


async def test_half_an_emoji_in_a_text_is_replaced_and_not_fatal(local: Channel) -> None:
    for text in ("hi", "Ada \ud83d", "cut \udc00"):
        assert (await local.post(local.body(text=text))).status == 201
    assert local.texts()[1] == "Thanks Ada \N{REPLACEMENT CHARACTER}. To see conversation data, type anything."


async def test_activities_changed_at_random_are_taken_or_4xx_and_no_turn_runs_on_4xx(local: Channel) -> None:
    chance = random.Random(20261122)  # noqa: S311 - repeatable
    for number in range(600):
        body = chance.choice(seeds()[: len(SEEDS)]).replace(URL.encode(), local.service_url.encode())
        for _ in range(number % 4):
            body = mutate(body, chance)
        ran = len(local.turns)
        answer = await local.post(body)
        refused = 400 <= answer.status < 500
        assert refused or answer.status in (200, 201, 501, 502), (answer.status, body)  # 502: a serviceUrl of nobody
        if refused:
            assert (await answer.json())["error"]
            assert len(local.turns) == ran, body


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
