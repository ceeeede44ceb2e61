"""How a document's key is spelled as a blob name, a Cosmos id and a SQLite text: injective and within the limits.

A key that the stock `botbuilder-azure` storages spell safely is spelled as they do, so their documents are found; for
Cosmos DB also with their `key_suffix` and in their `compatibility_mode`, which cuts long ids and ends them in a
SHA-256. Any other key gets a spelling that starts with a mark no stock-safe spelling can start with; a very long one
ends in its SHA-256. What stock has kept under such a key is found too, where the service tells whose it is. The stock
spellings are ambiguous: a tab before "2" and a backslash both become "*92", and a key may look like the cut spelling
of another.

Limits, of blob names and item ids:
https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata
https://learn.microsoft.com/azure/cosmos-db/concepts-limits#per-item-limits
"""

from __future__ import annotations

import hashlib
import re
import sys
from contextlib import suppress
from typing import Final

BLOB_NAME_LIMIT: Final = 1024  # characters; counted in bytes here, which keeps the request's URL short too
BLOB_SEGMENTS_LIMIT: Final = 254  # between slashes
COSMOS_ID_LIMIT: Final = 255  # characters: azure-cosmos 4.7.0 refuses more; the service takes 1,023 bytes of UTF-8
_DIGEST = 64  # hexadecimal characters of SHA-256

