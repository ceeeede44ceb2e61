"""With any safeguard of the protocol taken out, the exploration finds a schedule that nothing explains."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.exploration import planted
from tests.exploration.explore import Exploration, Scenario
from tests.exploration.scenarios import LARGE, SCENARIOS, both, deliver, only_c, settled
from tests.exploration.search import ViolationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

BY_ACTIVITY = Scenario(deliver(both, both, only_c), settled, activity_is_txn=True)
EARLY = dataclasses.replace(SCENARIOS["acknowledgement lost anywhere"], script=planted.replies_before_save)

BUGS: Final[dict[str, tuple[Callable[[], AbstractContextManager[Any]], Scenario]]] = {
    "no ledger": (planted.no_ledger, SCENARIOS["redelivery, acknowledgement lost"]),
    "unconditional create": (planted.unconditional_create, SCENARIOS["absent documents"]),
    "replies before the save": (contextlib.nullcontext, EARLY),
    "the conversation written first": (planted.conversation_first, SCENARIOS["absent documents"]),
    "no touch": (planted.no_touch, SCENARIOS["commit in flight while another conversation undoes it"]),
    "transaction named by the activity": (contextlib.nullcontext, BY_ACTIVITY),
    "ledger evicted by count": (planted.evicted_by_count, SCENARIOS["redelivery, ledger at its bound"]),
    "decider judged by an old load": (planted.old_decider, SCENARIOS["two conversations of one user"]),
    "note not read again": (
        planted.note_not_read_again,
        SCENARIOS["two conversations of one user with a reader"],
    ),
    "torn snapshot": (
        planted.one_load_always,
        SCENARIOS["torn snapshot: a document and its conversation move on"],
    ),
    "any commit vouches": (planted.any_commit_vouches, SCENARIOS["two users of a conversation"]),
    "a reader that never writes": (
        planted.silent_reader,
        SCENARIOS["two conversations of one user with a reader"],
    ),
    "documents only read are not held": (planted.only_the_changed, SCENARIOS["two shared documents"]),
    "notes not bound to their state": (planted.unverified_notes, SCENARIOS["a stock bot wrote over a note"]),
    "evidence forgotten": (planted.seen_forgotten_unread, SCENARIOS["more users seen than are kept"]),
    "a lost conversation judged by its absence alone": (
        planted.absence_alone,
        SCENARIOS["an expired conversation begins anew without the user"],
    ),
    "own success not recognised": (planted.own_success_unknown, SCENARIOS["no activity id"]),
}


@pytest.mark.parametrize("name", BUGS)
def test_exploration_finds(name: str) -> None:
    plant, scenario = BUGS[name]
    with plant(), pytest.raises(ViolationError) as violation:
        Exploration(scenario).exhaust()
    assert "1. " in str(violation.value), "the schedule is told step by step"


def test_random_walks_find_a_bug_too() -> None:
    with planted.one_load_always(), pytest.raises(ViolationError):
        Exploration(LARGE["four deliveries"]).walk(walks=2_000, seed=45)
