"""Documents as a person or another program leaves them in a store, past everything that this one checks."""

from __future__ import annotations

import json
import sqlite3
import time
from typing import Any

from storage import StateStorage
from storage.blob import BlobStorage
from storage.cosmos import CosmosStorage
from storage.keys import blob_name, cosmos_id, row_key
from storage.memory import MemoryStorage, _Stored
from storage.sqlite import SqliteStorage


async def put(storage: StateStorage, key: str, text: bytes) -> None:
    """Store `text` as the document. On Cosmos DB it must be JSON: the service keeps nothing else."""
    if isinstance(storage, MemoryStorage):
        storage._documents[key] = _Stored(text, "by hand", time.time())
    elif isinstance(storage, SqliteStorage):
        with sqlite3.connect(storage._path) as connection:
            connection.execute(
                "INSERT INTO documents VALUES (?, CAST(? AS TEXT), 'by hand', ?)", (row_key(key), text, time.time())
            )
        connection.close()
    elif isinstance(storage, BlobStorage):
        await storage._container.get_blob_client(blob_name(key)).upload_blob(text)
    elif isinstance(storage, CosmosStorage):
        body = {"id": cosmos_id(key), "realId": key, "document": json.loads(text)}
        await storage._container.create_item(body)


async def get(storage: StateStorage, key: str) -> Any:
    """What is stored as the document now, in a form to be compared."""
    if isinstance(storage, MemoryStorage):
        return storage._documents[key]
    if isinstance(storage, SqliteStorage):
        connection = sqlite3.connect(storage._path)
        rows = connection.execute("SELECT CAST(value AS BLOB), etag FROM documents WHERE key = ?", (row_key(key),))
        found = rows.fetchall()
        connection.close()
        return found
    if isinstance(storage, BlobStorage):
        stream = await storage._container.get_blob_client(blob_name(key)).download_blob()
        return await stream.readall(), stream.properties.etag
    assert isinstance(storage, CosmosStorage)
    return await storage._container.read_item(cosmos_id(key), cosmos_id(key))
