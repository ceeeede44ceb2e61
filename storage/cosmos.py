"""State in Azure Cosmos DB: one item a document in a container partitioned by `/id`, `_etag` the service's own.

Create, replace and delete carry the precondition; an upsert would bring a deleted document back even with If-Match:
https://learn.microsoft.com/azure/cosmos-db/nosql/database-transactions-optimistic-concurrency
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from functools import lru_cache, partial
from typing import Any, ClassVar, Final, Self

from azure.cosmos.aio import CosmosClient
from azure.cosmos.exceptions import CosmosHttpResponseError
from azure.identity.aio import DefaultAzureCredential

from storage.codec import loads
from storage.contract import ABSENT, Write
from storage.cosmos_account import SPELLING, check_partitions, check_reads, check_time_to_live
from storage.cosmos_client import client_options, create_missing, is_absent, settled
from storage.cosmos_item import document_text, envelope, item_size, least_life, stored
from storage.errors import StorageConflict, StorageUnavailable
from storage.expiry import NEVER, Expiry
from storage.keys import cosmos_id, stock_cosmos_id
from storage.limits import EXACT, Limits
from storage.local import may_create
from storage.remote import REMEMBERED, TOO_LARGE, Closable, RemoteStorage, Stored, if_match
from storage.service import OPENING, TIMEOUT

_CONFLICTS: Final = (409, 412)
SIZE_LIMIT: Final = 2 * 1024 * 1024  # bytes, of the item and of the request that carries it
_PAGE: Final = 1000  # keys
_UNINDEXED: Final[dict[str, Any]] = {"enable_scan_in_query": True}  # turns only read by id: there may be no index
_SOME: Final = "SELECT TOP 100 c.id, c.realId FROM c"
_log: Final = logging.getLogger(__name__)


class CosmosStorage(RemoteStorage):
    """Items in one container, laid out as `storage.cosmos_item` says.

    Args:
        client: the account's client; closed with the storage.
        database, container: their names.
        create: make what is missing; needs an account key.
        credential: closed with the storage.
        timeout: seconds for an operation with its retries.
        key_suffix, compatibility_mode: those of the stock storage whose items are to be found; see `cosmos_id`.
        expiry, clock: as for every `StateStorage`; an item carries its life as its time to live.
        stale_reads: use an account whose reads may answer an older version, which is right for one replica only.
    """

    largest_integer: ClassVar[int] = EXACT  # numbers are doubles, RFC 8259 section 6

    def __init__(
        self,
        client: CosmosClient,
        database: str,
        container: str,
        *,
        create: bool = False,
        credential: Closable | None = None,
        timeout: float = TIMEOUT,
        key_suffix: str = "",
        compatibility_mode: bool = False,
        expiry: Expiry = NEVER,
        clock: Callable[[], float] = time.time,
        stale_reads: bool = False,
    ) -> None:
        clients = (client, *([credential] if credential else []))
        super().__init__(*clients, timeout=timeout, limits=Limits(SIZE_LIMIT, exact=False), expiry=expiry, clock=clock)
        self._client = client
        self._stale_reads = stale_reads
        self._names = (database, container)
        self._container = client.get_database_client(database).get_container_client(container)
        self._create = create
        spelling: dict[str, Any] = {"suffix": key_suffix, "compatible": compatibility_mode}
        self._id = lru_cache(REMEMBERED)(partial(cosmos_id, **spelling))
        self._stock_id = lru_cache(REMEMBERED)(partial(stock_cosmos_id, **spelling))

    @classmethod
    def from_key(
        cls, endpoint: str, key: str, database: str, container: str, *, create: bool | None = None, **options: Any
    ) -> Self:
        """Build the client from an account's endpoint and key; `create` None: on an emulator of this machine.

        `options` are the class's own.
        """
        client = CosmosClient(endpoint, credential=key, **client_options(endpoint))
        return cls(client, database, container, create=may_create(create, endpoint), **options)

    @classmethod
    def from_identity(
        cls, endpoint: str, database: str, container: str, *, create: bool | None = None, **options: Any
    ) -> Self:
        """Build the client for the Entra identity that `DefaultAzureCredential` finds; `create` as above."""
        credential = DefaultAzureCredential()
        client = CosmosClient(endpoint, credential=credential, **client_options(endpoint))
        return cls(client, database, container, create=may_create(create, endpoint), credential=credential, **options)

    async def _open(self) -> None:
        if self._create:
            async with self._asking("cannot be created", OPENING):
                await create_missing(self._client, *self._names)
        async with self._asking("cannot be reached", OPENING):
            properties = await self._container.read()
            account = await self._client._get_database_account()
        if not self._stale_reads:
            level = (account.ConsistencyPolicy or {}).get("defaultConsistencyLevel", "")
            check_reads(self, self._client.client_connection.url_connection, level)
        check_partitions(self, properties)
        check_time_to_live(self, properties, expires=bool(self._expiry))
        await self._warn_of_other_ids()

    async def _warn_of_other_ids(self) -> None:
        """Warn where of some items none has the id of its key: every user would seem new."""
        items = []
        with suppress(StorageUnavailable):  # who may not query, or cannot now, gets no hint
            items = [item async for item in self._paged(self._container.query_items(_SOME).by_page())]
        keys = {item["id"]: item.get("realId") for item in items}
        if keys and not any(key and at in (self._id(key), self._stock_id(key)) for at, key in keys.items()):
            _log.warning("%s: its items are spelled otherwise, and not found: %s", self, SPELLING)

    async def ping(self) -> None:
        # As a turn reads an item: the container itself may be read without the role for its items.
        await self._item("no-document", "cannot be reached")

    async def _load_one(self, key: str) -> Stored | None:
        _item_id, item = await self._at(key)
        return stored(item, key, self.life(key), self.stock_jsonpickle) if item else None

    async def _at(self, key: str) -> tuple[str, Mapping[str, Any] | None]:
        """The id under which the document is, or would be, and what is there.

        A key that is spelled with a mark may be one that stock has spelled without.
        """
        item_id = self._id(key)
        item = await self._item(item_id)
        stock_id = self._stock_id(key) if item is None else None
        found = await self._item(stock_id) if stock_id else None
        return (stock_id, found) if stock_id and found and found.get("realId") == key else (item_id, item)

    async def _item(self, item_id: str, failure: str = "cannot be read") -> Mapping[str, Any] | None:
        async with self._asking(failure):
            try:
                return await self._container.read_item(item_id, item_id)
            except CosmosHttpResponseError as error:
                if is_absent(error):
                    return None
                raise

    async def _load_text(self, key: str) -> bytes | None:
        _item_id, item = await self._at(key)
        return document_text(item) if item else None

    def _size(self, key: str, text: bytes) -> int:
        return item_size(self._envelope(key), text)

    def _envelope(self, key: str) -> dict[str, Any]:
        return envelope(self._id(key), key, self.life(key))

    async def _save_one(self, key: str, write: Write, text: bytes | None) -> str | None:
        async with self._asking("cannot be written"):
            try:
                return await self._send(key, write, text)
            except CosmosHttpResponseError as error:
                if error.status_code in _CONFLICTS:
                    raise StorageConflict(key, write.expected_etag, None) from error
                if is_absent(error):
                    write.require(key, None)
                    return None
                if error.status_code == TOO_LARGE:
                    raise self._too_large(key, text) from error
                raise

    async def keys(self, prefix: str = "") -> AsyncIterator[str]:
        query = "SELECT c.id, c.realId, c._ts, c.ttl FROM c WHERE STARTSWITH(c.realId, @prefix)"
        parameters: list[dict[str, object]] = [{"name": "@prefix", "value": prefix}]
        found = self._container.query_items(query, parameters=parameters, max_item_count=_PAGE, **_UNINDEXED)
        async for item in self._paged(found.by_page()):
            key = item["realId"]
            if not await self._is_at(key, item["id"]):
                self.skipped.misnamed += 1
            elif await self._lives(key, item["_ts"], least_life(item, self.life(key))):
                yield key

    async def _is_at(self, key: str, item_id: str) -> bool:
        if self._id(key) == item_id:
            return True
        return self._stock_id(key) == item_id and (await self._at(key))[0] == item_id

    async def _send(self, key: str, write: Write, text: bytes | None) -> str | None:
        item_id = self._id(key)
        if self._stock_id(key):
            item_id, found = await self._at(key)
            if found and item_id != self._id(key) and write.expect is ABSENT:
                raise StorageConflict(key, None, found["_etag"])
        if text is None:
            await self._container.delete_item(item_id, item_id, **if_match(write))
            return None
        body = {**self._envelope(key), "id": item_id, "document": loads(text, key)}
        if write.expect is ABSENT:
            answer = await self._container.create_item(body)
        elif write.expected_etag is None:
            answer = await self._container.upsert_item(body)
        else:
            answer = await self._container.replace_item(item_id, body, **if_match(write))
        return str(answer["_etag"])

    async def aclose(self) -> None:
        try:
            await settled(self._client)
        finally:
            await super().aclose()

    def __str__(self) -> str:
        return "Cosmos container {!r} in database {!r}".format(*reversed(self._names))
