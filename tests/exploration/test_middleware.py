"""The middleware itself, with the SDK's turns around it and replicas that are killed, under every schedule.

`EXPLORE=all` visits every state of the large cases, too.
"""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

import pytest

from tests.exploration import planted_middleware as planted
from tests.exploration.cases import CASES, LARGE, both, only_c, transactional
from tests.exploration.investigation import Case, Investigation
from tests.exploration.process import TELLING, Program
from tests.exploration.search import ViolationError

EVERYTHING = os.environ.get("EXPLORE") == "all"


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """A schedule's log is not worth its time."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_what_is_acknowledged_counts_once_and_is_answered_in_every_schedule(case: Case) -> None:
    explored = Investigation(case).exhaust()
    assert explored.answered == len(case.deliveries), "some schedule acknowledges every activity"


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_so_it_does_on_a_transactional_store(case: Case) -> None:
    Investigation(transactional(case)).exhaust()


@pytest.mark.parametrize("store", [dataclasses.replace, transactional], ids=["separate", "transactional"])
@pytest.mark.parametrize("case", LARGE.values(), ids=LARGE.keys())
def test_so_it_does_in_random_schedules_of_more(case: Case, store: Callable[[Case], Case]) -> None:
    investigation = Investigation(store(case))
    if EVERYTHING:
        investigation.exhaust(at_most=50_000_000)
    else:
        investigation.walk(walks=60, seed=45)


BUGS: Final[dict[str, tuple[Callable[[], AbstractContextManager[Any]], str, Program]]] = {
    "replies before the commit": (nullcontext, "two replicas", planted.AT_ONCE),
    "no ledger": (planted.no_ledger, "one activity at two replicas", Program()),
    "settled before sending": (planted.settled_before_sending, "two messages at one replica, a fault", Program()),
    "marked before sending": (planted.marked_before_sending, "a fault and a crash", Program()),
    "failures to send ignored": (planted.failures_to_send_ignored, "a fault and a crash", Program()),
    "replies in another order": (planted.replies_in_another_order, "a fault and a crash", Program()),
    "sent replies sent again": (planted.nothing_remembered_of_what_was_sent, "a fault and a crash", Program()),
    "no replay": (planted.no_replay, "two replicas", Program()),
    "recent taken for the latest": (
        planted.recent_taken_for_the_latest,
        "to another replica and back, to read",
        Program(),
    ),
    "errors about the past told": (
        planted.recent_taken_for_the_latest,
        "to another replica and back, to complain",
        TELLING,
    ),
    "tidied before the commit": (planted.tidied_before_the_commit, "two replicas", Program()),
    "a failure acknowledged": (nullcontext, "a fault and a crash", planted.ACKNOWLEDGING),
    "a failed turn committed": (nullcontext, "a bot that raises beside another turn, a fault", planted.SWALLOWING),
}


@pytest.mark.parametrize("name", BUGS)
def test_exploration_of_the_middleware_finds(name: str) -> None:
    plant, case, program = BUGS[name]
    with plant(), pytest.raises(ViolationError) as violation:
        Investigation(dataclasses.replace(CASES[case], program=program)).exhaust()
    assert "1. " in str(violation.value), "the schedule is told step by step"


def test_random_schedules_find_a_bug_of_the_middleware_too() -> None:
    with planted.settled_before_sending(), pytest.raises(ViolationError):
        Investigation(LARGE["three messages of one conversation"]).walk(walks=1_000, seed=45)


@pytest.mark.parametrize(
    "case",
    [Case(((both, (0,)), (only_c, (0,))), faults=1, crashes=1), CASES["one activity twice at one replica"]],
    ids=["two activities", "one twice"],
)
def test_without_a_queue_turns_of_one_conversation_are_still_transactions(case: Case) -> None:
    """The queue saves attempts that would lose; what keeps turns apart is the commit, and replies their delivery."""
    with planted.no_queue():
        Investigation(case).walk(walks=100, seed=45)
