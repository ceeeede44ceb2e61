"""The state bot's process: `python app.py`. Everything is put together here, once."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress

from aiohttp import web
from botbuilder.core import Bot

from bots import StateManagementBot
from bots.adapter import BotIdentity, create_adapter
from bots.admission import admission
from bots.connector.pool import ConnectorPool
from bots.endpoint import MessagesEndpoint
from bots.state import ConversationState, UserState
from bots.turn.middleware import TurnTransaction
from bots.turn.runtime import Limits, Runtime
from config import ConfigError, Settings, environment
from storage import StateStorage, StorageError, StorageUnavailable, create_storage

BotFactory = Callable[[ConversationState, UserState], Bot]

MESSAGES = "/api/messages"
STORAGE = web.AppKey("storage", StateStorage)
TURNS = web.AppKey("turns", TurnTransaction)
SHUTDOWN_SECONDS = web.AppKey("shutdown_seconds", float)
OPEN_SECONDS = 10.0  # for the storage to answer before the process gives up
CANNOT_START = 2  # exit code
_STORAGE_VARIABLES = {
    "sqlite": "SQLITE_PATH",
    "blob": "BLOB_CONNECTION_STRING or BLOB_ACCOUNT_URL (with AZURE_CLIENT_ID), BLOB_CONTAINER, STORAGE_CREATE",
    "cosmos": "COSMOS_ENDPOINT, COSMOS_KEY (or AZURE_CLIENT_ID), COSMOS_DATABASE, COSMOS_CONTAINER, STORAGE_CREATE",
}


def create_app(settings: Settings, bot_factory: BotFactory = StateManagementBot) -> web.Application:
    """Return the application: the bot at `POST /api/messages`, with `GET /healthz` and `GET /readyz`.

    Args:
        settings: what the environment decides.
        bot_factory: builds the bot from its conversation and user state; bring your own.

    Raises ValueError where a setting cannot be parsed. The storage is opened when the application starts.
    """
    storage = create_storage(settings)
    identity = BotIdentity(
        settings.app_id or None, settings.app_password or None, settings.app_type, settings.app_tenant_id or None
    )
    connectors = ConnectorPool(settings.reply_timeout)
    adapter = create_adapter(identity, connectors)
    states = ConversationState(storage), UserState(storage)
    turns = TurnTransaction(storage, *states, runtime=Runtime(limits=Limits(turn=settings.turn_timeout)))
    adapter.use(turns)
    bot = bot_factory(*states)
    app = web.Application(middlewares=[admission(MESSAGES)])
    app[STORAGE] = storage
    app[TURNS] = turns
    app[SHUTDOWN_SECONDS] = settings.shutdown_timeout
    app.cleanup_ctx.append(_opened)
    app.on_cleanup.append(lambda _app: connectors.aclose())
    app.router.add_post(MESSAGES, MessagesEndpoint(adapter, bot).post)
    app.router.add_get("/healthz", _healthz)
    app.router.add_get("/readyz", _readyz)
    return app


async def _opened(app: web.Application) -> AsyncIterator[None]:
    storage = app[STORAGE]
    async with AsyncExitStack() as stack:
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                await stack.enter_async_context(storage)
        except TimeoutError as error:
            raise StorageUnavailable(f"{storage} did not answer within {OPEN_SECONDS:.0f} s") from error
        try:
            yield
        finally:
            with suppress(TimeoutError):  # what is done after the replies need not happen
                async with asyncio.timeout(app[SHUTDOWN_SECONDS]):
                    await app[TURNS].aclose()


async def _healthz(_request: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})


async def _readyz(request: web.Request) -> web.Response:
    try:
        await request.app[STORAGE].ping()
    except StorageError as error:
        return web.json_response({"status": "unavailable", "storage": str(error)}, status=503)
    return web.json_response({"status": "ok", "storage": str(request.app[STORAGE])})


async def serve(settings: Settings, bot_factory: BotFactory = StateManagementBot) -> None:
    """Run the bot until SIGTERM or Ctrl-C, then finish the running turns and close every client.

    Raises `ConfigError` where the settings do not work: storage, host or port.
    """
    try:
        app = create_app(settings, bot_factory)
    except ValueError as error:  # its text may hold a secret: an SDK repeats what it cannot parse
        raise _unusable_storage(settings, "its SDK cannot use the settings") from error
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=settings.shutdown_timeout)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        with suppress(NotImplementedError):  # Windows: there Ctrl-C cancels this task
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        await runner.setup()
        await web.TCPSite(runner, settings.host, settings.port).start()
        port = runner.addresses[0][1]
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        print(f"State bot on http://{host}:{port}{MESSAGES}, state in {app[STORAGE]}", flush=True)
        await stop.wait()
    except StorageError as error:
        raise _unusable_storage(settings, str(error)) from error
    except OSError as error:
        raise ConfigError(f"cannot listen on HOST={settings.host}, PORT={settings.port}: {error.strerror}") from error
    finally:
        await runner.cleanup()


def _unusable_storage(settings: Settings, reason: str) -> ConfigError:
    kind = settings.state_storage
    return ConfigError(
        f"STATE_STORAGE={kind}: {reason.rstrip('.')}; check {_STORAGE_VARIABLES.get(kind, 'STATE_STORAGE')}"
    )


def main(bot_factory: BotFactory = StateManagementBot) -> int:
    """Start the bot from the environment, yours or the sample's; return the process's exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("azure").setLevel(logging.ERROR)  # it logs each request, and what we raise anyway
    try:
        asyncio.run(serve(Settings.from_env(environment()), bot_factory))
    except ConfigError as error:
        print(f"state bot: {error}", file=sys.stderr)
        return CANNOT_START
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
