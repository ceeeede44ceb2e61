"""Retries: few, in time, as the service asks, and none when most fail."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Mapping
from email.utils import formatdate
from typing import Any

import pytest
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    IncompleteReadError,
    ServiceRequestError,
)

from storage.errors import StorageConflict
from storage.retries import ATTEMPTS, ROOM, Budget, retried, seconds_asked
from storage.service_errors import retry_after


class TransientError(Exception):
    """Says how long to wait."""

    def __init__(self, seconds: float | None = 0.0) -> None:
        self.seconds = seconds


def failing(times: float, error: Exception) -> tuple[Callable[[], Awaitable[str]], list[float]]:
    """An attempt that fails so often, and when it was made."""
    left, made = itertools.count(), []

    async def attempt() -> str:
        made.append(time.monotonic())
        if next(left) < times:
            raise error
        return "done"

    return attempt, made


async def run(attempt: Callable[[], Awaitable[str]], budget: Budget | None = None, seconds: float = 5.0) -> str:
    return await retried(
        attempt, lambda error: getattr(error, "seconds", None), budget=budget or Budget(), seconds=seconds
    )


async def test_a_failure_that_passes_is_not_seen() -> None:
    attempt, made = failing(ATTEMPTS - 1, TransientError())
    assert await run(attempt) == "done"
    assert len(made) == ATTEMPTS


async def test_attempts_are_bounded_and_the_last_error_is_raised() -> None:
    error = TransientError()
    attempt, made = failing(99, error)
    with pytest.raises(TransientError) as raised:
        await run(attempt)
    assert raised.value is error
    assert len(made) == ATTEMPTS


@pytest.mark.parametrize("error", [ValueError(), TransientError(None)])
async def test_what_would_fail_again_is_not_tried_again(error: Exception) -> None:
    attempt, made = failing(99, error)
    with pytest.raises(type(error)):
        await run(attempt)
    assert len(made) == 1


async def test_the_service_is_left_alone_as_long_as_it_asks() -> None:
    attempt, made = failing(1, TransientError(0.3))
    await run(attempt)
    assert made[1] - made[0] >= 0.3


async def test_what_the_service_asks_for_beyond_the_time_limit_ends_it_at_once() -> None:
    attempt, made = failing(1, TransientError(10.0))
    async with asyncio.timeout(1):
        with pytest.raises(TransientError):
            await run(attempt, seconds=2.0)
    assert len(made) == 1


async def test_an_outage_costs_one_attempt_each_and_successes_earn_retries_again() -> None:
    budget, attempts = Budget(), 0
    for _ in range(100):
        attempt, made = failing(99, TransientError())
        with pytest.raises(TransientError):
            await run(attempt, budget)
        attempts += len(made)
    assert attempts == 100 + ROOM
    for _ in range(11):
        await run(failing(0, TransientError())[0], budget)
    assert await run(failing(1, TransientError())[0], budget) == "done"


class Answer:
    reason = "no"

    def __init__(self, status: int, headers: Mapping[str, str]) -> None:
        self.status_code = status
        self.headers = headers


def answered(status: int, **headers: str) -> HttpResponseError:
    response: Any = Answer(status, {name.replace("_", "-"): value for name, value in headers.items()})
    return HttpResponseError(message="no", response=response)


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (answered(503), 0.0),
        (answered(500), 0.0),
        (answered(408), 0.0),
        (answered(429, **{"Retry-After": "3"}), 3.0),
        (answered(429, x_ms_retry_after_ms="250"), 0.25),
        (answered(503, **{"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}), 0.0),
        (answered(429, **{"Retry-After": "-5"}), 0.0),
        (ServiceRequestError("no route"), 0.0),
        (IncompleteReadError("half"), 0.0),
        (TimeoutError(), 0.0),
        (answered(400), None),
        (answered(401), None),
        (answered(403), None),
        (answered(404), None),
        (answered(413), None),
        (ClientAuthenticationError("no token"), None),
        (StorageConflict("k", None, None), None),
        (AttributeError("not an answer of the service's"), None),
        (None, None),
    ],
    ids=repr,
)
def test_what_may_be_sent_again_and_when(error: Exception | None, seconds: float | None) -> None:
    assert retry_after(error) == seconds


@pytest.mark.parametrize("zone", ["GMT", "-0000", "+0000"])
def test_the_moment_that_a_service_wants_to_be_left_alone_until_is_that_many_seconds_away(zone: str) -> None:
    moment = formatdate(time.time() + 100).replace("-0000", zone)
    assert 95 < seconds_asked(moment) <= 100


@pytest.mark.parametrize(
    "text", ["", "soon", "nan", "-1", "Fri, 31 Dec 1999 23:59:59 GMT", "Fri, 99 Dec 2099 99:99:99 GMT"]
)
def test_what_is_neither_a_number_nor_a_moment_to_come_asks_for_nothing(text: str) -> None:
    assert seconds_asked(text) == 0
