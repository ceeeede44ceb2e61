"""State in Azure Blob Storage: one block blob a document, its ETag the service's own.

Preconditions travel as If-Match and If-None-Match:
https://learn.microsoft.com/rest/api/storageservices/specifying-conditional-headers-for-blob-service-operations
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from functools import lru_cache, partial
from typing import Any, Final, NamedTuple, Self

from azure.core.exceptions import HttpResponseError, ResourceExistsError
from azure.identity.aio import DefaultAzureCredential
from azure.storage.blob import BlobProperties, ContentSettings
from azure.storage.blob.aio import BlobServiceClient

from storage.codec import as_object, loads
from storage.contract import ABSENT, JsonObject, Write
from storage.errors import StateDecodeError, StorageConflict
from storage.expiry import NEVER, Expiry
from storage.keys import blob_key, blob_name, blob_prefixes, is_blob_digest, stock_blob_name
from storage.limits import Limits
from storage.local import may_create
from storage.remote import REMEMBERED, TOO_LARGE, Closable, RemoteStorage, Stored, if_match
from storage.service import OPENING, TIMEOUT
from storage.transport import Transport

_log: Final = logging.getLogger(__name__)
_JSON: Final = ContentSettings(content_type="application/json")
_PRECONDITION_FAILED: Final = {"BlobAlreadyExists", "ConditionNotMet", "TargetConditionNotMet"}
_PAGE: Final = 1000  # blobs of a listing
SIZE_LIMIT: Final = 32 * 1024 * 1024  # bytes the SDK reads in one request; more, and a write may come in between


class _Blob(NamedTuple):
    text: bytes
    etag: str
    written: float  # seconds since the epoch


class BlobStorage(RemoteStorage):
    """Documents in one container.

    Args:
        service: the account's client; closed with the storage.
        container: the container's name.
        create: make the container when it is missing.
        credential: closed with the storage.
        timeout: seconds for an operation with its retries.
        expiry, clock: as for every `StateStorage`; a document's life begins when its blob was last modified.
    """

    def __init__(
        self,
        service: BlobServiceClient,
        container: str,
        *,
        create: bool = False,
        credential: Closable | None = None,
        timeout: float = TIMEOUT,
        expiry: Expiry = NEVER,
        clock: Callable[[], float] = time.time,
    ) -> None:
        clients = (service, *([credential] if credential else []))
        super().__init__(*clients, timeout=timeout, limits=Limits(SIZE_LIMIT), expiry=expiry, clock=clock)
        self._container = service.get_container_client(container)
        self._blob = lru_cache(REMEMBERED)(self._container.get_blob_client)  # making one costs a third of a request
        self._create = create

    @classmethod
    def from_connection_string(
        cls, connection_string: str, container: str, *, create: bool | None = None, **options: Any
    ) -> Self:
        """Build the client from an account's connection string; `create` None: on an emulator of this machine."""
        service = BlobServiceClient.from_connection_string(connection_string, **client_options())
        return cls(service, container, create=may_create(create, service.url), **options)

    @classmethod
    def from_account_url(cls, account_url: str, container: str, *, create: bool | None = None, **options: Any) -> Self:
        """Build the client for the Entra identity that `DefaultAzureCredential` finds; `create` as above."""
        credential = DefaultAzureCredential()
        service = BlobServiceClient(account_url, credential=credential, **client_options())
        return cls(service, container, create=may_create(create, service.url), credential=credential, **options)

    def __str__(self) -> str:
        return f"Blob container {self._container.container_name!r}"

    async def _open(self) -> None:
        if self._create:
            async with self._asking("cannot be created", OPENING):
                try:
                    await self._container.create_container()
                except ResourceExistsError:
                    return
        async with self._asking("cannot be reached", OPENING):
            await self._container.get_container_properties()

    async def ping(self) -> None:
        async with self._asking("cannot be reached"):
            await self._container.get_container_properties()

    async def _load_one(self, key: str) -> Stored | None:
        name, found = await self._at(key)
        if found is None:
            return None
        return Stored(found.etag, partial(self._value, name, found.text, key), found.written, self.life(key))

    def _value(self, name: str, text: bytes, key: str) -> JsonObject:
        value = loads(text, key, self.stock_jsonpickle)
        return as_object(value.get("document"), key) if is_blob_digest(name) else value

    async def _load_text(self, key: str) -> bytes | None:
        _name, found = await self._at(key)
        return found.text if found else None

    async def _at(self, key: str) -> tuple[str, _Blob | None]:
        """The name under which the document is, or would be, and what is there.

        A key that is spelled with a mark may be one that stock has spelled as it is.
        """
        name = blob_name(key)
        found = await self._download(name)
        stock = stock_blob_name(key) if found is None and name != key else None
        if stock is None:
            return name, found
        async with aclosing(self._listed(stock)) as listed:  # which begins with the shortest name
            first = await anext(listed, None)
        return (stock, await self._download(stock)) if first and first.name == stock else (name, None)

    def _listed(self, start: str) -> AsyncGenerator[BlobProperties]:
        return self._paged(self._container.list_blobs(name_starts_with=start, results_per_page=_PAGE).by_page())

    async def _download(self, name: str) -> _Blob | None:
        async with self._asking("cannot be read"):
            try:
                stream = await self._blob(name).download_blob()
                text, properties = await stream.readall(), stream.properties
            except HttpResponseError as error:
                if error.status_code == 404 and _code(error) == "BlobNotFound":
                    return None
                raise
        return _Blob(text, properties.etag, properties.last_modified.timestamp())

    def _size(self, key: str, text: bytes) -> int:
        return len(text)

    async def keys(self, prefix: str = "") -> AsyncIterator[str]:
        for start in blob_prefixes(prefix):
            async for blob in self._listed(start):
                key = await self._key_of(blob.name)
                if key is None or not key.startswith(prefix):
                    continue
                if await self._lives(key, blob.last_modified.timestamp(), self.life(key)):
                    yield key

    async def _key_of(self, name: str) -> str | None:
        if is_blob_digest(name):
            return await self._real_key(name)
        key = blob_key(name)
        if key is None and (stock := stock_blob_name(name)) and not await self._download(blob_name(stock)):
            return stock
        return key

    async def _real_key(self, name: str) -> str | None:
        """The key of a blob whose name does not tell it: such a blob holds it, in stock's Cosmos layout."""
        found = await self._download(name)
        try:
            key = loads(found.text, name).get("realId") if found else None
        except StateDecodeError as error:
            key = None
            _log.warning("%s: whose it is cannot be told, it is not listed", error)
        return key if isinstance(key, str) and blob_name(key) == name else None

    async def _save_one(self, key: str, write: Write, text: bytes | None) -> str | None:
        name = blob_name(key)
        if name != key and stock_blob_name(key):
            name, found = await self._at(key)
            if found and name == key and write.expect is ABSENT:
                raise StorageConflict(key, None, found.etag)
        if text is not None and is_blob_digest(name):
            text = b'{"realId":%b,"document":%b}' % (json.dumps(key).encode(), text)
        blob = self._blob(name)
        async with self._asking("cannot be written"):
            try:
                if text is None:
                    await blob.delete_blob(**if_match(write))
                    return None
                answer = await blob.upload_blob(
                    text, overwrite=write.expect is not ABSENT, content_settings=_JSON, **if_match(write)
                )
            except HttpResponseError as error:
                if _code(error) in _PRECONDITION_FAILED:
                    raise StorageConflict(key, write.expected_etag, None) from error
                if _code(error) == "BlobNotFound":
                    write.require(key, None)
                    return None
                if error.status_code == TOO_LARGE:
                    raise self._too_large(key, text) from error
                raise
        etag: str = answer["etag"]
        return etag


def _code(error: HttpResponseError) -> str:
    code = getattr(error, "error_code", None)
    return str(getattr(code, "value", code))


def client_options() -> dict[str, Any]:
    """Return the options of an account's client."""
    # `RemoteStorage` retries; the SDK would first wait 15 s.
    return {"retry_total": 0, "transport": Transport()}
