"""Fixtures of the unit tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.unit.http_channel import Channel, channel
from tests.unit.turn_bench import Bench, BenchStorage, SeparateStorage, open_bench


@pytest.fixture
async def local() -> AsyncIterator[Channel]:
    """Sample 45's bot on memory, reached over HTTP."""
    async with channel() as found:
        yield found


@pytest.fixture(params=[BenchStorage, SeparateStorage], ids=["transactional", "separate"])
async def bench(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    """A storage of each kind, a connector, and no replica yet."""
    async with open_bench(request.param, monkeypatch) as opened:
        yield opened
