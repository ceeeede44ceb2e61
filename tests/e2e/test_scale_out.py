"""Three replicas under fire count every acknowledged message once, in one order; and with a fault, this is noticed.

`SCALE_OUT_FACTOR=10` sends ten times as many messages and kills as many times more; `SCALE_OUT_SEED` plays another run.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest

from config import Settings
from infra.local.channel import Channel, Manner
from tests.e2e.conftest import Environment, Start
from tests.e2e.counting_bot import KEPT, PARTS
from tests.e2e.history import History
from tests.e2e.stored import stored
from tests.e2e.traffic import Plan, Replicas, Traffic

ROOT = Path(__file__).parents[2]
FACTOR = int(os.environ.get("SCALE_OUT_FACTOR", "1"))
SEED = int(os.environ.get("SCALE_OUT_SEED", "45"))
PLANTED = Plan(SEED, messages=60, groups=2, again=0.3, patience=2)
TWICE = replace(PLANTED, messages=120, users=6, groups=1, at_once=40, again=1.0)  # each message to two replicas at once
FEW_USERS = replace(PLANTED, messages=100, users=2, groups=6)  # each in many conversations at once
RUNS = 6  # at most, until a fault is noticed
PLACES = ("SQLITE_PATH", "BLOB_CONTAINER", "COSMOS_CONTAINER")

COUNTED_AGAIN = r"counted \S+ \d times"
WRONG_REPLY = "replied"
LOST = "acknowledged, and not counted"


@dataclass(frozen=True, slots=True)
class Run:
    """What came of one run: the traffic, and what is wrong with it."""

    traffic: Traffic
    violations: list[str]
    logs: str


async def run(environment: Environment, start: Start, channel: Channel, plan: Plan, *fault: str) -> Run:
    """Play the plan to three replicas of the counting bot and judge what came of it."""
    environment = environment | {"PYTHONPATH": str(ROOT)}
    program = partial(start, environment, "-m", "tests.e2e.counting_bot", *fault)
    async with Replicas.running(program, 3) as replicas:
        traffic = Traffic(channel, replicas, plan)
        await traffic.run()
    documents = await stored(Settings.from_env(environment), traffic)
    return Run(traffic, History(traffic.messages, documents, PARTS).violations(), replicas.logs)


async def noticed(
    symptom: str, environment: Environment, start: Start, channel: Channel, plan: Plan, fault: str
) -> bool:
    """Whether one of a few runs shows the fault: which turns meet is up to the machine."""
    for number in range(RUNS):
        places = {name: f"{environment[name]}{number}" for name in PLACES if name in environment}
        judged = await run({**environment, **places, "STORAGE_CREATE": "true"}, start, channel, plan, fault)
        if any(re.search(symptom, violation) for violation in judged.violations):
            return True
    return False


def capricious(seed: int) -> Callable[[], Manner]:
    """A connector that is slow, refuses, or fails after it has shown the reply, at random."""
    chance = random.Random(seed)  # noqa: S311 - plays the connector, hides nothing

    def manner() -> Manner:
        kind = chance.random()
        if kind < 0.05:
            return Manner(status=chance.choice((400, 409, 412, 500, 503)), shown=chance.random() < 0.5)
        return Manner(seconds=chance.uniform(0, 0.5) if kind < 0.2 else 0.0)

    return manner


async def test_every_acknowledged_message_counts_once_in_one_order(
    durable_environment: Environment, start: Start, channel: Channel
) -> None:
    plan = Plan(SEED, messages=200 * FACTOR, kills=5 * FACTOR)
    assert plan.messages < KEPT
    assert (await run(durable_environment, start, channel, plan)).violations == []


async def test_every_acknowledged_message_counts_once_where_the_connector_is_slow_or_fails(
    durable_environment: Environment, start: Start, channel: Channel
) -> None:
    with channel.behaving(capricious(SEED)):
        judged = await run(durable_environment, start, channel, Plan(SEED + 1, messages=80 * FACTOR, kills=FACTOR))
    assert judged.violations == []
    assert "did not take the replies" in judged.logs


@pytest.mark.parametrize(
    ("fault", "plan", "symptom"),
    [
        ("no_transaction", PLANTED, COUNTED_AGAIN),
        ("no_ledger", PLANTED, COUNTED_AGAIN),
        ("evicted_by_count", PLANTED, COUNTED_AGAIN),
        ("replies_before_the_commit", PLANTED, WRONG_REPLY),
        ("transaction_named_by_the_activity", TWICE, WRONG_REPLY),
        ("unconditional_writes", PLANTED, LOST),
    ],
)
@pytest.mark.sqlite
async def test_fault_in_the_bot_is_noticed(
    fault: str, plan: Plan, symptom: str, machine: Environment, start: Start, channel: Channel, tmp_path: Path
) -> None:
    environment = machine | {"STATE_STORAGE": "sqlite", "SQLITE_PATH": str(tmp_path / "state.db")}
    assert await noticed(symptom, environment, start, channel, plan, fault)


@pytest.mark.parametrize(
    ("durable_environment", "fault", "plan", "symptom"),
    [
        pytest.param("blob", "every_note_committed", PLANTED, COUNTED_AGAIN, marks=pytest.mark.blob),
        pytest.param("blob", "no_touch", FEW_USERS, LOST, marks=pytest.mark.blob),
        pytest.param("blob", "stock_sdk", replace(PLANTED, messages=40, patience=1), LOST, marks=pytest.mark.blob),
        pytest.param("cosmos", "conversation_first", PLANTED, LOST, marks=pytest.mark.cosmos),
    ],
    indirect=["durable_environment"],
)
async def test_fault_on_a_service_without_transactions_is_noticed(
    durable_environment: Environment, fault: str, plan: Plan, symptom: str, start: Start, channel: Channel
) -> None:
    assert await noticed(symptom, durable_environment, start, channel, plan, fault)
