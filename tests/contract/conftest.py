"""The stock storages of botbuilder-azure, beside ours on one store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from azure.cosmos.documents import ConnectionPolicy

from config import Settings
from storage import StateStorage, create_storage


@pytest.fixture
async def blob_pair(blob_settings: Settings) -> AsyncIterator[tuple[StateStorage, Any]]:
    stock = pytest.importorskip("botbuilder.azure")
    settings = stock.BlobStorageSettings(
        blob_settings.blob_container, connection_string=blob_settings.blob_connection_string
    )
    theirs = stock.BlobStorage(settings)
    async with create_storage(blob_settings) as ours:
        yield ours, theirs
    # It cannot be closed, and a container's client does not close what it shares with the service's.
    await theirs._BlobStorage__container_client._pipeline._transport._transport.close()


@pytest.fixture
async def cosmos_pair(cosmos_settings: Settings) -> AsyncIterator[tuple[StateStorage, Any]]:
    stock = pytest.importorskip("botbuilder.azure")
    policy = ConnectionPolicy()
    policy.DisableSSLVerification = True
    config = stock.CosmosDbPartitionedConfig(
        cosmos_settings.cosmos_endpoint,
        cosmos_settings.cosmos_key,
        cosmos_settings.cosmos_database,
        cosmos_settings.cosmos_container,
        cosmos_client_options={"connection_policy": policy},
    )
    theirs = stock.CosmosDbPartitionedStorage(config)
    async with create_storage(cosmos_settings) as ours:
        yield ours, theirs
    theirs.client.__exit__()  # it has no way to be closed itself


@pytest.fixture(params=[pytest.param("blob", marks=pytest.mark.blob), pytest.param("cosmos", marks=pytest.mark.cosmos)])
def pair(request: pytest.FixtureRequest) -> tuple[StateStorage, Any]:
    """Our storage and the stock one, on one store."""
    found: tuple[StateStorage, Any] = request.getfixturevalue(f"{request.param}_pair")
    return found
