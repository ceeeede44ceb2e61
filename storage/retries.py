"""Sending a request again: a few times, spread in time, and the less the longer a service fails.

Every layer that retries multiplies what a dead service is sent. So retries are paid from a budget that successes earn,
as gRPC's clients do (https://github.com/grpc/proposal/blob/master/A6-client-retries.md#throttling-retry-attempts-and-hedged-rpcs):
a hiccup is smoothed over, an outage costs each operation one request. The pauses have full jitter:
https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Awaitable, Callable
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final, TypeVar

T = TypeVar("T")

ATTEMPTS: Final = 3  # of one operation
LONGEST_PAUSE: Final = 0.2  # seconds before the second attempt, doubled before the third
ROOM: Final = 10.0  # retries that a budget holds
EARNED: Final = 0.1  # retries that a success adds to it


def seconds_asked(retry_after: str) -> float:
    """Return the seconds that the header asks for, itself or by a date (RFC 9110, 10.2.3); 0 where it is neither."""
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(retry_after)
    except ValueError:
        return 0.0
    return max(0.0, moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() - time.time())


class Budget:
    """The retries that may still be sent to one service."""

    def __init__(self) -> None:
        self._left = ROOM

    def earn(self) -> None:
        """Count a success."""
        self._left = min(ROOM, self._left + EARNED)

    def spend(self) -> bool:
        """Whether there is a retry left, which is then taken."""
        if self._left < 1:
            return False
        self._left -= 1
        return True


async def retried(
    attempt: Callable[[], Awaitable[T]],
    retry_after: Callable[[Exception], float | None],
    *,
    budget: Budget,
    seconds: float,
) -> T:
    """Return what `attempt` returns, tried again where that may help. Raises what its last try raised.

    Args:
        attempt: sends the request once; bounded in time by itself.
        retry_after: for an error, None where trying again is pointless, else the seconds that the service wants to
            be left alone (0 where it did not say). No try begins earlier than that.
        budget: that of the service.
        seconds: no further try begins later than this.
    """
    clock = asyncio.get_running_loop().time
    end = clock() + seconds
    for number in itertools.count(1):
        try:
            result = await attempt()
        except Exception as error:
            asked = retry_after(error)
            if asked is None or number == ATTEMPTS:
                raise
            pause = asked + random.uniform(0, LONGEST_PAUSE * 2 ** (number - 1))  # noqa: S311 - spreads load only
            if clock() + pause >= end or not budget.spend():
                raise
            await asyncio.sleep(pause)
        else:
            budget.earn()
            return result
    raise AssertionError("not reached")
