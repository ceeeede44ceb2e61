"""The stock storages of botbuilder-azure, beside ours on one store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from config import Settings
from storage import StateStorage
from tests.contract.stock import both_on_blob, both_on_cosmos


@pytest.fixture
async def blob_pair(blob_settings: Settings) -> AsyncIterator[tuple[StateStorage, Any]]:
    async with both_on_blob(blob_settings) as pair:
        yield pair


@pytest.fixture
async def cosmos_pair(cosmos_settings: Settings) -> AsyncIterator[tuple[StateStorage, Any]]:
    async with both_on_cosmos(cosmos_settings) as pair:
        yield pair


@pytest.fixture(params=[pytest.param("blob", marks=pytest.mark.blob), pytest.param("cosmos", marks=pytest.mark.cosmos)])
def pair(request: pytest.FixtureRequest) -> tuple[StateStorage, Any]:
    """Our storage and the stock one, on one store."""
    found: tuple[StateStorage, Any] = request.getfixturevalue(f"{request.param}_pair")
    return found
