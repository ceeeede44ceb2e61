"""A write that is done and not acknowledged is sent again and refused, and the turn knows it for its own."""

from __future__ import annotations

import uuid
from functools import partial

import pytest

from storage import ABSENT, StorageConflict, StorageUnavailable, Write
from tests.faults import proxy
from tests.faults.proxy import Fault, Match
from tests.faults.rig import BOTH, ONE, Rig, Talk
from tests.faults.tally_bot import TallyBot

pytestmark = pytest.mark.asyncio(loop_scope="module")

REMOTE = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("blob", "cosmos")]
LOSSES = {"reset": proxy.reset_after, "half": proxy.half_an_answer, "hang": proxy.hang_after}


def refusals(talk: Talk, scope: str) -> list[int]:
    """What the service has answered to writes that came second."""
    wrote = talk.writes(scope)
    return [status for request, status in talk.rig.remote.answered if wrote(request) and status in (409, 412)]


@pytest.mark.parametrize("any_backend", REMOTE, indirect=True)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("scope", ["conversation", "user"])
@pytest.mark.parametrize("is_new", [True, False], ids=["create", "replace"])
async def test_a_lost_acknowledgement_is_recognised_in_the_same_delivery(
    any_rig: Rig, scope: str, is_new: bool, loss: str
) -> None:
    talk = any_rig.talk()
    fault: Fault = LOSSES[loss]
    if not is_new:
        await talk.say(BOTH)
    before = refusals(talk, scope)
    with any_rig.remote.failing(talk.writes(scope), fault, times=1) as rule:
        message = talk.message(BOTH)
        before_runs = TallyBot.runs[message["id"]]
        answer = await talk.deliver(message)
    assert rule.hits == 1
    assert TallyBot.runs[message["id"]] == before_runs + 1  # no attempt was lost
    assert answer.status == 201
    assert talk.rig.happened(message) == ["loaded", "committed", "done"]  # neither lost nor delivered again
    assert len(refusals(talk, scope)) == len(before) + 1  # the service did not take the second copy
    await talk.check()


def writes(key: str) -> Match:
    """The writes of one document."""
    return lambda request: request.method in ("PUT", "POST") and key in request.name


@pytest.mark.parametrize("any_backend", REMOTE, indirect=True)
async def test_a_write_that_may_have_been_done_is_not_called_a_conflict(any_rig: Rig) -> None:
    key = f"document-{uuid.uuid4().hex}"
    # Of a kept connection that is reset aiohttp tells nobody: it sends a PUT once more by itself.
    with any_rig.remote.failing(writes(key), proxy.hang_after, times=1), pytest.raises(StorageUnavailable):
        await any_rig.storage.save({key: Write({"n": 1}, ABSENT)})
    assert (await any_rig.storage.load([key]))[key].value == {"n": 1}


@pytest.mark.parametrize("any_backend", REMOTE, indirect=True)
async def test_a_write_that_was_put_off_and_then_refused_is_a_conflict(any_rig: Rig) -> None:
    key = f"document-{uuid.uuid4().hex}"
    await any_rig.storage.save({key: Write({"n": 1}, ABSENT)})
    put_off = proxy.refused(429, x_ms_retry_after_ms="10")
    with any_rig.remote.failing(writes(key), put_off, times=1) as rule, pytest.raises(StorageConflict):
        await any_rig.storage.save({key: Write({"n": 2}, ABSENT)})
    assert rule.hits == 1


@pytest.mark.parametrize("any_backend", REMOTE, indirect=True)
@pytest.mark.parametrize("text", [ONE, BOTH])
async def test_acknowledgements_that_are_all_lost_are_found_by_the_next_delivery(any_rig: Rig, text: str) -> None:
    talk = any_rig.talk()
    await talk.say(BOTH)
    message = talk.message(text)
    lost = partial(any_rig.remote.failing, talk.writes("conversation"), proxy.reset_after)
    blind = partial(any_rig.remote.failing, talk.reads("conversation"), proxy.refused(503))
    with lost() as rule:
        any_rig.remote.rules.append(reading := proxy.Rule(lambda request: bool(rule.hits), proxy.refused(503)))
        assert (await talk.deliver(message)).status == 503
        any_rig.remote.rules.remove(reading)
    with blind():
        assert (await talk.deliver(message)).status == 503
    await talk.until_acknowledged(message)
    await talk.check()
