"""The time that a turn has, from an activity's arrival until it is decided."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bots.turn.errors import TurnTooSlow


@asynccontextmanager
async def in_time(conversation: str, seconds: float) -> AsyncIterator[None]:
    """Cancel the block when its time is up, and raise `TurnTooSlow` then."""
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            yield
    except Exception as error:
        if limit.expired():  # otherwise it is the bot's own, whatever it has made of being cancelled
            raise TurnTooSlow(f"{conversation!r}: a turn was not decided within {seconds:g} s") from error
        raise
