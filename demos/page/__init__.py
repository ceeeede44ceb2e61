"""The page at http://localhost:3978/: talk to the bot, and see its state move. In development only.

`app.py` mounts it where `Settings.is_local`: no app id, on loopback, not open to everyone; otherwise nothing here is
imported. It is a channel to the bot (Direct Line 3.0, `channel`), and a window into it (`feed`, `documents`).
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from aiohttp import web

from bots.turn.events import TurnEvent
from demos.page.channel import LocalChannel
from demos.page.connector import Connector
from demos.page.direct_line import DirectLine
from demos.page.feed import Feed
from demos.page.replicas import Replicas
from demos.page.routes import PageRoutes
from storage.base import StateStorage
from storage.errors import StorageError

AGAIN: Final = 2.0  # seconds until the others are told again that this process listens
_log = logging.getLogger(__name__)


class Page:
    """What the page needs of a process; `mount` puts it into the application."""

    def __init__(self, storage: StateStorage) -> None:
        self._feed = Feed()
        self._channel = LocalChannel(storage)
        self._replicas = Replicas(storage)
        self._announcing: asyncio.Task[None] | None = None
        self._routes = PageRoutes(self._channel, self._feed, self._replicas, storage)

    def observe(self, event: TurnEvent) -> None:
        """Show what happened in a turn."""
        self._feed.observe(event)

    def mount(self, app: web.Application) -> None:
        """Add the routes, and what is to be done when the application ends."""
        self._routes.mount(app)
        DirectLine(self._channel, self._routes.route_of).mount(app)
        Connector(self._channel, self._feed.replied).mount(app)
        app.on_shutdown.append(self._end_streams)
        app.on_cleanup.append(self._close)

    def listens(self, url: str) -> None:
        """Learn where the process listens (scheme, host, port), and tell the others as soon as the storage can."""
        self._replicas.me["url"] = url
        self._announcing = asyncio.create_task(self._announce())

    async def _announce(self) -> None:
        while True:
            try:
                return await self._replicas.announce()
            except StorageError as error:
                _log.warning("the other replicas cannot be told of this one yet: %s", error)
            await asyncio.sleep(AGAIN)

    async def _end_streams(self, _app: web.Application) -> None:
        if self._announcing:
            self._announcing.cancel()
        await self._feed.aclose()  # they never end by themselves, and the server waits for all that runs

    async def _close(self, _app: web.Application) -> None:
        await self._channel.aclose()
