"""What the unit tests share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.unit.http_channel import Channel, channel


@pytest.fixture
async def local() -> AsyncIterator[Channel]:
    """Sample 45's bot on memory, reached over HTTP."""
    async with channel() as found:
        yield found
