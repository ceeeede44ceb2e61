"""The storage operations of the floor, straight on the SDKs' clients, made with the options of our backends: with the
defaults, its requests would cost more than ours."""

from __future__ import annotations

import asyncio
import functools
import itertools
import json
import sqlite3
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from azure.core import MatchConditions
from azure.core.exceptions import ResourceNotFoundError

from config import Settings
from storage.keys import cosmos_id
from storage.sqlite_file import Connection, prepare, put, transaction


class Held(NamedTuple):
    """A document and its version, both None where there is none."""

    state: dict[str, Any] | None
    etag: str | None


class Store(Protocol):
    """Where the documents are."""

    transactional: bool

    async def load(self, keys: Iterable[str]) -> dict[str, Held]: ...

    async def save(self, documents: Mapping[str, Held]) -> dict[str, str]:
        """Write the documents, each provided that it has its `etag` still; return the new ETags."""


class _Memory:
    transactional = True

    def __init__(self) -> None:
        self._texts: dict[str, tuple[bytes, str]] = {}
        self._etags = itertools.count()

    async def load(self, keys: Iterable[str]) -> dict[str, Held]:
        found = {key: self._texts.get(key) for key in keys}
        return {key: Held(json.loads(row[0]), row[1]) if row else Held(None, None) for key, row in found.items()}

    async def save(self, documents: Mapping[str, Held]) -> dict[str, str]:
        for key, held in documents.items():
            row = self._texts.get(key)
            assert held.etag == (row[1] if row else None)
        for key, held in documents.items():
            self._texts[key] = json.dumps(held.state).encode(), str(next(self._etags))
        return {key: self._texts[key][1] for key in documents}


class _Sqlite:
    transactional = True

    def __init__(self, reader: Connection, writer: Connection) -> None:
        self._reader, self._writer = reader, writer
        self._etags = itertools.count()

    async def load(self, keys: Iterable[str]) -> dict[str, Held]:
        wanted = tuple(keys)
        some = "SELECT key, value, etag FROM documents WHERE key IN (?, ?)"
        rows = await self._reader.run(lambda reader: reader.execute(some, (wanted[0], wanted[-1])).fetchall())
        return dict.fromkeys(wanted, Held(None, None)) | {key: Held(json.loads(text), etag) for key, text, etag in rows}

    async def save(self, documents: Mapping[str, Held]) -> dict[str, str]:
        etags = {key: str(next(self._etags)) for key in documents}
        rows = [(key, json.dumps(held.state), etags[key], 0.0) for key, held in documents.items()]
        await self._writer.run(partial(self._insert, rows))
        return etags

    def _insert(self, rows: list[tuple[str, str, str, float]], writer: sqlite3.Connection) -> None:
        with transaction(writer):
            put(writer, rows)


class _Remote:
    transactional = False

    async def load(self, keys: Iterable[str]) -> dict[str, Held]:
        wanted = tuple(keys)
        return dict(zip(wanted, await asyncio.gather(*map(self._load, wanted)), strict=True))

    async def save(self, documents: Mapping[str, Held]) -> dict[str, str]:
        etags = await asyncio.gather(*(self._save(key, held) for key, held in documents.items()))
        return dict(zip(documents, etags, strict=True))

    async def _load(self, key: str) -> Held:
        raise NotImplementedError

    async def _save(self, key: str, held: Held) -> str:
        raise NotImplementedError


class _Blob(_Remote):
    def __init__(self, container: Any) -> None:
        self._blob = functools.cache(container.get_blob_client)

    async def _load(self, key: str) -> Held:
        try:
            stream = await self._blob(key).download_blob()
        except ResourceNotFoundError:
            return Held(None, None)
        return Held(json.loads(await stream.readall()), stream.properties.etag)

    async def _save(self, key: str, held: Held) -> str:
        match = {"etag": held.etag, "match_condition": MatchConditions.IfNotModified} if held.etag else {}
        answer = await self._blob(key).upload_blob(json.dumps(held.state).encode(), overwrite=bool(held.etag), **match)
        return str(answer["etag"])


class _Cosmos(_Remote):
    def __init__(self, container: Any) -> None:
        self._container = container
        self._id = functools.cache(cosmos_id)

    async def _load(self, key: str) -> Held:
        name = self._id(key)
        try:
            item = await self._container.read_item(name, name)
        except ResourceNotFoundError:
            return Held(None, None)
        return Held(item["document"], item["_etag"])

    async def _save(self, key: str, held: Held) -> str:
        name = self._id(key)
        body = {"id": name, "realId": key, "document": held.state}
        if held.etag is None:
            return str((await self._container.create_item(body))["_etag"])
        match = {"etag": held.etag, "match_condition": MatchConditions.IfNotModified}
        return str((await self._container.replace_item(name, body, **match))["_etag"])


def _prepare(writer: sqlite3.Connection) -> None:
    writer.execute("PRAGMA journal_mode=WAL").fetchall()
    prepare(writer, 0.0)


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncIterator[Store]:
    """Open the store that the settings choose."""
    if settings.state_storage == "sqlite":
        reader, writer = (Connection(Path(settings.sqlite_path), patience=5) for _ in range(2))
        await writer.run(_prepare)
        yield _Sqlite(reader, writer)
        await reader.close()
        await writer.close()
    elif settings.state_storage == "blob":
        from azure.storage.blob.aio import BlobServiceClient

        from storage.blob import client_options as blob_options

        account = settings.blob_connection_string
        async with BlobServiceClient.from_connection_string(account, **blob_options()) as blobs:
            yield _Blob(blobs.get_container_client(settings.blob_container))
    elif settings.state_storage == "cosmos":
        from azure.cosmos.aio import CosmosClient

        from storage.cosmos_client import client_options as cosmos_options

        endpoint = settings.cosmos_endpoint
        async with CosmosClient(endpoint, settings.cosmos_key, **cosmos_options(endpoint)) as client:
            database = client.get_database_client(settings.cosmos_database)
            yield _Cosmos(database.get_container_client(settings.cosmos_container))
    else:
        yield _Memory()
