"""The application over HTTP as a channel sees it, with a connector that receives the replies."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer
from botbuilder.core import Bot, TurnContext

from app import SERVER_OPTIONS, STORAGE, create_app
from bots import StateManagementBot
from bots.state import ConversationState, UserState
from config import Settings
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
        # An id of its own: the same one again would be a redelivery.
        return {**EMULATOR, "id": str(uuid.uuid4()), "serviceUrl": self.service_url, **changes}

    async def post(self, body: object, **headers: str) -> ClientResponse:
        data = body if isinstance(body, (str, bytes, AsyncIterator)) else json.dumps(body)
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
        bot_server = TestServer(app)
        await bot_server.start_server(**SERVER_OPTIONS)
        client = await stack.enter_async_context(TestClient(bot_server))
        storage = app[STORAGE]
        assert isinstance(storage, MemoryStorage)
        yield Channel(client, str(server.make_url("")), replies, paths, storage, turns)
