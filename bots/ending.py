"""The time that a process has which is told to end: for its turns, and with what is left for what follows them."""

from __future__ import annotations

import asyncio

from aiohttp import web


class Ending:
    """Put `begin` on the application's `on_shutdown`.

    Args:
        seconds: in all.

    Attributes:
        by: when it is over, on the event loop's clock; None until it begins.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.by: float | None = None

    async def begin(self, _app: web.Application) -> None:
        """Let the time run."""
        self.by = asyncio.get_running_loop().time() + self._seconds
