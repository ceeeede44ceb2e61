"""The documents behind a conversation, as they are stored."""

from __future__ import annotations

from demos.page.transcript import CHANNEL_ID
from storage.base import StateStorage
from storage.contract import JsonObject
from storage.errors import StateDecodeError


async def stored_documents(storage: StateStorage, conversation: str, user: str) -> list[JsonObject]:
    """Return the conversation's, the user's and the private document: `scope`, `key`, `life`, and what is stored.

    `life` is how long it is kept after it was last written, in seconds, or None: for ever. What is stored is `etag` and
    `value` where there is a document, or `error` where it cannot be read. Raises `StorageUnavailable`.
    """
    keys = {
        "conversation": f"{CHANNEL_ID}/conversations/{conversation}",
        "user": f"{CHANNEL_ID}/users/{user}",
        "private": f"{CHANNEL_ID}/conversations/{conversation}/users/{user}/",
    }
    return [
        {"scope": scope, "key": key, "life": storage.life(key), **await _stored(storage, key)}
        for scope, key in keys.items()
    ]


async def _stored(storage: StateStorage, key: str) -> JsonObject:
    try:
        document = (await storage.load([key])).get(key)
    except StateDecodeError as error:
        return {"error": str(error)}
    return {"etag": document.etag, "value": document.value} if document else {}
