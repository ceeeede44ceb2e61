"""`create_app` with somebody's own bot: it gets the state, and an exception of its own is its own only."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp.test_utils import TestServer
from botbuilder.core import ActivityHandler, TurnContext

from app import STORAGE, create_app
from bots.state import ConversationState, UserState
from config import Settings
from infra.local.channel import Channel
from storage import StateStorage
from tests.e2e.conftest import Environment

APOLOGY = ["The bot encountered an error or bug.", "To continue to run this bot, please fix the bot source code."]


class FragileBot(ActivityHandler):
    """Counts each user's messages in two documents, and fails on "break" after it has changed them."""

    def __init__(self, conversation_state: ConversationState, user_state: UserState) -> None:
        self._states = conversation_state, user_state
        self._counts = [state.create_property("Count") for state in self._states]

    async def on_message_activity(self, turn_context: TurnContext) -> None:
        counts = [await count.get(turn_context, 0) + 1 for count in self._counts]
        for accessor, count in zip(self._counts, counts, strict=True):
            await accessor.set(turn_context, count)
        if turn_context.activity.text == "break":
            raise ZeroDivisionError("the bot's own bug")
        for state in self._states:
            await state.save_changes(turn_context)
        await turn_context.send_activity(f"{counts[0]} here, {counts[1]} from you")


@pytest.fixture
def settings(any_environment: Environment, tmp_path: Path) -> Settings:
    return Settings.from_env({**any_environment, "SQLITE_PATH": str(tmp_path / "state.db")})


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[tuple[str, StateStorage]]:
    app = create_app(settings, bot_factory=FragileBot)
    async with TestServer(app) as server:
        yield str(server.make_url("/api/messages")), app[STORAGE]


async def test_own_bot_gets_the_state_of_the_conversation_and_of_the_user(settings: Settings, channel: Channel) -> None:
    async with serving(settings) as (url, _):
        conversation = channel.conversation()
        assert await conversation.say("a", "u1", url) == ["1 here, 1 from you"]
        assert await conversation.say("b", "u2", url) == ["2 here, 1 from you"]
        assert await channel.conversation().say("c", "u1", url) == ["1 here, 2 from you"]


async def test_exception_of_the_bot_is_logged_answered_with_the_apology_and_changes_nothing(
    settings: Settings, channel: Channel, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(settings) as (url, storage):
        conversation = channel.conversation()
        await conversation.say("a", "u1", url)
        keys = [f"emulator/conversations/{conversation.id}", "emulator/users/u1"]
        before = await storage.load(keys)
        assert set(before) == set(keys)

        with caplog.at_level(logging.ERROR):
            assert await conversation.say("break", "u1", url) == APOLOGY

        (record,) = [record for record in caplog.records if record.name.startswith("bots")]
        assert record.exc_info is not None
        assert record.exc_info[0] is ZeroDivisionError
        assert "on_message_activity" in caplog.text
        after = await storage.load(keys)  # but for what is tidied after the replies
        assert {key: found.value | {"$turn": 0} for key, found in after.items()} == {
            key: found.value | {"$turn": 0} for key, found in before.items()
        }
        assert await conversation.say("b", "u1", url) == ["2 here, 2 from you"]


def test_importing_app_and_building_it_opens_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    create_app(Settings())
    assert list(tmp_path.iterdir()) == []