_BLOB_MARK = "~"
# U+FFFE and U+FFFF are no characters of XML, in which blobs are listed.
_BLOB_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\\\ufffe\uffff]|^~|(^|/)\.{1,2}(/|\Z)|\.\Z|\A/*\Z")
_BLOB_UNLISTED = re.compile(r"[\x00-\x1f\\\ufffe\uffff\ud800-\udfff]|^~")  # what no name of stock's has anywhere
# The service takes a backslash for a slash.
_BLOB_UNSENT = re.compile(r"[\x00-\x1f\\\ufffe\uffff\ud800-\udfff]|(^|/)\.{1,2}(/|\Z)|\A/*\Z")
_BLOB_PLAIN = re.compile(r"[A-Za-z0-9_|:;,=@ -]")

_COSMOS_MARK = "*~"  # a stock id has a digit behind every "*"
_COSMOS_STOCK = str.maketrans({char: f"*{ord(char)}" for char in "\\?/#\t\n\r*"})
_COSMOS_UNSAFE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]|\t2|^\s")
_COSMOS_UNSAFE_END = (" ", ".")
_COSMOS_UNSENT = re.compile(r"[\x00-\x1f\x7f]| \Z|\A\.{0,2}\Z")
_CUT = re.compile(r".*[0-9a-f]{64}", re.DOTALL)
_COSMOS_PLAIN = re.compile(r"[A-Za-z0-9_|:;,=@.-]")


def blob_name(key: str) -> str:
    """Return the name of the blob that holds `key`, 1 to 1,024 characters."""
    fits = 0 < len(_utf8(key)) <= BLOB_NAME_LIMIT and key.count("/") < BLOB_SEGMENTS_LIMIT
    if fits and not _BLOB_UNSAFE.search(key):
        return key
    return _marked(key, _BLOB_MARK, _BLOB_PLAIN, BLOB_NAME_LIMIT)


def stock_blob_name(key: str) -> str | None:
    """Return the name of the blob in which stock keeps `key`, where that is not `blob_name`'s, nor that of another key.

    A service may take such names for others: whether there is a blob of exactly this name, only a listing says.
    """
    fits = len(_utf8(key)) <= BLOB_NAME_LIMIT and key.count("/") < BLOB_SEGMENTS_LIMIT
    is_ours = blob_key(key) is not None or is_blob_digest(key)
    return key if fits and not is_ours and not _BLOB_UNSENT.search(key) else None


def cosmos_id(key: str, suffix: str = "", *, compatible: bool = False) -> str:
    """Return the id of the item that holds `key`, 1 to 255 characters, without the characters Cosmos DB refuses.

    Args:
        key: the document's key.
        suffix: what every id of the bot ends in, at most 100 characters, none that an id cannot have.
        compatible: spell ids that are too long as stock does in its compatibility mode.
    """
    stock = key.translate(_COSMOS_STOCK) + suffix
    if compatible:
        stock = _cut(stock)
    fits = _utf8(stock) and len(stock) <= COSMOS_ID_LIMIT and not stock.endswith(_COSMOS_UNSAFE_END)
    if fits and not _COSMOS_UNSAFE.search(key):
        return stock
    return _marked(key, _COSMOS_MARK, _COSMOS_PLAIN, COSMOS_ID_LIMIT - len(suffix)) + suffix


def stock_cosmos_id(key: str, suffix: str = "", *, compatible: bool = False) -> str | None:
    """Return the id of the item in which stock keeps `key`, where that is not `cosmos_id`'s.

    The item may be that of another key: its `realId` says.
    """
    stock = key.translate(_COSMOS_STOCK) + suffix
    if compatible and len(stock) > COSMOS_ID_LIMIT:
        stock = _cut(stock)
    fits = _utf8(stock) and len(stock) <= COSMOS_ID_LIMIT and not _COSMOS_UNSENT.search(stock)
    return stock if fits and stock != cosmos_id(key, suffix, compatible=compatible) else None


def _cut(stock: str) -> str:
    """The id as stock cuts it, or nothing for one that only looks as if it were cut."""
    if len(stock) > COSMOS_ID_LIMIT:
        digest = hashlib.sha256(_utf8(stock)).hexdigest()
        return stock[: COSMOS_ID_LIMIT - _DIGEST] + digest if _utf8(stock) else ""
    return "" if len(stock) == COSMOS_ID_LIMIT and _CUT.fullmatch(stock) else stock


def row_key(key: str) -> str:
    """Return `key` as a text that SQLite can hold: any but one with lone surrogates, which is not text."""
    return key if _utf8(key) and not key.startswith(_BLOB_MARK) else _marked(key, _BLOB_MARK, _BLOB_PLAIN, sys.maxsize)


def blob_key(name: str) -> str | None:
    """Return the key whose blob has this name, or None where the name is none of a key or ends in a digest."""
    key = name if not name.startswith(_BLOB_MARK) else _unmarked(name, _BLOB_MARK, BLOB_NAME_LIMIT)
    return key if key is not None and blob_name(key) == name else None


def is_blob_digest(name: str) -> bool:
    """Whether the name ends in a digest, so that the key cannot be read from it. No stock name looks so."""
    return name.startswith(_BLOB_MARK) and len(name) == BLOB_NAME_LIMIT


def blob_prefixes(prefix: str) -> list[str]:
    """Return the starts that names of keys with this start may have, none of them within another."""
    if not prefix:
        return [""]
    plain = len(_utf8(prefix)) <= BLOB_NAME_LIMIT and not _BLOB_UNLISTED.search(prefix)
    return [prefix, _BLOB_MARK] if plain else [_BLOB_MARK]


def key_of_row(name: str) -> str | None:
    """Return the key that `row_key` has spelled so, or None where it has not."""
    key = _unmarked(name, _BLOB_MARK, sys.maxsize) if name.startswith(_BLOB_MARK) else name
    return key if key is not None and row_key(key) == name else None


def _utf8(text: str) -> bytes:
    """`text` in UTF-8, or nothing where it has lone surrogates, which no service takes."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return b""


def _marked(key: str, mark: str, plain: re.Pattern[str], limit: int) -> str:
    """Spell `key` in ASCII behind `mark`: plain characters as they are, the bytes of others as ~XX."""
    encoded = key.encode("utf-8", "surrogatepass")
    spelled = "".join(chr(byte) if plain.match(chr(byte)) else f"~{byte:02X}" for byte in encoded)
    if len(mark) + len(spelled) < limit:
        return mark + spelled
    digest = hashlib.sha256(encoded).hexdigest()
    # Exactly `limit` long, which no full spelling is.
    return mark + spelled[: limit - len(mark) - _DIGEST] + digest


def _unmarked(name: str, mark: str, limit: int) -> str | None:
    """Return the key that `_marked` has spelled so, or None where that was none or cannot be told."""
    if len(name) >= limit:
        return None
    with suppress(UnicodeError):
        spelled = re.sub("~([0-9A-F]{2})", lambda found: chr(int(found[1], 16)), name.removeprefix(mark))
        return spelled.encode("latin-1").decode("utf-8", "surrogatepass")
    return None
