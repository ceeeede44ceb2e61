"""The time that a delivery has: a channel waits 15 s for the answer, and then delivers again.

One moment is set when the request arrives, and every step of it ends by then, whatever bound of its own it has.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from bots.turn.errors import TurnTooSlow

REPLYING: Final = 2.0  # seconds that the replies of a turn have which took all its time to be decided


@dataclass(slots=True)
class _Delivery:
    decided_by: float = math.inf  # on the event loop's clock


_DELIVERY: ContextVar[_Delivery] = ContextVar("delivery")


@contextmanager
def delivery(seconds: float) -> Iterator[None]:
    """Handle a delivery in the block: it is decided `seconds` from now, and answered `REPLYING` later, or given up."""
    own = _Delivery(asyncio.get_running_loop().time() + seconds)
    token = _DELIVERY.set(own)
    try:
        yield
    finally:
        _DELIVERY.reset(token)
        own.decided_by = math.inf  # a task that the bot leaves behind has time


def time_to_decide(seconds: float = math.inf) -> asyncio.Timeout:
    """Bound a step before the decision, as `asyncio.timeout` does: by `seconds`, and by what the delivery has left."""
    return _until(min(asyncio.get_running_loop().time() + seconds, _decided_by()))


def time_to_reply() -> asyncio.Timeout:
    """The same for a step after the decision."""
    return _until(_decided_by() + REPLYING)


@asynccontextmanager
async def in_time(conversation: str, seconds: float) -> AsyncIterator[None]:
    """Cancel the block, in which a turn is decided, when its time is up, and raise `TurnTooSlow` then."""
    limit = time_to_decide(seconds)
    try:
        async with limit:
            yield
    except Exception as error:
        if limit.expired():  # otherwise it is the bot's own, whatever it has made of being cancelled
            raise TurnTooSlow(f"{conversation!r}: a turn was not decided within {seconds:g} s") from error
        raise


def _decided_by() -> float:
    return _DELIVERY.get(_Delivery()).decided_by


def _until(moment: float) -> asyncio.Timeout:
    return asyncio.timeout_at(None if math.isinf(moment) else moment)
