"""Three replicas in trouble all the way: nothing is lost, and neither memory nor file descriptors grow.

`SOAK_TURNS=36000`, or `make soak`, is an hour's worth of turns at ten a second, as fast as the machine goes. That one
is on the Cosmos server: every ten minutes Azurite looks for garbage, and after some thousand turns it does nothing
else.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from config import Settings
from infra.local.channel import Channel
from tests.e2e.conftest import Environment, Start
from tests.e2e.counting_bot import PARTS
from tests.e2e.history import History
from tests.e2e.stored import stored
from tests.e2e.traffic import Plan, Replicas, Traffic, dice
from tests.e2e.trouble import Trouble
from tests.faults.proxy import Proxy
from tests.faults.rig import service_of, through

ROOT = Path(__file__).parents[2]
TURNS = int(os.environ.get("SOAK_TURNS", "240"))
SEED = int(os.environ.get("SOAK_SEED", "45"))
BATCH = 120  # turns, in conversations and of users of their own
LIMITS = {"STORAGE_TIMEOUT": "2", "REPLY_TIMEOUT": "2", "TURN_TIMEOUT": "6"}  # so that what hangs is soon over
MEGABYTES = 40  # that the oldest replica may grow by after its first batch: its caches fill up to their bounds
DESCRIPTORS = 30  # connections that may be open more than then

SERVICES = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("blob", "cosmos")]
on_service = pytest.mark.parametrize("durable_environment", SERVICES, indirect=True)


def plan(number: int) -> Plan:
    """The traffic of one batch."""
    return Plan(SEED + number, messages=BATCH, crowd=f"crowd-{number}", users=30, groups=5, at_once=32)


@dataclass(frozen=True, slots=True)
class Size:
    """What a process holds: resident memory in MB, and file descriptors."""

    memory: float
    descriptors: int

    @classmethod
    def of(cls, pid: int) -> Size:
        """Read the sizes of a running process."""
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return cls(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, len(list(Path(f"/proc/{pid}/fd").iterdir())))


@on_service
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads a process's size from /proc")
async def test_nothing_is_lost_and_nothing_grows_in_trouble_all_the_way(
    durable_environment: Environment, start: Start, channel: Channel
) -> None:
    settings = Settings.from_env(durable_environment)
    began, sizes, acknowledged, deliveries = time.monotonic(), [], 0, 0
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(Proxy.before(service_of(settings) or ""))
        to_channel = await stack.enter_async_context(Proxy.before(channel.service_url))
        channel.service_url = to_channel.url
        environment = durable_environment | LIMITS | {"PYTHONPATH": str(ROOT)}
        proxied = through(settings, store.url)
        environment["BLOB_CONNECTION_STRING"] = proxied.blob_connection_string
        environment["COSMOS_ENDPOINT"] = proxied.cosmos_endpoint
        program = partial(start, environment, "-m", "tests.e2e.counting_bot")
        replicas = await stack.enter_async_context(Replicas.running(program, 3, spared=1))
        trouble = Trouble(dice(SEED, "trouble"), [store, to_channel], replicas)
        for number in range(0, TURNS, BATCH):
            traffic = Traffic(channel, replicas, plan(number))
            async with trouble.all_the_way():
                await traffic.run()
            documents = await stored(settings, traffic)
            violations = History(traffic.messages, documents, PARTS).violations()
            assert not violations, "\n".join(violations[:10])
            acknowledged += len(traffic.messages)
            deliveries += traffic.deliveries
            channel.received.clear()
            store.seen.clear()
            store.answered.clear()
            to_channel.seen.clear()
            to_channel.answered.clear()
            sizes.append(Size.of(replicas.oldest.pid))
            print(f"{acknowledged} turns, {time.monotonic() - began:.0f} s, {sizes[-1]}", flush=True)  # noqa: T201
    seconds = time.monotonic() - began
    print(  # noqa: T201 - the figures
        f"{acknowledged} turns in {seconds:.0f} s ({acknowledged / seconds:.1f}/s), {deliveries} deliveries, 0 lost; "
        f"trouble: {dict(trouble.met)}; the oldest replica: {sizes[0]} at first, {sizes[-1]} at last"
    )
    assert sizes[-1].memory - sizes[0].memory < MEGABYTES
    early, late = sizes[: len(sizes) // 2], sizes[len(sizes) // 2 :]  # of single moments they tell what is on its way
    assert _usual(late) - _usual(early) < DESCRIPTORS


def _usual(sizes: list[Size]) -> float:
    return statistics.median(size.descriptors for size in sizes)
