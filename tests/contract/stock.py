"""The stock storages of botbuilder-azure, beside ours on one store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from azure.cosmos.documents import ConnectionPolicy

from config import Settings
from storage import StateStorage, create_storage


@asynccontextmanager
async def both_on_blob(blob_settings: Settings) -> AsyncIterator[tuple[StateStorage, Any]]:
    """Ours and stock's, on one container."""
    stock = pytest.importorskip("botbuilder.azure")
    settings = stock.BlobStorageSettings(
        blob_settings.blob_container, connection_string=blob_settings.blob_connection_string
    )
    theirs = stock.BlobStorage(settings)
    async with create_storage(blob_settings) as ours:
        yield ours, theirs
    # It cannot be closed, and a container's client does not close what it shares with the service's.
    await theirs._BlobStorage__container_client._pipeline._transport._transport.close()


@asynccontextmanager
async def both_on_cosmos(
    cosmos_settings: Settings, key_suffix: str = "", compatibility_mode: bool = False
) -> AsyncIterator[tuple[StateStorage, Any]]:
    """Ours and stock's, on one container, with the same spelling of keys."""
    stock = pytest.importorskip("botbuilder.azure")
    policy = ConnectionPolicy()
    policy.DisableSSLVerification = True
    config = stock.CosmosDbPartitionedConfig(
        cosmos_settings.cosmos_endpoint,
        cosmos_settings.cosmos_key,
        cosmos_settings.cosmos_database,
        cosmos_settings.cosmos_container,
        cosmos_client_options={"connection_policy": policy},
        key_suffix=key_suffix,
        compatibility_mode=compatibility_mode,
    )
    theirs = stock.CosmosDbPartitionedStorage(config)
    settings = replace(
        cosmos_settings,
        cosmos_key_suffix=key_suffix,
        cosmos_compatibility_mode=compatibility_mode,
    )
    async with create_storage(settings) as ours:
        yield ours, theirs
    if theirs.client:  # which it makes when it is first used, and has no way to close
        theirs.client.__exit__()
