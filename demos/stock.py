"""The same bot on the stock storages: put together as sample 45 does, with nothing of ours below it.

`STATE_STORAGE` chooses `MemoryStorage` (of each process its own), `BlobStorage` or `CosmosDbPartitionedStorage`, all
botbuilder's.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable

from aiohttp import web
from azure.cosmos.documents import ConnectionPolicy
from botbuilder.azure import BlobStorage, BlobStorageSettings, CosmosDbPartitionedConfig, CosmosDbPartitionedStorage
from botbuilder.core import Bot, ConversationState, MemoryStorage, Storage, TurnContext, UserState
from botbuilder.integration.aiohttp import CloudAdapter, ConfigurationBotFrameworkAuthentication

from bots.adapter import APOLOGY
from bots.credentials import BotIdentity
from config import Settings, environment
from storage.local import is_loopback


def create_app(settings: Settings, bot_factory: Callable[[ConversationState, UserState], Bot]) -> web.Application:
    """Return the application that the sample's app.py makes, for any bot."""
    storage = _storage(settings)
    states = ConversationState(storage), UserState(storage)
    bot = bot_factory(*states)
    adapter = CloudAdapter(ConfigurationBotFrameworkAuthentication(BotIdentity(None, None, "MultiTenant", None)))

    async def on_error(context: TurnContext, error: Exception) -> None:
        logging.error("on_turn_error: %s: %s", type(error).__name__, error)
        for text in APOLOGY:
            await context.send_activity(text)
        await states[0].delete(context)  # "so that the bot does not get stuck in an error loop", as the sample has it

    async def messages(request: web.Request) -> web.Response:
        answer: web.Response = await adapter.process(request, bot)
        return answer

    adapter.on_turn_error = on_error
    app = web.Application()
    app.router.add_post("/api/messages", messages)
    return app


def main(bot_factory: Callable[[ConversationState, UserState], Bot]) -> int:
    """Run the bot from the environment until SIGTERM; return the exit code."""
    settings = Settings.from_env(environment())
    asyncio.run(_serve(create_app(settings, bot_factory), settings))
    return 0


async def _serve(app: web.Application, settings: Settings) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, settings.host, settings.port).start()
    print(f"Stock bot on http://{settings.host}:{runner.addresses[0][1]}/api/messages", flush=True)
    await stop.wait()
    await runner.cleanup()


def _storage(settings: Settings) -> Storage:
    if settings.state_storage == "blob":
        return BlobStorage(
            BlobStorageSettings(settings.blob_container, connection_string=settings.blob_connection_string)
        )
    if settings.state_storage == "cosmos":
        policy = ConnectionPolicy()
        policy.DisableSSLVerification = is_loopback(settings.cosmos_endpoint)
        return CosmosDbPartitionedStorage(
            CosmosDbPartitionedConfig(
                cosmos_db_endpoint=settings.cosmos_endpoint,
                auth_key=settings.cosmos_key,
                database_id=settings.cosmos_database,
                container_id=settings.cosmos_container,
                cosmos_client_options={"connection_policy": policy},
            )
        )
    return MemoryStorage()
