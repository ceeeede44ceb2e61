"""Three replicas under fire count every acknowledged message once, in one order; and with a fault, this is noticed.

`SCALE_OUT_FACTOR=10` sends ten times as many messages and kills as many times more; `SCALE_OUT_SEED` plays another run.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
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


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("fault", "symptom"),
    [
        ("no_transaction", r"counted \S+ \d times"),
        ("no_ledger", r"counted \S+ \d times"),
        ("replies_before_the_commit", "replied"),
        ("unconditional_writes", "acknowledged, and not counted"),
    ],
)
async def test_fault_in_the_bot_is_noticed(
    fault: str, symptom: str, machine: Environment, start: Start, channel: Channel, tmp_path: Path
) -> None:
    environment = machine | {"STATE_STORAGE": "sqlite", "SQLITE_PATH": str(tmp_path / "state.db")}
    judged = await run(environment, start, channel, PLANTED, fault)
    assert any(re.search(symptom, violation) for violation in judged.violations)


@pytest.mark.blob
@pytest.mark.parametrize(
    ("fault", "symptom"),
    [("every_note_committed", r"counted \S+ \d times"), ("stock_sdk", "acknowledged, and not counted")],
)
async def test_fault_on_a_service_without_transactions_is_noticed(
    fault: str,
    symptom: str,
    machine: Environment,
    blob_service: Environment,
    blob_settings: Settings,
    start: Start,
    channel: Channel,
) -> None:
    environment = machine | blob_service | {"BLOB_CONTAINER": blob_settings.blob_container, "STORAGE_CREATE": "true"}
    judged = await run(environment, start, channel, PLANTED, fault)
    assert any(re.search(symptom, violation) for violation in judged.violations)
