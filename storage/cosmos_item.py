"""The item that a document is in Cosmos DB: `{"id", "realId", "document", "ttl"?}`, and what the service adds to it.

The stock `CosmosDbPartitionedStorage` lays its items out so, without `ttl`.
https://learn.microsoft.com/azure/cosmos-db/nosql/time-to-live
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from storage.codec import as_object
from storage.errors import StateDecodeError
from storage.limits import escaped_size
from storage.remote import Stored


def envelope(item_id: str, key: str, life: int | None) -> dict[str, Any]:
    """What an item has beside its document."""
    return {"id": item_id, "realId": key} | ({} if life is None else {"ttl": life})


def item_size(beside: Mapping[str, Any], text: bytes) -> int:
    """The bytes of an item as azure-cosmos 4.7.0 sends it, with a document whose JSON is `text`."""
    return len(json.dumps({**beside, "document": 0}, separators=(",", ":"))) - 1 + escaped_size(text)


def stored(item: Mapping[str, Any], key: str, life: int | None, jsonpickle: int | None) -> Stored:
    """Return the document in an item, which lives for `life` seconds from its next write on.

    Raises `StateDecodeError` for the item of another key: the stock ids of two keys may be the same.
    """
    if item.get("realId", key) != key:
        raise StateDecodeError(key, "realId", "the item is that of another key, which stock spells alike")
    value = partial(as_object, item.get("document"), key, jsonpickle)
    return Stored(item["_etag"], value, item["_ts"], least_life(item, life), _time_to_live(item) != life)


def document_text(item: Mapping[str, Any]) -> bytes:
    """The document in an item as JSON, whatever it is."""
    return json.dumps(item.get("document"), ensure_ascii=False).encode(errors="surrogatepass")


def least_life(item: Mapping[str, Any], life: int | None) -> int | None:
    """The seconds from an item's last write on after which it is over, by itself or by now; None: never."""
    return min((each for each in (_time_to_live(item), life) if each is not None), default=None)


def _time_to_live(item: Mapping[str, Any]) -> int | None:
    seconds = item.get("ttl")
    return seconds if isinstance(seconds, int) and seconds > 0 else None  # -1: for ever
