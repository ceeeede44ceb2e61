"""Turns are transactions under every interleaving, crash and lost acknowledgement of the scenarios."""

from __future__ import annotations

import dataclasses
import os

import pytest

from tests.exploration.explore import Exploration, Scenario
from tests.exploration.scenarios import LARGE, SCENARIOS, deliver, group_of_e, knows_e, of_d
from tests.exploration.search import ViolationError
from tests.exploration.turns import Turn

EVERYTHING = os.environ.get("EXPLORE") == "all"


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS.keys())
def test_every_schedule_is_explained_by_one_order_of_whole_turns(scenario: Scenario) -> None:
    explored = Exploration(scenario).exhaust()
    assert explored.answered == len(scenario.deliveries), "some schedule answers every delivery"


@pytest.mark.parametrize("scenario", (SCENARIOS | LARGE).values(), ids=(SCENARIOS | LARGE).keys())
def test_every_schedule_on_a_transactional_store_is_too(scenario: Scenario) -> None:
    Exploration(dataclasses.replace(scenario, transactional=True)).exhaust()


@pytest.mark.parametrize("scenario", LARGE.values(), ids=LARGE.keys())
def test_random_schedules_of_more_deliveries_are_too(scenario: Scenario) -> None:
    if EVERYTHING:
        Exploration(scenario).exhaust(at_most=50_000_000)
    else:
        Exploration(scenario).walk(walks=2_000, seed=45)


def test_order_between_turns_without_a_common_document_may_differ_from_the_clock() -> None:
    """The one limit that the protocol states: `w` is answered before `k` begins, yet counts as later.

    `u` has read what `w` changes, and `k` has not seen `u`; `w` and `k` have no document in common.
    """
    causal_reverse = Scenario(deliver(of_d, Turn("w", "B", ("D",), ("D",)), knows_e, tidies=False), group_of_e)
    with pytest.raises(ViolationError):
        Exploration(causal_reverse).exhaust()
