"""The storage that the settings name. An SDK is imported only by the backend that needs it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from config import Settings
from storage.base import StateStorage
from storage.expiry import Expiry
from storage.numbering import LIKELY


def create_storage(settings: Settings, clock: Callable[[], float] = time.time) -> StateStorage:
    """Return the backend that `settings.state_storage` names, not yet opened: use `async with`.

    `clock` answers the time in seconds since the epoch, by which documents expire.
    Raises ValueError for a name that is no backend's, or settings that the service's SDK cannot parse.
    """
    build = _BACKENDS.get(settings.state_storage)
    if build is None:
        raise ValueError(f"unknown storage {settings.state_storage!r}; expected one of {', '.join(_BACKENDS)}")
    days = settings.expire_conversation_days, settings.expire_user_days, settings.expire_private_days
    storage = build(settings, expiry=Expiry.of_days(*days), clock=clock)
    storage.stock_jsonpickle = settings.stock_jsonpickle or LIKELY
    return storage


def _sqlite(settings: Settings, **options: Any) -> StateStorage:
    from storage.sqlite import SqliteStorage

    return SqliteStorage(settings.sqlite_path, timeout=settings.storage_timeout, **options)


def _memory(_settings: Settings, **options: Any) -> StateStorage:
    from storage.memory import MemoryStorage

    return MemoryStorage(**options)


def _blob(settings: Settings, **options: Any) -> StateStorage:
    from storage.blob import BlobStorage

    options |= {"create": settings.storage_create, "timeout": settings.storage_timeout}
    if settings.blob_connection_string:
        return BlobStorage.from_connection_string(settings.blob_connection_string, settings.blob_container, **options)
    return BlobStorage.from_account_url(settings.blob_account_url, settings.blob_container, **options)


def _cosmos(settings: Settings, **options: Any) -> StateStorage:
    from storage.cosmos import CosmosStorage

    where = (settings.cosmos_database, settings.cosmos_container)
    options |= {
        "create": settings.storage_create,
        "timeout": settings.storage_timeout,
        "key_suffix": settings.cosmos_key_suffix,
        "compatibility_mode": settings.cosmos_compatibility_mode,
        "stale_reads": settings.cosmos_stale_reads,
    }
    if settings.cosmos_key:
        return CosmosStorage.from_key(settings.cosmos_endpoint, settings.cosmos_key, *where, **options)
    return CosmosStorage.from_identity(settings.cosmos_endpoint, *where, **options)


_BACKENDS: Final[dict[str, Callable[..., StateStorage]]] = {
    "sqlite": _sqlite,
    "memory": _memory,
    "blob": _blob,
    "cosmos": _cosmos,
}
