"""State in Azure Blob Storage: one block blob a document, its ETag the service's own.

Preconditions travel as If-Match and If-None-Match:
https://learn.microsoft.com/rest/api/storageservices/specifying-conditional-headers-for-blob-service-operations
"""

from __future__ import annotations

from typing import Any, Final, Self

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceExistsError
from azure.identity.aio import DefaultAzureCredential
from azure.storage.blob import ContentSettings
from azure.storage.blob.aio import BlobServiceClient

from storage.codec import loads
from storage.contract import ABSENT, Document, Write
from storage.errors import StorageConflict
from storage.keys import blob_name
from storage.remote import OPENING, TIMEOUT, TOO_LARGE, Closable, RemoteStorage, may_create

_JSON: Final = ContentSettings(content_type="application/json")
_PRECONDITION_FAILED: Final = {"BlobAlreadyExists", "ConditionNotMet", "TargetConditionNotMet"}
_CLIENT_OPTIONS: Final[dict[str, Any]] = {"retry_total": 0}  # `RemoteStorage` retries; the SDK would first wait 15 s


class BlobStorage(RemoteStorage):
    """Documents in one container.

    Args:
        service: the account's client; closed with the storage.
        container: the container's name.
        create: make the container when it is missing.
        credential: closed with the storage.
        timeout: seconds for an operation with its retries.
    """

    def __init__(
        self,
        service: BlobServiceClient,
        container: str,
        *,
        create: bool = False,
        credential: Closable | None = None,
        timeout: float = TIMEOUT,
    ) -> None:
        super().__init__(service, *([credential] if credential else []), timeout=timeout)
        self._container = service.get_container_client(container)
        self._create = create

    @classmethod
    def from_connection_string(
        cls, connection_string: str, container: str, *, create: bool | None = None, timeout: float = TIMEOUT
    ) -> Self:
        """Build the client from an account's connection string; `create` None: on an emulator of this machine."""
        service = BlobServiceClient.from_connection_string(connection_string, **_CLIENT_OPTIONS)
        return cls(service, container, create=may_create(create, service.url), timeout=timeout)

    @classmethod
    def from_account_url(
        cls, account_url: str, container: str, *, create: bool | None = None, timeout: float = TIMEOUT
    ) -> Self:
        """Build the client for the Entra identity that `DefaultAzureCredential` finds; `create` as above."""
        credential = DefaultAzureCredential()
        service = BlobServiceClient(account_url, credential=credential, **_CLIENT_OPTIONS)
        create = may_create(create, service.url)
        return cls(service, container, create=create, credential=credential, timeout=timeout)

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

    async def _load_one(self, key: str) -> Document | None:
        async with self._asking("cannot be read"):
            try:
                stream = await self._container.get_blob_client(blob_name(key)).download_blob()
                text = await stream.readall()
            except HttpResponseError as error:
                if error.status_code == 404 and _code(error) == "BlobNotFound":
                    return None
                raise
        return Document(loads(text, key), stream.properties.etag)

    async def _save_one(self, key: str, write: Write, text: bytes | None) -> str | None:
        blob = self._container.get_blob_client(blob_name(key))
        async with self._asking("cannot be written"):
            try:
                if text is None:
                    await blob.delete_blob(**_if_match(write))
                    return None
                answer = await blob.upload_blob(
                    text, overwrite=write.expect is not ABSENT, content_settings=_JSON, **_if_match(write)
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


def _if_match(write: Write) -> dict[str, Any]:
    if write.expected_etag is None:
        return {}
    return {"etag": write.expected_etag, "match_condition": MatchConditions.IfNotModified}


def _code(error: HttpResponseError) -> str:
    code = getattr(error, "error_code", None)
    return str(getattr(code, "value", code))
