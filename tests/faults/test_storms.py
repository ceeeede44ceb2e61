"""How many requests a backend that fails gets under load: no storm."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.faults import proxy
from tests.faults.proxy import Fault
from tests.faults.rig import BOTH, RECOVERY, Rig

pytestmark = pytest.mark.asyncio(loop_scope="module")

REMOTE = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("blob", "cosmos")]
TURNS = 60
DOCUMENTS = 2  # that a turn loads
DEAD: dict[str, Fault] = {
    "503": proxy.refused(503),
    "429": proxy.refused(429, Retry_After="1"),
    "reset": proxy.reset_before,
    "hang": proxy.hang,
}


@pytest.mark.parametrize("any_backend", REMOTE, indirect=True)
@pytest.mark.parametrize("fault", DEAD)
async def test_a_dead_backend_is_sent_hardly_more_than_one_request_for_each_document(
    any_rig: Rig, fault: str, record_property: Callable[[str, object], None]
) -> None:
    store, talks = any_rig.remote, [any_rig.talk() for _ in range(TURNS)]
    before = len(store.seen)
    with store.failing(lambda _request: True, DEAD[fault]):
        answers = await asyncio.gather(*(talk.deliver(talk.message(BOTH)) for talk in talks))
    sent = (len(store.seen) - before) / TURNS
    record_property("requests a turn", sent)
    print(f"{any_rig.backend}, {fault}: {sent:.2f} requests a turn")  # noqa: T201 - a figure
    assert {answer.status for answer in answers} == {503}
    # What meets a kept connection that is dead, aiohttp itself sends once more, over another.
    assert sent <= DOCUMENTS * (2 if fault == "reset" else 1) + 0.5
    async with asyncio.timeout(RECOVERY):
        await talks[0].say(BOTH)


@pytest.mark.parametrize("any_backend", REMOTE, indirect=True)
async def test_writes_to_a_backend_that_refuses_them_are_tried_a_few_times(any_rig: Rig) -> None:
    store, talks = any_rig.remote, [any_rig.talk() for _ in range(TURNS)]
    before = len(store.seen)
    with store.failing(lambda request: request.method != "GET", proxy.refused(503)):
        answers = await asyncio.gather(*(talk.deliver(talk.message(BOTH)) for talk in talks))
    sent = (len(store.seen) - before) / TURNS
    print(f"{any_rig.backend}, writes refused: {sent:.2f} requests a turn")  # noqa: T201 - a figure
    assert {answer.status for answer in answers} == {503}
    # Two loads of two documents, then the protocol's five tries: each a write and the question whether it was done.
    assert sent <= 2 * DOCUMENTS + 2 * 5 * DOCUMENTS + 0.5
