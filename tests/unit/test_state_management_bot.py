"""The bot's conversation, over the SDK's turn context and state, with activities as channels send them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botbuilder.core import ConversationState, MemoryStorage, TurnContext, UserState
from botbuilder.core.adapters import TestAdapter
from hypothesis import given, settings
from hypothesis import strategies as st

from bots import StateManagementBot
from tests.unit.channel_activities import (
    ADA,
    BOT,
    GRACE,
    direct_line_message,
    emulator_message,
    mention,
    teams_message,
    web_chat_members_added,
)

if TYPE_CHECKING:
    from botbuilder.schema import Activity

ASK = "What is your name?"
WELCOME = "Welcome to State Bot Sample. Type anything to get started."
WEB_CHAT_BOT = "state-bot@kA1b2C3d4"
IMAGE = {"contentType": "image/png", "contentUrl": "https://example.org/1", "name": "cat.png"}
UNNAMED_IMAGE = {"contentType": "image/*", "contentUrl": "https://example.org/2"}
HTML = {"contentType": "text/html", "content": '<div><img src="https://example.org/2"></div>'}


class Conversation:
    """A bot and its state; every turn has a bot of its own, as after a restart."""

    def __init__(self) -> None:
        self.storage = MemoryStorage()

    async def send(self, *activities: Activity) -> list[str]:
        """Run a turn for each activity and return the replies to the last."""
        replies: list[str] = []
        for activity in activities:
            adapter = TestAdapter()
            bot = StateManagementBot(ConversationState(self.storage), UserState(self.storage))
            await adapter.run_pipeline(TurnContext(adapter, activity), bot.on_turn)
            replies = [reply.text for reply in adapter.activity_buffer]
        return replies


@pytest.fixture
def conversation() -> Conversation:
    return Conversation()


def thanks(name: str) -> list[str]:
    return [f"Thanks {name}. To see conversation data, type anything."]


async def test_the_conversation_is_the_samples_to_the_letter(conversation: Conversation) -> None:
    assert await conversation.send(emulator_message("hi")) == ["What is your name?"]
    assert await conversation.send(emulator_message("Ada")) == ["Thanks Ada. To see conversation data, type anything."]
    assert await conversation.send(emulator_message("hello again")) == [
        "Ada sent: hello again",
        "Message received at: 2026-03-29 14:30:00+02:00",
        "Message received from: emulator",
    ]


async def test_state_is_kept_under_the_samples_names(conversation: Conversation) -> None:
    await conversation.send(emulator_message("hi"), emulator_message("Ada"), emulator_message("hello"))
    user_key = "emulator/users/7b0a5a6f-1f0e-4b62-9d8e-3c4b5a697887"
    conversation_key = "emulator/conversations/8c3d3f60-c791-11f0-8e9d-0d5f3f8f3a11|livechat"
    stored = await conversation.storage.read([user_key, conversation_key])
    assert stored[user_key]["UserProfile"].name == "Ada"
    data = stored[conversation_key]["ConversationData"]
    assert (data.timestamp, data.channel_id) == ("2026-03-29 14:30:00+02:00", "emulator")
    assert data.prompted_for_user_name is False


async def test_a_client_that_sends_only_what_it_must_is_answered(conversation: Conversation) -> None:
    bare = {"timestamp": None, "recipient": None}
    await conversation.send(direct_line_message(**bare), direct_line_message("Ada", **bare))
    replies = await conversation.send(direct_line_message(**bare))
    assert replies[0] == "Ada sent: hi"
    assert replies[1].endswith("+00:00")
    assert replies[2] == "Message received from: directline"


@pytest.mark.parametrize(
    "no_name",
    [
        emulator_message(None),
        emulator_message(""),
        emulator_message(" \t\r\n\xa0"),
        emulator_message("&nbsp;"),
        emulator_message("\u200b\ufeff"),
        emulator_message(None, attachments=[IMAGE]),
        emulator_message(None, value={"submitted": True}),
    ],
)
async def test_what_is_no_name_is_asked_for_again(conversation: Conversation, no_name: Activity) -> None:
    assert await conversation.send(emulator_message("hi"), no_name, no_name) == [ASK]
    assert await conversation.send(emulator_message("Ada")) == thanks("Ada")


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"attachments": [IMAGE]}, "cat.png"),
        ({"attachments": [IMAGE, UNNAMED_IMAGE]}, "cat.png, image/*"),
        ({"attachments": [UNNAMED_IMAGE, HTML]}, "image/*"),
        ({"attachments": [HTML]}, "text/html"),
        ({"attachments": [{}, None]}, "(no text)"),
        ({"text": "look", "attachments": [IMAGE]}, "look"),
        ({"text": " \n"}, "(no text)"),
        ({}, "(no text)"),
    ],
)
async def test_a_message_without_text_shows_what_came_instead(
    conversation: Conversation, changes: dict[str, Any], shown: str
) -> None:
    await conversation.send(emulator_message("hi"), emulator_message("Ada"))
    replies = await conversation.send(emulator_message(**{"text": None, **changes}))
    assert replies[0] == f"Ada sent: {shown}"


async def test_in_a_teams_group_chat_the_bots_mention_is_part_of_neither_name_nor_text(
    conversation: Conversation,
) -> None:
    own, grace = mention(BOT, "State Bot"), mention(GRACE, "Grace")
    assert await conversation.send(teams_message("<at>State Bot</at>\r\n", own)) == [ASK]
    assert await conversation.send(teams_message("<at>State Bot</at>&nbsp;\r\n", own)) == [ASK]
    assert await conversation.send(teams_message("<at>State Bot</at>&nbsp;Ada\n", own)) == thanks("Ada")
    assert await conversation.send(teams_message("ask <at>Grace</at>, <at>State Bot</at> \n", own, grace)) == [
        "Ada sent: ask Grace,",
        "Message received at: 2026-03-29 14:30:00+02:00",
        "Message received from: msteams",
    ]


@pytest.mark.parametrize(
    "name",
    [
        "李小龙",
        "محمد",
        "Ⴂიორგი",
        "नरेन्द्र",
        "می‌خواهم",
        "👩‍👩‍👧 Smith",
        "O'Brien-Ó",
        "{name}",
        "%s",
        "x" * 1_000,
    ],
)
async def test_a_name_of_any_script_is_kept_as_given(conversation: Conversation, name: str) -> None:
    assert await conversation.send(emulator_message("hi"), emulator_message(f" {name}\r\n")) == thanks(name)


async def test_a_name_is_kept_on_one_line(conversation: Conversation) -> None:
    assert await conversation.send(emulator_message(), emulator_message("Ada\n&nbsp; Lovelace")) == thanks(
        "Ada Lovelace"
    )


async def test_a_name_too_long_to_repeat_in_every_reply_is_cut(conversation: Conversation) -> None:
    replies = await conversation.send(emulator_message("hi"), emulator_message("é" * 100_000))
    assert replies == thanks("é" * 999 + "…")


async def test_half_an_emoji_is_replaced_by_what_utf_8_can_store(conversation: Conversation) -> None:
    replies = await conversation.send(emulator_message("hi"), emulator_message("Ada \ud83d"))
    assert replies == thanks("Ada \N{REPLACEMENT CHARACTER}")


@settings(max_examples=50, deadline=None)
@given(name=st.text(min_size=1), text=st.text(), own=st.booleans())
async def test_any_name_and_text_are_answered(name: str, text: str, own: bool) -> None:
    conversation = Conversation()
    entities = [mention(BOT, name)] if own else []
    await conversation.send(teams_message("hi"))
    asked = await conversation.send(teams_message(f"<at>{name}</at> {text}" if own else name, *entities))
    assert asked == [ASK] or asked[0].startswith("Thanks ")
    replies = await conversation.send(teams_message("Ada"), teams_message(text))
    "".join(replies).encode()
    assert len(replies) == 3
    assert all(replies)


async def test_each_member_but_the_bot_is_welcomed_once(conversation: Conversation) -> None:
    assert await conversation.send(web_chat_members_added(WEB_CHAT_BOT)) == []
    assert await conversation.send(web_chat_members_added("ada")) == [WELCOME]
    together = web_chat_members_added("ada", WEB_CHAT_BOT, "grace", "ada", None)
    assert await conversation.send(together) == [WELCOME, WELCOME]


@pytest.mark.parametrize(
    ("changes", "welcomes"),
    [
        ({"membersAdded": None}, 0),
        ({"membersAdded": []}, 0),
        ({"membersAdded": [None, {}]}, 0),
        ({"membersAdded": None, "membersRemoved": [{"id": ADA}]}, 0),
        ({"recipient": None, "from": None}, 1),
    ],
)
async def test_incomplete_conversation_updates_are_no_error(
    conversation: Conversation, changes: dict[str, Any], welcomes: int
) -> None:
    assert await conversation.send(web_chat_members_added("ada", **changes)) == [WELCOME] * welcomes
    assert await conversation.send(direct_line_message("hi")) == [ASK]


@pytest.mark.parametrize("kind", ["typing", "messageReaction", "installationUpdate", "endOfConversation", "unheardOf"])
async def test_other_activities_are_met_with_silence(conversation: Conversation, kind: str) -> None:
    assert await conversation.send(teams_message(None, type=kind)) == []
