"""The local Direct Line over HTTP: what clients get, right or wrong."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from botbuilder.core import ActivityHandler, TurnContext
from botbuilder.schema import Activity, ActivityTypes

from app import create_app
from config import Settings
from tests.page.conftest import Line, open_line, quoted

WELCOME = "Welcome to State Bot Sample. Type anything to get started."
MEMORY = Settings(state_storage="memory")


async def error_of(answer: Any) -> str:
    message: str = (await answer.json())["error"]["message"]
    return message


async def test_a_conversation_id_has_the_bar_that_the_emulators_have(line: Line) -> None:
    assert "|" in await line.begin()


async def test_who_begins_with_a_name_is_welcomed_at_once_and_only_then(line: Line) -> None:
    conversation = await line.begin("ada")
    assert await line.texts(conversation) == [WELCOME]
    await line.say(conversation, "hi")
    assert await line.texts(conversation) == [WELCOME, "hi", "What is your name?"]


async def test_who_says_something_first_is_welcomed_before_the_answer(line: Line) -> None:
    conversation = await line.begin(user=None)
    await line.say(conversation, "hi")
    assert sorted(await line.texts(conversation)) == sorted([WELCOME, "hi", "What is your name?"])


async def test_the_bots_replies_come_through_the_connector_and_have_ids_of_their_own(line: Line) -> None:
    conversation = await line.begin()
    said = (await (await line.say(conversation, "hi")).json())["id"]
    reply = (await line.activities(conversation))["activities"][-1]
    assert reply["id"] != said
    assert reply["conversation"]["id"] == conversation
    assert reply["from"]["role"] == "bot"
    assert reply["id"].startswith(f"{conversation}|")


async def test_a_watermark_asks_for_what_is_new(line: Line) -> None:
    conversation = await line.begin()
    before = (await line.activities(conversation))["watermark"]
    await line.say(conversation, "hi")
    found = await line.activities(conversation, before)
    assert [each["text"] for each in found["activities"]] == ["hi", "What is your name?"]
    assert (await line.activities(conversation, found["watermark"]))["activities"] == []


@pytest.mark.parametrize("watermark", ["999", "-1", "1.5", "two", "1" * 5000])
async def test_a_watermark_that_is_none_of_the_conversations_is_refused_with_what_may_be(
    line: Line, watermark: str
) -> None:
    conversation = await line.begin()
    for path in ("", "/activities", "/stream"):
        answer = await line.ask("GET", f"/conversations/{quoted(conversation)}{path}?watermark={watermark}")
        assert answer.status == 400
        assert f"watermark '{watermark[:18]}' is none of this conversation's; expected 0 to" in await error_of(answer)


async def test_a_conversation_that_was_never_begun_is_not_found(line: Line) -> None:
    for method, path in (("GET", ""), ("GET", "/activities"), ("GET", "/stream"), ("POST", "/activities")):
        body = {"type": "message", "from": {"id": "ada"}} if method == "POST" else None
        answer = await line.ask(method, f"/conversations/nobody%7Clocal{path}", body)
        assert answer.status == 404
        assert "no conversation 'nobody|local' here" in await error_of(answer)


@pytest.mark.parametrize(
    "body",
    [
        [],
        "text",
        {"type": "message"},
        {"type": "message", "from": {"id": 1}},
        {"type": "message", "from": "ada"},
        {"type": ["message"], "from": {"id": "ada"}},
        {"from": {}},
    ],
)
async def test_what_is_no_activity_is_refused(line: Line, body: object) -> None:
    conversation = await line.begin()
    answer = await line.ask("POST", f"/conversations/{quoted(conversation)}/activities", body)
    assert answer.status == 400


@pytest.mark.parametrize(
    "text", ['"\\ud800"', "NaN", "1e999", "Infinity", '"twice", "text": ""', "1" * 5000, '"\xff"', "[" * 5000]
)
async def test_what_is_no_strict_json_is_refused_and_leaves_the_conversation_as_it_was(line: Line, text: str) -> None:
    conversation = await line.begin()
    before = await line.activities(conversation)
    body = f'{{"type": "message", "from": {{"id": "ada"}}, "text": {text}}}'.encode("latin-1")
    path = f"/v3/directline/conversations/{quoted(conversation)}/activities"
    answer = await line.http.post(path, data=body, headers={"Content-Type": "application/json"})
    assert answer.status == 400
    assert "the body is not JSON" in await error_of(answer)
    assert await line.activities(conversation) == before


async def test_what_no_store_can_keep_is_refused(line: Line) -> None:
    conversation = await line.begin()
    answer = await line.say(conversation, "hi", value=json.loads("[" * 300 + "]" * 300))
    assert answer.status == 400
    assert "this cannot be kept" in await error_of(answer)


@pytest.mark.parametrize("sender", ["ada", ["ada"], 1])
async def test_a_token_makes_no_sender_of_what_is_none(line: Line, sender: object) -> None:
    ticket = await (await line.ask("POST", "/tokens/generate", {"user": {"id": "ada"}})).json()
    bearer = {"Authorization": f"Bearer {ticket['token']}"}
    conversation = (await (await line.ask("POST", "/conversations", None, **bearer)).json())["conversationId"]
    body = {"type": "message", "text": "hi", "from": sender}
    assert (await line.ask("POST", f"/conversations/{quoted(conversation)}/activities", body, **bearer)).status == 400


async def test_an_activity_that_the_bot_refuses_says_why(line: Line) -> None:
    conversation = await line.begin()
    body = {"type": "message", "from": {"id": "ada"}, "text": ["not", "text"]}
    answer = await line.ask("POST", f"/conversations/{quoted(conversation)}/activities", body)
    assert answer.status == 502
    assert "the bot answered 400: the body is not an activity: text must be text" in await error_of(answer)


async def test_two_users_of_one_conversation_are_a_group_with_a_user_document_each(line: Line) -> None:
    conversation = await line.begin("ada")
    for user, name in (("ada", "Ada"), ("grace", "Grace")):
        await line.say(conversation, "hi", user)
        await line.say(conversation, name, user)
    assert (await line.texts(conversation)).count(WELCOME) == 2
    for user, name in (("ada", "Ada"), ("grace", "Grace")):
        state = await line.state(conversation, user)
        assert state["user"]["value"]["UserProfile"]["name"] == name
    assert (await line.activities(conversation))["activities"][-1]["conversation"]["isGroup"] is True


async def test_messages_at_once_by_somebody_new_are_welcomed_once_and_each_answered(line: Line) -> None:
    conversation = await line.begin(user=None)
    answers = await asyncio.gather(*(line.say(conversation, f"m{number}") for number in range(10)))
    assert [answer.status for answer in answers] == [200] * 10
    texts = await line.texts(conversation)
    assert texts.count(WELCOME) == 1
    assert {f"m{number}" for number in range(10)} < set(texts)
    assert texts.count("What is your name?") == 1


async def test_a_token_names_its_conversation_and_user_and_no_other(line: Line) -> None:
    ticket = await (await line.ask("POST", "/tokens/generate", {"user": {"id": "ada", "name": "Ada"}})).json()
    bearer = {"Authorization": f"Bearer {ticket['token']}"}
    begun = await line.ask("POST", "/conversations", None, **bearer)
    conversation = (await begun.json())["conversationId"]
    assert (begun.status, conversation) == (201, ticket["conversationId"])
    assert (await line.ask("POST", "/conversations", None, **bearer)).status == 200

    path = f"/conversations/{quoted(conversation)}/activities"
    said = {"type": "message", "text": "hi", "from": {"id": "somebody else"}}
    assert (await line.ask("POST", path, said, **bearer)).status == 200
    spoken = [each["from"] for each in (await line.activities(conversation))["activities"] if each["text"] == "hi"]
    assert spoken == [{"id": "ada", "name": "Ada", "role": "user"}]

    other = await line.begin()
    answer = await line.ask("GET", f"/conversations/{quoted(other)}/activities", None, **bearer)
    assert answer.status == 403
    assert "the token is for conversation" in await error_of(answer)


async def test_a_token_can_be_refreshed_and_a_secret_or_a_forged_token_cannot(line: Line) -> None:
    ticket = await (await line.ask("POST", "/tokens/generate")).json()
    fresh = await line.ask("POST", "/tokens/refresh", None, Authorization=f"Bearer {ticket['token']}")
    assert (await fresh.json())["conversationId"] == ticket["conversationId"]
    deep = "local." + base64.urlsafe_b64encode(b"[" * 5900).decode()
    for bearer in ("secret", "local.bm90IGpzb24", "local.???", deep):
        answer = await line.ask("POST", "/tokens/refresh", None, Authorization=f"Bearer {bearer}")
        assert answer.status == 403


async def test_the_stream_sends_what_was_and_what_comes(line: Line) -> None:
    conversation = await line.begin()
    path = f"/v3/directline/conversations/{quoted(conversation)}/stream"
    async with line.http.ws_connect(f"{path}?watermark=") as stream:
        first = await stream.receive_json(timeout=10)
        assert [each["text"] for each in first["activities"]] == [WELCOME]
        await stream.send_str("")  # what clients send to see that we are there
        saying = asyncio.create_task(line.say(conversation, "hi"))
        texts: list[str] = []
        while len(texts) < 2:
            found = await stream.receive_json(timeout=10)
            texts += [each["text"] for each in found["activities"]]
        assert texts == ["hi", "What is your name?"]
        await saying
    async with line.http.ws_connect(f"{path}?watermark={first['watermark']}") as stream:
        again = await stream.receive_json(timeout=10)
        assert [each["text"] for each in again["activities"]] == ["hi", "What is your name?"]


async def test_a_client_of_another_process_finds_the_conversation_and_goes_on(tmp_path: Path) -> None:
    settings = Settings(state_storage="sqlite", sqlite_path=str(tmp_path / "state.db"))
    async with open_line(settings) as first:
        conversation = await first.begin()
        await first.say(conversation, "hi")
        before = await first.activities(conversation)
    async with open_line(settings) as second, open_line(settings) as third:
        assert await second.activities(conversation) == before
        await second.say(conversation, "Ada")
        await third.say(conversation, "three")
        everything = [
            WELCOME,
            "hi",
            "What is your name?",
            "Ada",
            "Thanks Ada. To see conversation data, type anything.",
        ]
        assert (await second.texts(conversation))[:6] == [*everything, "three"]
        ids = [each["id"] for each in (await second.activities(conversation))["activities"]]
        assert len(set(ids)) == len(ids)


async def test_the_stream_of_one_replica_sends_what_was_said_at_another(tmp_path: Path) -> None:
    settings = Settings(state_storage="sqlite", sqlite_path=str(tmp_path / "state.db"))
    async with open_line(settings) as first, open_line(settings) as second:
        conversation = await first.begin()
        path = f"/v3/directline/conversations/{quoted(conversation)}/stream"
        async with second.http.ws_connect(path) as stream:
            texts = [each["text"] for each in (await stream.receive_json(timeout=10))["activities"]]
            await first.say(conversation, "hi")
            while len(texts) < 3:
                texts += [each["text"] for each in (await stream.receive_json(timeout=10))["activities"]]
    assert texts == [WELCOME, "hi", "What is your name?"]


class Editing(ActivityHandler):
    """Sends one message, changes it, and takes it back."""

    def __init__(self, *_states: object) -> None:
        super().__init__()

    async def on_message_activity(self, turn_context: TurnContext) -> None:
        if turn_context.activity.text == "edit":
            change = Activity(type=ActivityTypes.message, id=turn_context.activity.value, text="better")
            await turn_context.update_activity(change)
        elif turn_context.activity.text == "delete":
            await turn_context.delete_activity(turn_context.activity.value)
        else:
            await turn_context.send_activity("first")


async def test_a_bot_can_change_and_delete_what_it_has_sent() -> None:
    async with open_line(MEMORY, Editing) as line:
        conversation = await line.begin()
        await line.say(conversation, "go")
        sent = (await line.activities(conversation))["activities"][-1]["id"]
        for text in ("edit", "delete"):
            assert (await line.say(conversation, text, value=sent)).status == 200
        changes = [each for each in (await line.activities(conversation))["activities"] if each["type"] != "message"]
        assert [(each["type"], each.get("text")) for each in changes] == [
            ("messageUpdate", "better"),
            ("messageDelete", None),
        ]
        assert {each["channelData"]["changes"] for each in changes} == {sent}


async def test_expected_replies_in_the_answer_reach_the_conversation_too(line: Line) -> None:
    conversation = await line.begin()
    await line.say(conversation, "hi", deliveryMode="expectReplies")
    assert await line.texts(conversation) == [WELCOME, "hi", "What is your name?"]


async def test_a_message_delivered_again_counts_once(line: Line) -> None:
    conversation = await line.begin()
    said = (await (await line.say(conversation, "hi")).json())["id"]
    before = await line.state(conversation)
    answer = await line.http.post("/page/redeliver", json={"conversation": conversation, "activity": said})
    assert answer.status == 200
    assert await line.state(conversation) == before
    assert await line.texts(conversation) == [WELCOME, "hi", "What is your name?"]


async def test_the_state_has_the_life_of_each_document_in_seconds() -> None:
    async with open_line(Settings(state_storage="memory", expire_user_days=30)) as line:
        state = await line.state(await line.begin())
    assert {scope: document["life"] for scope, document in state.items()} == {
        "conversation": None,
        "user": 30 * 86_400,
        "private": None,
    }


async def test_only_a_users_activity_of_that_conversation_is_delivered_again(line: Line) -> None:
    conversation = await line.begin()
    await line.say(conversation, "hi")
    reply = (await line.activities(conversation))["activities"][-1]["id"]
    for activity in (reply, "nothing"):
        answer = await line.http.post("/page/redeliver", json={"conversation": conversation, "activity": activity})
        assert answer.status == 404


async def test_the_events_tell_a_turn_from_load_to_reply(line: Line) -> None:
    conversation = await line.begin()
    said = (await (await line.say(conversation, "hi")).json())["id"]
    async with line.http.ws_connect(f"/page/events?conversation={quoted(conversation)}") as stream:
        told: list[dict[str, Any]] = []
        while not (told and told[-1]["what"] == "done" and told[-1]["activity"] == said):
            told.append(await stream.receive_json(timeout=10))
    assert [each["what"] for each in told if each["activity"] == said] == ["loaded", "committed", "done"]
    assert [each["text"] for each in told if each["what"] == "reply"] == [WELCOME, "What is your name?"]
    committed = next(each for each in told if each["what"] == "committed" and each["activity"] == said)
    state = await line.state(conversation)
    assert committed["documents"] == {each["key"]: each["etag"] for each in state.values() if "etag" in each}
    async with line.http.ws_connect(
        f"/page/events?conversation={quoted(conversation)}&after={told[-2]['id']}"
    ) as stream:
        assert (await stream.receive_json(timeout=10))["what"] == "done"


@pytest.mark.parametrize(
    ("header", "value"),
    [("Origin", "https://example.com"), ("Host", "rebound.example.com:3978"), ("Origin", "null")],
)
async def test_pages_of_other_sites_are_refused(line: Line, header: str, value: str) -> None:
    for method, path in (("POST", "/page/restart"), ("GET", "/"), ("GET", "/page/state"), ("POST", "/page/redeliver")):
        answer = await line.http.request(method, path, headers={header: value})
        assert answer.status == 403
    answer = await line.ask("POST", "/conversations", {}, **{header: value})
    assert answer.status == 403
    assert "machine" in await answer.text()


async def test_a_page_of_another_port_of_this_machine_may_use_direct_line(line: Line) -> None:
    origin = "http://localhost:5173"
    asked = await line.ask("OPTIONS", "/conversations", None, Origin=origin)
    assert (asked.status, asked.headers["Access-Control-Allow-Origin"]) == (204, origin)
    begun = await line.ask("POST", "/conversations", {}, Origin=origin)
    assert (begun.status, begun.headers["Access-Control-Allow-Origin"]) == (201, origin)
    unknown = await line.ask("GET", "/conversations/none", None, Origin=origin)
    assert (unknown.status, unknown.headers["Access-Control-Allow-Origin"]) == (404, origin)


async def test_the_page_allows_itself_nothing_from_elsewhere(line: Line) -> None:
    for path in ("/", "/page/static/page.js"):
        answer = await line.http.get(path)
        policy = answer.headers["Content-Security-Policy"]
        assert answer.status == 200
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "unsafe" not in policy
    for path in ("/page/static/none.js", "/page/static/..%2Froutes.py"):
        assert (await line.http.get(path)).status == 404


@pytest.mark.parametrize(
    "settings",
    [
        Settings(state_storage="memory", app_id="app", app_password="hunter2"),  # noqa: S106
        Settings(state_storage="memory", host="0.0.0.0", allow_unauthenticated=True),  # noqa: S104
        Settings(state_storage="memory", host="localhost", allow_unauthenticated=True),
    ],
    ids=["app id", "not loopback", "open to a tunnel"],
)
async def test_in_production_there_is_neither_page_nor_direct_line(settings: Settings) -> None:
    async with TestClient(TestServer(create_app(settings))) as client:
        for method, path in (
            ("GET", "/"),
            ("GET", "/page/state"),
            ("POST", "/page/restart"),
            ("POST", "/v3/directline/conversations"),
            ("POST", "/v3/conversations/c/activities"),
        ):
            assert (await client.request(method, path, data=json.dumps({}))).status == 404
        assert (await client.get("/healthz")).status == 200


async def test_a_process_that_cannot_start_itself_again_says_so(line: Line) -> None:
    answer = await line.http.post("/page/restart")
    assert answer.status == 501
    assert "python app.py" in await error_of(answer)
