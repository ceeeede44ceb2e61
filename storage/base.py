"""botbuilder's `Storage` on top of the contract, so that any bot, dialog or middleware of the SDK can use a backend.

An item is a dict, or an object of a registered class; its ETag travels inside it as `e_tag`, as the SDK has it:
https://learn.microsoft.com/azure/bot-service/bot-builder-howto-v4-storage
"""

from __future__ import annotations

import abc
import dataclasses
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from botbuilder.core import Storage

from storage.codec import E_TAG, Codec
from storage.contract import ANY, DocumentStore, Expect, Write
from storage.expiry import NEVER, Expiry
from storage.numbering import LIKELY
from storage.spelling import TAG


@dataclasses.dataclass(slots=True)
class Skipped:
    """What the listings of a storage have met and not told.

    Attributes:
        misnamed: items of Cosmos DB that hold a key and have another id than this storage gives it.
        over: documents whose life is over.
    """

    misnamed: int = 0
    over: int = 0


class StateStorage(DocumentStore, Storage):
    """A backend as the SDK sees it. Subclasses implement the contract; what is here is the same for all.

    Args:
        expiry: how long documents live.
        clock: answers the time, in seconds since the epoch.

    Attributes:
        codec: the classes whose objects may be stored.
        largest_integer: the largest that the service keeps exactly.
        stock_jsonpickle: the release that wrote what is read with references to shared values, 1 or 3, where that
            makes a difference; 0: it is read as of 3, with a warning; None: it is refused. See `storage.references`.
        skipped: counted by `keys`, over all its calls.
        only_looks: whether what is over is only hidden, and never removed because it was looked at. Then a write that
            expects the version of such a document may succeed: it is for programs that do not write.
    """

    largest_integer: ClassVar[int] = 2**63 - 1

    def __init__(self, expiry: Expiry = NEVER, clock: Callable[[], float] = time.time) -> None:
        self.codec = Codec(self.largest_integer)
        self.stock_jsonpickle: int | None = LIKELY
        self.skipped = Skipped()
        self.only_looks = False
        self._expiry = expiry
        self._clock = clock

    def life(self, key: str) -> int | None:
        return self._expiry.life(key)

    @abc.abstractmethod
    async def text(self, key: str) -> bytes | None:
        """Return what is stored as the document `key`, JSON or not, over or not; None where there is nothing.

        It is for a person who mends what cannot be read. Raises `StorageUnavailable`.
        """

    async def purge(self) -> None:
        """Overwrite what deleted documents leave behind, and remove those whose life is over, if that is left to us.

        The services do so by themselves. Raises `StorageUnavailable`.
        """

    async def read(self, keys: Iterable[str]) -> dict[str, Any]:
        """Return the items that exist among `keys`, each with its ETag in `e_tag`.

        Raises ValueError without keys, `StateDecodeError` for a document that cannot be read,
        `StorageUnavailable` when the service does not answer.
        """
        if keys is None:
            raise ValueError("Keys are required when reading")
        items = {}
        for key, document in (await self.load(keys)).items():
            items[key] = item = self.codec.decode(document.value, key)
            _set_e_tag(item, document.etag)
        return items

    async def write(self, changes: Mapping[str, Any]) -> dict[str, str]:
        """Store the items and return their new ETags. The items themselves are left as they are.

        An item's `e_tag` says what is expected: absent, None or "*" anything, otherwise that very version.

        Raises ValueError for an empty `e_tag`, TypeError for an item that cannot carry one, `StateEncodeError` for a
        value that cannot be stored (nothing is written in these cases), `StorageConflict` for a stale `e_tag`.
        """
        if changes is None:
            raise ValueError("Changes are required when writing")
        if not changes:
            return {}
        return await self.save({key: self._write_of(key, item) for key, item in changes.items()})

    async def delete(self, keys: Iterable[str]) -> None:
        """Delete the items, whatever their ETags. Deleting what is absent is no error."""
        if keys is None:
            raise ValueError("Keys are required when deleting")
        await self.save({key: Write(None, ANY) for key in keys})

    def _write_of(self, key: str, item: Any) -> Write:
        encoded = self.codec.encode(item, key)
        if not isinstance(item, dict) and not (
            hasattr(item, "__dict__") and isinstance(encoded, dict) and TAG in encoded
        ):
            raise TypeError(f"{key!r}: an item is a dict or an object with a __dict__, not {type(item).__name__}")
        e_tag = encoded.pop(E_TAG, None)
        return Write(encoded, _expectation(key, e_tag))


def _expectation(key: str, e_tag: object) -> str | Expect:
    if e_tag is None or e_tag == ANY.value:
        return ANY
    if isinstance(e_tag, str) and e_tag:
        return e_tag
    raise ValueError(f'{key!r}: e_tag is {e_tag!r}; expected the ETag that was read, or "*" or none for any version')


def _set_e_tag(item: Any, etag: str) -> None:
    if isinstance(item, dict):
        item[E_TAG] = etag
    else:
        object.__setattr__(item, E_TAG, etag)
