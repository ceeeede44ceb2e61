"""Every fault at every step of a turn on every backend: nothing acknowledged is lost or counted twice, and it passes.

Each cell meets its fault twice: once a single request fails, and once all do for as long as the fault lasts. The single
one is not noticed at all: the message is acknowledged at its first delivery, unless `SEEN` has the fault.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Final

import pytest

from storage import retries
from tests.faults import proxy
from tests.faults.proxy import Fault, Match, Rule
from tests.faults.results import CELLS, Cell
from tests.faults.rig import BOTH, ONE, STORAGE_SECONDS, Activity, Rig, Talk

pytestmark = pytest.mark.asyncio(loop_scope="module")

FAULTS: Final[dict[str, Fault]] = {
    "latency": proxy.slow(0.1),
    "too slow": proxy.slow(STORAGE_SECONDS * 3),
    "429": proxy.refused(429, x_ms_retry_after_ms="50"),
    "429 for seconds": proxy.refused(429, Retry_After="7"),
    "500": proxy.refused(500),
    "503": proxy.refused(503),
    "401": proxy.refused(401),
    "403": proxy.refused(403),
    "reset before": proxy.reset_before,
    "reset after": proxy.reset_after,
    "half an answer": proxy.half_an_answer,
    "hang": proxy.hang,
    "hang after": proxy.hang_after,
}
REFUSED: Final = {"401", "403", "429 for seconds"}  # to ask again would be pointless, or too late
SEEN: Final[dict[str, set[str]]] = {
    "load": REFUSED,
    "undo": REFUSED,
    "reply": REFUSED | {"too slow", "hang", "hang after"},  # sent again, a slow channel would show it twice
}
CHANCES: Final = 3  # for a fault that takes time, which a busy machine may not have
AT_ONCE: Final = 5
CONVERSATION, USER = "conversation", "user"
STEPS: Final[dict[str, tuple[str, Callable[[Talk], Match]]]] = {
    "load": (BOTH, lambda talk: talk.reads(CONVERSATION, USER)),  # the one is not read in every turn
    "commit of one": (ONE, lambda talk: talk.writes(CONVERSATION)),
    "note": (BOTH, lambda talk: talk.writes(USER)),
    "commit of two": (BOTH, lambda talk: talk.writes(CONVERSATION)),
}

Arm = Callable[[int | None], AbstractContextManager[Rule]]


@pytest.fixture(scope="module", autouse=True)
def plenty_of_retries() -> Iterator[None]:
    """Let no cell spend the retries of another; how few they are is `test_storms`' matter."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retries, "ROOM", 1_000_000.0)
        yield


REMOTE = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("blob", "cosmos")]
remote = pytest.mark.parametrize("any_backend", REMOTE, indirect=True)


async def every(check: Callable[[str, Fault], Awaitable[None]]) -> None:
    """Check all faults, several at a time: each in conversations of its own, which are all that it strikes."""
    places = asyncio.Semaphore(AT_ONCE)

    async def checked(name: str, fault: Fault) -> None:
        async with places:
            await check(name, fault)

    failures = await asyncio.gather(*(checked(*each) for each in FAULTS.items()), return_exceptions=True)
    named = dict(zip(FAULTS, failures, strict=True))
    for name, failure in named.items():
        if failure:
            failure.add_note(f"in the cell {name!r}")
    if found := [failure for failure in failures if failure]:
        raise BaseExceptionGroup("cells of the matrix", found)


async def at_first_delivery(once: Callable[[], Awaitable[bool]], step: str, fault: str) -> bool:
    """Meet a fault once; whether the message was acknowledged all the same, which it is wherever that can be."""
    if fault in SEEN.get(step, set()):
        return await once()
    for _ in range(CHANCES):
        if await once():
            return True
    raise AssertionError(f"{fault} at {step} costs a delivery")


