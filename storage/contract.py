"""The storage contract: what every backend promises, stated once.

- A read answers only for documents that exist. Absent means that the service said *not found*; any other
  failure raises, so an outage never looks like a new user.
- A write says what it expects of its document: that it is `ABSENT`, that it has a certain ETag, or `ANY`thing.
  A precondition that does not hold is a `StorageConflict`, and a stale write after a delete elsewhere conflicts
  too: it never brings the document back.
- ETags are opaque and never used twice, so a document deleted and created again has a new one.
- Several keys in one call go out side by side. Where `transactional` is true a write applies all of them or none, and
  a read sees them all at one moment.
- Values are JSON objects, copied in and out. Keys of any text and length never collide.
- A document whose life is over is absent: a read does not answer for it, and once a read has not, a write that expects
  its ETag conflicts. Every write begins its life anew.

The preconditions are those of HTTP (RFC 9110 section 13: If-Match, If-None-Match), as Azure Blob and Cosmos DB
implement them: https://learn.microsoft.com/azure/cosmos-db/nosql/database-transactions-optimistic-concurrency
"""

from __future__ import annotations

import abc
import dataclasses
import enum
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, ClassVar, Final, NamedTuple, Self

from storage.errors import StorageConflict

JsonObject = dict[str, Any]


class Expect(enum.Enum):
    """What a write may expect of a document besides a certain ETag."""

    ABSENT = "absent"
    ANY = "*"


ABSENT: Final = Expect.ABSENT
ANY: Final = Expect.ANY


class Document(NamedTuple):
    """A stored document.

    Attributes:
        value: a JSON object, the caller's own copy.
        etag: opaque, never empty.
        due: whether it should be written again, as it is, if it is still of use: its life would end otherwise.
    """

    value: JsonObject
    etag: str
    due: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Write:
    """One document's change: the new value, or None to delete it, and what is expected of it before.

    Deleting what is absent succeeds with `ANY` and conflicts with an ETag; `ABSENT` goes with values only.

    Raises ValueError for an expectation that is none.
    """

    value: Mapping[str, Any] | None
    expect: str | Expect

    def __post_init__(self) -> None:
        if not (isinstance(self.expect, Expect) or (isinstance(self.expect, str) and self.expect)):
            raise ValueError(f"a write expects ABSENT, ANY or the ETag that was read, not {self.expect!r}")
        if self.value is None and self.expect is ABSENT:
            raise ValueError("a delete expects ANY or the ETag that was read: what is ABSENT is deleted already")

    @property
    def expected_etag(self) -> str | None:
        """The ETag the document must have before, or None where it must be absent or may be anything."""
        return self.expect if isinstance(self.expect, str) else None

    def require(self, key: str, current: str | None) -> None:
        """Raise `StorageConflict` unless the document's present ETag (None: absent) is what this write expects."""
        if self.expect is not ANY and self.expected_etag != current:
            raise StorageConflict(key, self.expected_etag, current)


class DocumentStore(abc.ABC):
    """A backend. `async with` opens and closes it; between the two it may be used by any number of tasks.

    Raises, everywhere: `StorageUnavailable` when the service does not answer, `StateDecodeError` when a stored
    document is not a JSON object.
    """

    transactional: ClassVar[bool]

    def life(self, key: str) -> int | None:
        """How long the document `key` lives after it was last written, in seconds; None: for ever."""
        return None

    @abc.abstractmethod
    async def open(self) -> None:
        """Connect, and create what is missing where the settings allow it.

        Raises `StorageUnavailable` when the service cannot be reached, refuses the credentials, or lacks the
        database or container; the message says which and what to do.
        """

    @abc.abstractmethod
    async def aclose(self) -> None:
        """Close every connection. Closing twice, or what was never opened, is no error."""

    @abc.abstractmethod
    async def ping(self) -> None:
        """Return when the service answers, otherwise raise `StorageUnavailable`. Writes nothing."""

    @abc.abstractmethod
    async def load(self, keys: Iterable[str]) -> dict[str, Document]:
        """Return the documents that exist among `keys`."""

    @abc.abstractmethod
    async def save(self, writes: Mapping[str, Write]) -> dict[str, str]:
        """Apply the writes and return the new ETag of each document written (deleted ones have none).

        Raises `StorageConflict` for a precondition that does not hold. Where `transactional` is true nothing
        is applied then; elsewhere the other writes of the call are finished, and may have been applied.
        """

    @abc.abstractmethod
    def keys(self, prefix: str = "") -> AsyncIterator[str]:
        """Yield the key of each document whose key starts with `prefix`, once, in no particular order.

        It reads page by page, so any number of keys takes the memory of one page. A document that is written or
        deleted meanwhile may be listed or not; every other is. What is listed may be gone when it is loaded. What
        lies in the store under a name that no key is spelled as is not a document, and is not listed; nor is a
        document whose life is over.
        """

    async def __aenter__(self) -> Self:
        try:
            await self.open()
        except BaseException:
            await self.aclose()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()
