"""What a document may measure: refused before it is written, by its size and its biggest property; warned of before.

Sizes are in bytes of what is sent. Levels are those of objects and lists inside each other, the document being the
first. Sources:
https://learn.microsoft.com/azure/cosmos-db/concepts-limits#per-item-limits (2 MB, 128 levels, 64-bit IEEE 754 numbers)
https://www.sqlite.org/limits.html (1,000,000,000 bytes in a row)
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from storage.errors import StateEncodeError
from storage.telemetry import record_size

# One for all: what was written while developing on SQLite must not be too deep for Cosmos DB, whose item is a level
# around the document.
LEVELS: Final = 127
EXACT: Final = 2**53 - 1  # the greatest integer that a double, and so Cosmos DB, can tell from its neighbours
OURS: Final = "$turn"  # the property in which turns keep their record, see bots.turn.envelope
_WARN_FROM: Final = 0.5  # of the limit
_KEYS_WARNED: Final = 1_000
_CONTAINERS = (Mapping, list, tuple)
_LONG_NUMBER = b"0" * 16  # once every digit is a zero, which is found ten times faster than a run of digits
_ZEROS = bytes.maketrans(b"123456789", b"000000000")

_log = logging.getLogger(__name__)


class Limits:
    """The limits of one store.

    Args:
        size: the greatest size of a document, or None where there is none.
        exact: whether integers beyond 2^53 - 1 would come back as others.
    """

    def __init__(self, size: int | None = None, *, exact: bool = True) -> None:
        self._size = size
        self._exact = exact
        self._warned: set[str] = set()

    def check(self, key: str, value: Mapping[str, Any], text: bytes, size: int) -> None:
        """Pass a document whose JSON is `text` and which takes `size` bytes as sent.

        Raises `StateEncodeError` for what the store would refuse or change. Logs a warning, once for each key, from
        half of the size on; keys name people, so the log gets a hash.
        """
        record_size(size)
        if text.count(b"{") + text.count(b"[") > LEVELS:
            _refuse_deep(key, value)
        if not self._exact and _LONG_NUMBER in text.translate(_ZEROS):
            _refuse_inexact(key, value)
        if self._size is None or size <= self._size * _WARN_FROM:
            return
        name = max(value, key=lambda name: len(json.dumps(value[name])))
        told = f"{size:,} bytes, the limit is {self._size:,}; its biggest property is {_called(name)}"
        if size > self._size:
            raise StateEncodeError(key, name, f"too large: the document would take {told}")
        self._warn(hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:12], told)

    def _warn(self, hashed: str, told: str) -> None:
        if hashed in self._warned:
            return
        if len(self._warned) >= _KEYS_WARNED:
            self._warned.clear()
        self._warned.add(hashed)
        _log.warning("the document with the key of SHA-256 %s... grows large: it takes %s", hashed, told)


def escaped_size(text: bytes) -> int:
    """The length of JSON in UTF-8 once everything but printable ASCII is escaped, as azure-cosmos 4.7.0 sends it."""
    escapes = text.count(b"\x7f")
    if not text.isascii():
        decoded = text.decode()
        escapes += len(decoded.encode("utf-16-le")) // 2 - len(decoded.encode("ascii", "ignore"))
        text = decoded.encode("ascii", "ignore")
    return len(text) - text.count(b"\x7f") + len(r"\u0000") * escapes


def _called(name: str) -> str:
    return f"the turn record ({OURS})" if name == OURS else repr(name)


def _refuse_deep(key: str, value: Mapping[str, Any]) -> None:
    level = [(name, item) for name, item in value.items() if isinstance(item, _CONTAINERS)]  # the second
    for _ in range(LEVELS - 1):
        level = [(name, inner) for name, item in level for inner in _inside(item) if isinstance(inner, _CONTAINERS)]
    if level:
        raise StateEncodeError(key, level[0][0], f"nested too deeply: the limit is {LEVELS} levels, the document first")


def _inside(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, Mapping) else value


def _refuse_inexact(key: str, value: Mapping[str, Any]) -> None:
    for place, number in _integers(value, ""):
        if abs(number) > EXACT:
            reason = f"{number} would come back as another number; store integers beyond {EXACT} as text"
            raise StateEncodeError(key, place, reason)


def _integers(value: Any, place: str) -> Iterator[tuple[str, int]]:
    if isinstance(value, int) and not isinstance(value, bool):
        yield place, value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _integers(item, f"{place}.{name}" if place else str(name))
    elif isinstance(value, list | tuple):
        for at, item in enumerate(value):
            yield from _integers(item, f"{place}[{at}]")
