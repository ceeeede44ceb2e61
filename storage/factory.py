"""The storage that the settings name. An SDK is imported only by the backend that needs it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from config import Settings
from storage.base import StateStorage


def create_storage(settings: Settings) -> StateStorage:
    """Return the backend that `settings.state_storage` names, not yet opened: use `async with`.

    Raises ValueError for a name that is no backend's, or settings that the service's SDK cannot parse.
    """
    build = _BACKENDS.get(settings.state_storage)
    if build is None:
        raise ValueError(f"unknown storage {settings.state_storage!r}; expected one of {', '.join(_BACKENDS)}")
    return build(settings)


def _sqlite(settings: Settings) -> StateStorage:
    from storage.sqlite import SqliteStorage

    return SqliteStorage(settings.sqlite_path, timeout=settings.storage_timeout)


def _memory(_settings: Settings) -> StateStorage:
    from storage.memory import MemoryStorage

    return MemoryStorage()


def _blob(settings: Settings) -> StateStorage:
    from storage.blob import BlobStorage

    options: Any = {"create": settings.storage_create, "timeout": settings.storage_timeout}
    if settings.blob_connection_string:
        return BlobStorage.from_connection_string(settings.blob_connection_string, settings.blob_container, **options)
    return BlobStorage.from_account_url(settings.blob_account_url, settings.blob_container, **options)


def _cosmos(settings: Settings) -> StateStorage:
    from storage.cosmos import CosmosStorage

    where = (settings.cosmos_database, settings.cosmos_container)
    options: Any = {"create": settings.storage_create, "timeout": settings.storage_timeout}
    options |= {"stale_reads": settings.cosmos_stale_reads}
    if settings.cosmos_key:
        return CosmosStorage.from_key(settings.cosmos_endpoint, settings.cosmos_key, *where, **options)
    return CosmosStorage.from_identity(settings.cosmos_endpoint, *where, **options)


_BACKENDS: Final[dict[str, Callable[[Settings], StateStorage]]] = {
    "sqlite": _sqlite,
    "memory": _memory,
    "blob": _blob,
    "cosmos": _cosmos,
}
