"""The same bot on the Microsoft 365 Agents SDK and its storages: `python -m demos.bench.successor ordinary|both`.

It runs in an environment of its own (requirements.txt here) and imports nothing else of this project. Each turn has
state objects of its own: shared ones, as the SDK's samples have them with an `ActivityHandler`, mix up conversations.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Final

from aiohttp import web
from microsoft_agents.hosting.aiohttp import CloudAdapter
from microsoft_agents.hosting.core import (
    ActivityHandler,
    ConversationState,
    MemoryStorage,
    Storage,
    TurnContext,
    UserState,
)
from microsoft_agents.hosting.core.authorization import AnonymousTokenProvider, ClaimsIdentity

from demos.bench import usage


class Agent(ActivityHandler):
    """Loads both states, does the workload's turn, saves both."""

    def __init__(self, storage: Storage, workload: str) -> None:
        self._storage = storage
        self._turn = _TURNS[workload]

    async def on_message_activity(self, turn_context: TurnContext) -> None:
        """Handle a message."""
        states = ConversationState(self._storage), UserState(self._storage)
        for state in states:
            await state.load(turn_context)
        texts = self._turn(turn_context.activity, *states)
        for text in texts:
            await turn_context.send_activity(text)
        for state in states:
            await state.save(turn_context)


def _ordinary(activity: Any, conversation: Any, user: Any) -> tuple[str, ...]:
    profile, data = user.get_value("UserProfile", dict), dict(conversation.get_value("ConversationData", dict))
    if profile.get("name"):
        data |= {"timestamp": str(activity.local_timestamp), "channel_id": str(activity.channel_id)}
        conversation.set_value("ConversationData", data)
        return (
            f"{profile['name']} sent: {activity.text}",
            f"Message received at: {data['timestamp']}",
            f"Message received from: {data['channel_id']}",
        )
    if data.get("prompted"):
        user.set_value("UserProfile", {"name": activity.text})
        return (f"Thanks {activity.text}. To see conversation data, type anything.",)
    conversation.set_value("ConversationData", {"prompted": True})
    return ("What is your name?",)


def _both(_activity: Any, *states: Any) -> tuple[str, ...]:
    for state in states:
        state.set_value("Count", (state.get_value("Count") or 0) + 1)
    return (" ".join(str(state.get_value("Count")) for state in states),)


_TURNS: Final[dict[str, Callable[..., tuple[str, ...]]]] = {"ordinary": _ordinary, "both": _both}


def _storage() -> Storage:
    kind = os.environ["STATE_STORAGE"]
    if kind == "blob":
        from microsoft_agents.storage.blob import BlobStorage, BlobStorageConfig

        return BlobStorage(BlobStorageConfig(os.environ["BLOB_CONTAINER"], os.environ["BLOB_CONNECTION_STRING"]))
    if kind == "cosmos":
        from microsoft_agents.storage.cosmos import CosmosDBStorage, CosmosDBStorageConfig

        return CosmosDBStorage(
            CosmosDBStorageConfig(
                os.environ["COSMOS_ENDPOINT"],
                os.environ["COSMOS_KEY"],
                "bot-state",
                os.environ["COSMOS_CONTAINER"],
                cosmos_client_options={"connection_verify": False},
            )
        )
    return MemoryStorage()


async def _serve(workload: str) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    anonymous = SimpleNamespace(get_token_provider=lambda *_: AnonymousTokenProvider())
    adapter, agent = CloudAdapter(connection_manager=anonymous), Agent(_storage(), workload)

    async def messages(request: web.Request) -> web.Response:
        request["claims_identity"] = ClaimsIdentity({}, False)
        answer: web.Response = await adapter.process(request, agent)
        return answer

    application = web.Application()
    application.router.add_post("/api/messages", messages)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(os.environ["PORT"])).start()
    print(f"Successor on http://127.0.0.1:{runner.addresses[0][1]}/api/messages", flush=True)
    await stop.wait()
    await runner.cleanup()


if __name__ == "__main__":
    usage.report(remote=os.environ["STATE_STORAGE"] in ("blob", "cosmos"))
    asyncio.run(_serve(sys.argv[1]))