async def strike(talk: Talk, text: str, arm: Arm, step: str, fault: str) -> None:
    """Meet the fault once, then as long as it lasts; see that it passes, and that all is well."""
    await talk.say(BOTH)

    async def once() -> bool:
        message = talk.message(text)
        with arm(1) as rule:
            acknowledged = await talk.meet(message, rule)
        await talk.until_acknowledged(message)
        return acknowledged

    survived = await at_first_delivery(once, step, fault)
    lasting = talk.message(text)
    with arm(None) as rule:
        acknowledged = await talk.meet(lasting, rule)
    recovery = 0.0 if acknowledged else await talk.until_acknowledged(lasting)
    await talk.say(BOTH)
    await talk.check()
    CELLS.append(Cell(talk.rig.backend, step, fault, survived, recovery))


@remote
@pytest.mark.parametrize("step", STEPS)
async def test_a_backend_that_fails_costs_nothing_that_was_acknowledged(any_rig: Rig, step: str) -> None:
    text, requests = STEPS[step]

    async def check(name: str, fault: Fault) -> None:
        talk = any_rig.talk()
        await strike(talk, text, partial(any_rig.remote.failing, requests(talk), fault), step, name)

    await every(check)


@remote
async def test_what_a_failed_turn_left_is_resolved_while_that_fails_too(any_rig: Rig) -> None:
    async def check(name: str, fault: Fault) -> None:
        first = any_rig.talk()
        second = any_rig.talk(first.user)
        await first.say(BOTH)
        left: list[Activity] = []

        async def meet(times: int | None) -> tuple[bool, float]:
            left.append(await note_of_a_failed_turn(first))
            message = second.message(BOTH)
            with any_rig.remote.failing(first.touches(CONVERSATION), fault, times) as rule:
                acknowledged = await second.meet(message, rule)
            return acknowledged, 0.0 if acknowledged else await second.until_acknowledged(message)

        async def once() -> bool:
            return (await meet(1))[0]

        survived = await at_first_delivery(once, "undo", name)
        _, recovery = await meet(None)
        for message in left:
            await first.until_acknowledged(message)
        await first.check(second)
        await second.check(first)
        CELLS.append(Cell(any_rig.backend, "undo", name, survived, recovery))

    await every(check)


async def note_of_a_failed_turn(talk: Talk) -> Activity:
    """Let a turn fail between its note and its commit; return its message."""
    store, message = talk.rig.remote, talk.message(BOTH)
    before, writes = len(store.answered), talk.writes(USER)

    def is_there() -> bool:
        decider, answered = talk.conversation.id.encode(), store.answered[before:]
        return any(status < 300 and writes(sent) and decider in sent.body for sent, status in answered)

    with store.failing(talk.writes(CONVERSATION), proxy.refused(403)):
        while not is_there():  # on a busy machine it may fail earlier
            assert (await talk.deliver(message)).status == 503
    return message


async def test_a_channel_that_fails_gets_each_reply_in_the_end(any_rig: Rig) -> None:
    async def check(name: str, fault: Fault) -> None:
        talk = any_rig.talk()
        await strike(talk, BOTH, partial(any_rig.to_channel.failing, talk.replies, fault), "reply", name)

    await every(check)


@pytest.mark.parametrize("days", [1, -1])
@pytest.mark.parametrize("text", [ONE, BOTH])
async def test_a_clock_that_jumps_changes_nothing(any_rig: Rig, text: str, days: int) -> None:
    talk, step, jump = any_rig.talk(), f"clock, {text}", f"{days:+d} day"
    await talk.say(text)
    again = talk.message(text)
    await talk.until_acknowledged(again)

    async def once() -> bool:
        message = talk.message(text)
        answer = await talk.deliver(message)
        await talk.until_acknowledged(message)
        return answer.status < 300

    try:
        any_rig.clock.ahead = days * 86_400.0
        await talk.until_acknowledged(again)
        survived = await at_first_delivery(once, step, jump)
    finally:
        any_rig.clock.ahead = 0.0
    await talk.until_acknowledged(again)
    recovery = await talk.say(text)
    CELLS.append(Cell(any_rig.backend, step, jump, survived, recovery))
    await talk.check()
