"""Where state is kept: the contract, its errors, and the backends that `create_storage` picks from."""

from storage.base import StateStorage
from storage.codec import Codec
from storage.contract import ABSENT, ANY, Document, DocumentStore, Write
from storage.errors import (
    StateDecodeError,
    StateEncodeError,
    StorageConflict,
    StorageError,
    StorageUnavailable,
)
from storage.factory import create_storage

__all__ = [
    "ABSENT",
    "ANY",
    "Codec",
    "Document",
    "DocumentStore",
    "StateDecodeError",
    "StateEncodeError",
    "StateStorage",
    "StorageConflict",
    "StorageError",
    "StorageUnavailable",
    "Write",
    "create_storage",
]
