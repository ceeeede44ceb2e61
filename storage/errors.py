"""Every error a storage raises. A backend chains these `from` its SDK's error and raises nothing else."""

from __future__ import annotations


class StorageError(Exception):
    """The base of all storage errors."""


class StorageConflict(StorageError):
    """Raised when a write's precondition does not hold: the document changed, appeared or went away meanwhile.

    Attributes:
        key: the document's key.
        expected: the ETag the write expected, or None where it expected the document to be absent.
        current: the ETag the service holds now, or None where the document is absent or the service
            did not say (HTTP 409 and 412 carry no ETag).
    """

    def __init__(self, key: str, expected: str | None, current: str | None) -> None:
        wanted = "no document" if expected is None else f"ETag {expected}"
        found = "another version or none" if current is None else f"ETag {current}"
        super().__init__(f"{key!r}: the write expected {wanted}, the storage holds {found}; read again and retry")
        self.key = key
        self.expected = expected
        self.current = current


class StorageUnavailable(StorageError):
    """Raised when the service could not be asked, or did not answer, after the retries the backend allows.

    The outcome of a write that ends so is unknown: it may have been applied.
    """


class StateDecodeError(StorageError):
    """Raised when a stored document cannot be read as state. The document is left as it is.

    Attributes:
        key: the document's key.
        where: the place inside it, as `UserProfile.tags[3]`, or an offset in the text; "" for the whole.
        told: the reason without the value that is there, for a log; by default what is before a colon.
    """

    def __init__(self, key: str, where: str, reason: str, told: str | None = None) -> None:
        place = f" at {where}" if where else ""
        super().__init__(f"document {key!r}{place}: {reason}")
        self.key = key
        self.where = where
        self.told = told or reason.partition(":")[0]


class AmbiguousStateError(StateDecodeError):
    """Raised when a stored document can mean two things, by the release of jsonpickle that wrote it."""


class StateEncodeError(StorageError):
    """Raised before anything is written when a value cannot be stored as state.

    Attributes:
        key: the document's key.
        where: the place of the value inside it, as `UserProfile.tags[3]`.
    """

    def __init__(self, key: str, where: str, reason: str) -> None:
        super().__init__(f"document {key!r} at {where}: {reason}")
        self.key = key
        self.where = where
