"""The state bot's process: `python app.py`. Everything is put together here, once."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress
from typing import Any

from aiohttp import web
from azure.core.settings import settings as sdks
from botbuilder.core import Bot

from bots import StateManagementBot
from bots.adapter import create_adapter
from bots.azure_monitor import tell_azure_monitor
from bots.connector.pool import ConnectorPool
from bots.credentials import BotCredentialsFactory, BotIdentity
from bots.ending import Ending
from bots.endpoint import MessagesEndpoint
from bots.header_deadline import HeaderDeadline, connections_allowed
from bots.local_only import local_only
from bots.logs import LoopErrors, noted_txn, set_up
from bots.readiness import Readiness
from bots.refusals import expectations, refusals
from bots.state import ConversationState, UserState
from bots.turn.events import TurnObserver, unobserved
from bots.turn.middleware import TurnTransaction
from bots.turn.runtime import Limits, Runtime
from config import ConfigError, Settings, environment
from storage import StateStorage, StorageError, StorageUnavailable, create_storage

BotFactory = Callable[[ConversationState, UserState], Bot]

MESSAGES = "/api/messages"
STORAGE = web.AppKey("storage", StateStorage)
TURNS = web.AppKey("turns", TurnTransaction)
HEADS = web.AppKey("heads", HeaderDeadline)
SERVER_OPTIONS: dict[str, Any] = {
    "access_log": None,
    "auto_decompress": False,  # no channel compresses what it sends: it would be work for attackers to order
    # Idle; longer than proxies allow (nginx 60 s, Azure 240 s, Google 600 s): if we close as one sends, it says 502.
    "keepalive_timeout": 620.0,
    "lingering_time": 1.0,  # seconds in which the rest of a refused body is thrown away
}
BACKLOG = 128  # connections that wait to be accepted
LISTENS = web.AppKey[Callable[[str], None]]("listens")  # wants to know the URL, in development
ENDING = web.AppKey("ending", Ending)
_log = logging.getLogger(__name__)
OPEN_SECONDS = 10.0  # for the storage to answer before the process gives up
CANNOT_START = 2  # exit code
_STORAGE_VARIABLES = {
    "sqlite": "SQLITE_PATH",
    "blob": "BLOB_CONNECTION_STRING or BLOB_ACCOUNT_URL (with AZURE_CLIENT_ID), BLOB_CONTAINER, STORAGE_CREATE",
    "cosmos": "COSMOS_ENDPOINT, COSMOS_KEY (or AZURE_CLIENT_ID), COSMOS_DATABASE, COSMOS_CONTAINER, STORAGE_CREATE",
}


def create_app(settings: Settings, bot_factory: BotFactory = StateManagementBot) -> web.Application:
    """Return the application: the bot at `POST /api/messages`, with `GET /healthz` and `GET /readyz`.

    Where `settings.is_local` it also has a page for developers at `/`, and a local Direct Line.

    Args:
        settings: what the environment decides.
        bot_factory: builds the bot from its conversation and user state; bring your own.

    Raises ValueError where a setting cannot be parsed. The storage is opened when the application starts.
    """
    storage = create_storage(settings)
    identity = BotIdentity(
        settings.app_id or None, settings.app_password or None, settings.app_type, settings.app_tenant_id or None
    )
    credentials = BotCredentialsFactory(identity)
    connectors = ConnectorPool(settings.reply_timeout)
    adapter = create_adapter(identity, credentials, connectors)
    states = ConversationState(storage), UserState(storage)
    heads = HeaderDeadline(room=connections_allowed(BACKLOG))
    is_local = not (settings.app_id or settings.allow_unauthenticated)
    app = web.Application(
        client_max_size=settings.max_request_bytes,
        middlewares=[heads.middleware, refusals, *([local_only] if is_local else [])],
    )
    runtime = Runtime(new_txn=noted_txn, limits=Limits(turn=settings.turn_timeout))
    observer = _page(app, storage) if settings.is_local else unobserved
    turns = TurnTransaction(storage, *states, runtime=runtime, observer=observer)
    adapter.use(turns)
    bot = bot_factory(*states)
    app[STORAGE] = storage
    app[TURNS] = turns
    app[HEADS] = heads
    app[ENDING] = Ending(settings.shutdown_timeout)
    app.on_shutdown.append(app[ENDING].begin)
    app.cleanup_ctx.append(_opened)
    app.on_cleanup.append(lambda _app: connectors.aclose())
    app.on_cleanup.append(lambda _app: credentials.aclose())
    endpoint = MessagesEndpoint(adapter, bot, local_only=is_local, seconds=settings.turn_timeout)
    app.router.add_post(MESSAGES, endpoint.post, expect_handler=expectations)
    app.router.add_get("/healthz", _healthz)
    app.router.add_get("/readyz", Readiness(storage).get)
    return app


def _page(app: web.Application, storage: StateStorage) -> TurnObserver:
    """Add the page for developers to the application; return what shows turns on it."""
    from demos.page import Page  # in production it is never loaded, and need not be there

    page = Page(storage)
    page.mount(app)
    app[LISTENS] = page.listens
    return page.observe


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
                async with asyncio.timeout_at(app[ENDING].by):
                    await app[TURNS].aclose()


async def _healthz(_request: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})


async def serve(settings: Settings, bot_factory: BotFactory = StateManagementBot) -> None:
    """Run the bot until SIGTERM or Ctrl-C, then finish the running turns and close every client.

    Raises `ConfigError` where the settings do not work: storage, host or port.
    """
    try:
        app = create_app(settings, bot_factory)
    except ValueError as error:  # its text may hold a secret: an SDK repeats what it cannot parse
        raise _unusable_storage(settings, "its SDK cannot use the settings") from error
    # Half: aiohttp waits for the turns twice as long as it is told, the second time after it gave up reading bodies.
    runner = web.AppRunner(app, shutdown_timeout=settings.shutdown_timeout / 2, **SERVER_OPTIONS)
    stop = asyncio.Event()
    listening: asyncio.Server | None = None
    asyncio.get_running_loop().set_exception_handler(LoopErrors())
    for number in (signal.SIGTERM, signal.SIGINT):
        with suppress(NotImplementedError):  # Windows: there Ctrl-C cancels this task
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        await runner.setup()
        assert runner.server is not None
        connections = app[HEADS].factory(runner.server)
        listening = await asyncio.get_running_loop().create_server(
            connections, settings.host, settings.port, backlog=BACKLOG
        )
        port = listening.sockets[0].getsockname()[1]
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        print(f"State bot on http://{host}:{port}{MESSAGES}, state in {app[STORAGE]}", flush=True)
        if LISTENS in app:
            print(f"Talk to it, and see its state: http://{host}:{port}/", flush=True)
            app[LISTENS](f"http://{host}:{port}")
        await stop.wait()
    except StorageError as error:
        raise _unusable_storage(settings, str(error)) from error
    except OSError as error:
        raise ConfigError(f"cannot listen on HOST={settings.host}, PORT={settings.port}: {error.strerror}") from error
    finally:
        if listening:
            listening.close()
        await runner.cleanup()


def _unusable_storage(settings: Settings, reason: str) -> ConfigError:
    kind = settings.state_storage
    return ConfigError(
        f"STATE_STORAGE={kind}: {reason.rstrip('.')}; check {_STORAGE_VARIABLES.get(kind, 'STATE_STORAGE')}"
    )


def main(bot_factory: BotFactory = StateManagementBot) -> int:
    """Start the bot from the environment, yours or the sample's; return the process's exit code."""
    try:
        settings = Settings.from_env(environment())
        set_up(settings.log_format, details=settings.log_details)
        if settings.monitor_connection:
            tell_azure_monitor(settings.monitor_connection)
        sdks.tracing_enabled = sdks.tracing_enabled()  # as they decide by themselves, but once, not for each request
        asyncio.run(serve(settings, bot_factory))
    except ConfigError as error:
        print(f"state bot: {error}", file=sys.stderr)
        return CANNOT_START
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
