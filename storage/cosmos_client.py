"""How Cosmos DB is asked with azure-cosmos, and what its answers mean."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Final

from azure.cosmos import PartitionKey
from azure.cosmos.aio import CosmosClient
from azure.cosmos.documents import ConnectionPolicy
from azure.cosmos.exceptions import CosmosHttpResponseError, CosmosResourceExistsError

from storage.cosmos_account import NO_DEFAULT, PARTITION_PATH
from storage.local import is_loopback
from storage.transport import Transport

_NO_SUCH_CONTAINER: Final = 1003  # substatus of a 404 that is not about the item
_NOT_FOUND: Final = 404
_CLOSING: Final = 1.0  # seconds


def client_options(endpoint: str) -> dict[str, Any]:
    """The options of an account's client."""
    # `RemoteStorage` retries, so the SDK must not: neither failed requests nor, up to nine times, throttled ones.
    policy = ConnectionPolicy()
    policy.RetryOptions = type(policy.RetryOptions)(max_retry_attempt_count=0)
    # Emulators come with a certificate they signed themselves.
    verify = not is_loopback(endpoint)
    return {"connection_verify": verify, "connection_policy": policy, "retry_total": 0, "transport": Transport()}


async def create_missing(client: CosmosClient, database: str, container: str) -> None:
    """Make the database and the container, unless they exist."""
    # "If not exists" is a read and then a create: of replicas that start together, all but one meet a 409.
    with suppress(CosmosResourceExistsError):
        await client.create_database_if_not_exists(database)
    with suppress(CosmosResourceExistsError):
        await client.get_database_client(database).create_container_if_not_exists(
            container, PartitionKey(PARTITION_PATH), default_ttl=NO_DEFAULT
        )


def is_absent(error: CosmosHttpResponseError) -> bool:
    """Whether the service says that there is no such item."""
    # The service names its reason; the 404 of a proxy in between, or of a gateway, must not pass for a new user.
    said_so = error.error is not None and error.error.code == "NotFound"
    return error.status_code == _NOT_FOUND and said_so and error.sub_status != _NO_SUCH_CONTAINER


async def settled(client: CosmosClient) -> None:
    """Return when the client asks for nothing in the background any more, after a second at the latest.

    Later versions than the pinned one check their endpoints there, and closing cancels that; cancelled just before a
    TLS handshake, asyncio leaves the connection open.
    """
    endpoints = getattr(client.client_connection, "_global_endpoint_manager", None)
    check = getattr(endpoints, "refresh_task", None)  # both are the SDK's own: a version may have neither
    if check is not None:
        await asyncio.wait([check], timeout=_CLOSING)
