"""State in Azure Cosmos DB: one item a document in a container partitioned by `/id`, `_etag` the service's own.

Create, replace and delete carry the precondition; an upsert would bring a deleted document back even with If-Match:
https://learn.microsoft.com/azure/cosmos-db/nosql/database-transactions-optimistic-concurrency
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final, Self
from urllib.parse import urlsplit

from azure.core import MatchConditions
from azure.cosmos import PartitionKey
from azure.cosmos.aio import CosmosClient
from azure.cosmos.documents import ConnectionPolicy
from azure.cosmos.exceptions import CosmosHttpResponseError, CosmosResourceExistsError
from azure.identity.aio import DefaultAzureCredential

from storage.codec import as_object, loads
from storage.contract import ABSENT, Document, Write
from storage.errors import StorageConflict, StorageUnavailable
from storage.keys import cosmos_id
from storage.remote import OPENING, TIMEOUT, TOO_LARGE, Closable, RemoteStorage, is_loopback, may_create

_PARTITION_PATH: Final = "/id"
_NO_SUCH_CONTAINER: Final = 1003  # substatus of a 404 that is not about the item
_CONFLICTS: Final = (409, 412)
_NOT_FOUND: Final = 404
_ACCOUNT: Final = re.compile(r"\.documents\.azure\.\w+$|\.cosmos\.azure\.\w+$")
_LAST_VERSION: Final = ("Strong", "BoundedStaleness")


class CosmosStorage(RemoteStorage):
    """Items `{"id", "realId", "document"}`, as the stock `CosmosDbPartitionedStorage` lays them out.

    Args:
        client: the account's client; closed with the storage.
        database, container: their names.
        create: make what is missing; needs an account key.
        credential: closed with the storage.
        timeout: seconds for an operation with its retries.
        stale_reads: use an account whose reads may answer an older version, which is right for one replica only.
    """

    def __init__(
        self,
        client: CosmosClient,
        database: str,
        container: str,
        *,
        create: bool = False,
        credential: Closable | None = None,
        timeout: float = TIMEOUT,
        stale_reads: bool = False,
    ) -> None:
        super().__init__(client, *([credential] if credential else []), timeout=timeout)
        self._client = client
        self._stale_reads = stale_reads
        self._names = (database, container)
        self._container = client.get_database_client(database).get_container_client(container)
        self._create = create

    @classmethod
    def from_key(
        cls,
        endpoint: str,
        key: str,
        database: str,
        container: str,
        *,
        create: bool | None = None,
        **options: Any,
    ) -> Self:
        """Build the client from an account's endpoint and key; `create` None: on an emulator of this machine.

        `options` are the class's own.
        """
        client = CosmosClient(endpoint, credential=key, **_client_options(endpoint))
        return cls(client, database, container, create=may_create(create, endpoint), **options)

    @classmethod
    def from_identity(
        cls, endpoint: str, database: str, container: str, *, create: bool | None = None, **options: Any
    ) -> Self:
        """Build the client for the Entra identity that `DefaultAzureCredential` finds; `create` as above."""
        credential = DefaultAzureCredential()
        client = CosmosClient(endpoint, credential=credential, **_client_options(endpoint))
        create = may_create(create, endpoint)
        return cls(client, database, container, create=create, credential=credential, **options)

    async def _open(self) -> None:
        if self._create:
            async with self._asking("cannot be created", OPENING):
                await self._create_missing()
        async with self._asking("cannot be reached", OPENING):
            properties = await self._container.read()
            account = await self._client._get_database_account()
        policy = account.ConsistencyPolicy or {}
        self._check_reads(self._client.client_connection.url_connection, policy.get("defaultConsistencyLevel", ""))
        paths = properties.get("partitionKey", {}).get("paths")
        if paths != [_PARTITION_PATH]:
            raise StorageUnavailable(f"{self}: partitioned by {paths}, expected ['{_PARTITION_PATH}']")

    def _check_reads(self, endpoint: str, level: str) -> None:
        """Refuse an account from which a replica may read an older version than another one wrote.

        An emulator has one node, and answers the last version whatever it says.
        https://learn.microsoft.com/azure/cosmos-db/consistency-levels
        """
        if _ACCOUNT.search(urlsplit(endpoint).hostname or "") and level not in _LAST_VERSION and not self._stale_reads:
            raise StorageUnavailable(
                f"{self}: the account's default consistency is {level}, which lets a replica read what another one has "
                "replaced; set it to Strong (or BoundedStaleness, with all replicas in the write region), or "
                "COSMOS_STALE_READS=true for a single replica"
            )

    async def _create_missing(self) -> None:
        database, container = self._names
        # "If not exists" is a read and then a create: of replicas that start together, all but one meet a 409.
        with suppress(CosmosResourceExistsError):
            await self._client.create_database_if_not_exists(database)
        with suppress(CosmosResourceExistsError):
            partitions = PartitionKey(_PARTITION_PATH)
            await self._client.get_database_client(database).create_container_if_not_exists(container, partitions)

    async def ping(self) -> None:
        async with self._asking("cannot be reached"):
            await self._container.read()

    async def _load_one(self, key: str) -> Document | None:
        item_id = cosmos_id(key)
        async with self._asking("cannot be read"):
            try:
                item = await self._container.read_item(item_id, item_id)
            except CosmosHttpResponseError as error:
                if _is_absent(error):
                    return None
                raise
        return Document(as_object(item.get("document"), key), item["_etag"])

    async def _save_one(self, key: str, write: Write, text: bytes | None) -> str | None:
        async with self._asking("cannot be written"):
            try:
                return await self._send(key, write, text)
            except CosmosHttpResponseError as error:
                if error.status_code in _CONFLICTS:
                    raise StorageConflict(key, write.expected_etag, None) from error
                if _is_absent(error):
                    write.require(key, None)
                    return None
                if error.status_code == TOO_LARGE:
                    raise self._too_large(key, text) from error
                raise

    async def _send(self, key: str, write: Write, text: bytes | None) -> str | None:
        item_id = cosmos_id(key)
        if text is None:
            await self._container.delete_item(item_id, item_id, **_if_match(write))
            return None
        body: dict[str, Any] = {"id": item_id, "realId": key, "document": loads(text, key)}
        if write.expect is ABSENT:
            answer = await self._container.create_item(body)
        elif write.expected_etag is None:
            answer = await self._container.upsert_item(body)
        else:
            answer = await self._container.replace_item(item_id, body, **_if_match(write))
        etag: str = answer["_etag"]
        return etag

    def __str__(self) -> str:
        return "Cosmos container {!r} in database {!r}".format(*reversed(self._names))


def _client_options(endpoint: str) -> dict[str, Any]:
    # `RemoteStorage` retries, so the SDK must not: neither failed requests nor, up to nine times, throttled ones.
    policy = ConnectionPolicy()
    policy.RetryOptions = type(policy.RetryOptions)(max_retry_attempt_count=0)
    # Emulators come with a certificate they signed themselves.
    return {"connection_verify": not is_loopback(endpoint), "connection_policy": policy, "retry_total": 0}


def _if_match(write: Write) -> Mapping[str, Any]:
    if write.expected_etag is None:
        return {}
    return {"etag": write.expected_etag, "match_condition": MatchConditions.IfNotModified}


def _is_absent(error: CosmosHttpResponseError) -> bool:
    # The service names its reason; the 404 of a proxy in between, or of a gateway, must not pass for a new user.
    said_so = error.error is not None and error.error.code == "NotFound"
    return error.status_code == _NOT_FOUND and said_so and error.sub_status != _NO_SUCH_CONTAINER
