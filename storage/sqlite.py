"""State in one SQLite file: the embedded default. Survives restarts, and several processes may share it.

WAL lets readers run beside the writer (https://sqlite.org/wal.html); `BEGIN IMMEDIATE` takes the write lock before
the preconditions are read, so that no other process can come between; `synchronous=FULL` keeps a committed turn
through a power failure.
"""

from __future__ import annotations

import asyncio
import sqlite3
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar

import aiosqlite

from storage.base import StateStorage
from storage.codec import dumps, loads
from storage.contract import Document, Write
from storage.errors import StorageUnavailable
from storage.keys import row_key

_SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL,
    etag  TEXT NOT NULL
) WITHOUT ROWID
"""


class SqliteStorage(StateStorage):
    """Documents in the file at `path`, one row each, the value as JSON text.

    Args:
        path: the database file; created when missing, its folder must exist.
        timeout: seconds before `StorageUnavailable`: half of them to wait for the other writes of this process, half
            for those of other processes.
    """

    transactional: ClassVar[bool] = True

    def __init__(self, path: str | Path, *, timeout: float = 4.0) -> None:
        super().__init__()
        self._path = Path(path)
        self._timeout = timeout
        self._reader: aiosqlite.Connection | None = None
        self._writer: aiosqlite.Connection | None = None
        self._writing = asyncio.Lock()

    def __str__(self) -> str:
        return f"SQLite file {self._path}"

    async def open(self) -> None:
        async with self._errors("cannot be opened"):
            # aiosqlite's thread outlives a failed connect and speaks to a closed loop; so fail before it starts.
            await asyncio.to_thread(lambda: sqlite3.connect(self._path).close())
            self._writer = await self._connect()
            await self._use_wal(self._writer)
            await self._writer.execute("PRAGMA synchronous=FULL")
            await self._writer.execute(_SCHEMA)
            self._reader = await self._connect()
            await self._check_schema(self._reader)

    async def aclose(self) -> None:
        async with self._writing:
            for connection in (self._reader, self._writer):
                if connection:
                    await connection.close()
            self._reader = self._writer = None

    async def ping(self) -> None:
        await self._rows([])

    async def load(self, keys: Iterable[str]) -> dict[str, Document]:
        names = {row_key(key): key for key in keys}
        rows = await self._rows(list(names))
        return {names[name]: Document(loads(value, names[name]), etag) for name, value, etag in rows}

    async def save(self, writes: Mapping[str, Write]) -> dict[str, str]:
        texts = {key: dumps(write.value, key).decode() for key, write in writes.items() if write.value is not None}
        etags = {key: uuid.uuid4().hex for key in texts}
        rows = [(row_key(key), text, etags[key]) for key, text in texts.items()]
        if writes:
            await self._wait_to_write()
            # Shielded: a cancelled caller must not leave a transaction open on the shared connection.
            await asyncio.shield(self._commit(dict(writes), rows))
        return etags

    async def _commit(self, writes: Mapping[str, Write], rows: list[tuple[str, str, str]]) -> None:
        try:
            async with self._errors("cannot be written"), self._transaction() as connection:
                await self._write(connection, writes, rows)
        finally:
            self._writing.release()

    async def _wait_to_write(self) -> None:
        try:
            async with asyncio.timeout(self._timeout / 2):
                await self._writing.acquire()
        except TimeoutError as error:
            raise StorageUnavailable(f"{self} cannot be written: earlier writes take too long") from error

    async def _write(
        self, connection: aiosqlite.Connection, writes: Mapping[str, Write], rows: list[tuple[str, str, str]]
    ) -> None:
        names = {key: row_key(key) for key in writes}
        found = await connection.execute_fetchall(_select("key, etag", len(names)), tuple(names.values()))
        current: dict[str, str] = dict(map(tuple, found))
        for key, write in writes.items():
            write.require(key, current.get(names[key]))
        await connection.executemany("INSERT OR REPLACE INTO documents VALUES (?, ?, ?)", rows)
        deleted = [(names[key],) for key, write in writes.items() if write.value is None]
        if deleted:
            await connection.executemany("DELETE FROM documents WHERE key = ?", deleted)

    async def _rows(self, keys: list[str]) -> Iterable[sqlite3.Row]:
        async with self._errors("cannot be read"):
            return await _open(self._reader).execute_fetchall(_select("key, value, etag", len(keys)), keys)

    async def _connect(self) -> aiosqlite.Connection:
        return await aiosqlite.connect(self._path, isolation_level=None, timeout=self._timeout / 2)

    async def _check_schema(self, connection: aiosqlite.Connection) -> None:
        """Refuse a database of somebody else's that has another thing of our table's name."""
        columns = await connection.execute_fetchall(
            "SELECT c.name FROM sqlite_schema AS s, pragma_table_info(s.name) AS c "
            "WHERE (s.type, s.name) = ('table', 'documents')"
        )
        if {"key", "value", "etag"} - {name for (name,) in columns}:
            raise sqlite3.DatabaseError("it holds another program's table of the name 'documents'")

    async def _use_wal(self, connection: aiosqlite.Connection) -> None:
        """Switch the file to WAL, once and for all; while another connection does, SQLite says "locked" at once."""
        patience = asyncio.get_running_loop().time() + self._timeout
        while True:
            try:
                await connection.execute("PRAGMA journal_mode=WAL")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or asyncio.get_running_loop().time() > patience:
                    raise
                await asyncio.sleep(0.01)
            else:
                return

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[aiosqlite.Connection]:
        connection = _open(self._writer)
        await connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            await connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                await connection.execute("ROLLBACK")

    @asynccontextmanager
    async def _errors(self, what: str) -> AsyncIterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StorageUnavailable(f"{self} {what}: {error}") from error


def _select(columns: str, count: int) -> str:
    marks = ",".join("?" * count)
    return f"SELECT {columns} FROM documents WHERE key IN ({marks})"  # noqa: S608 - column names and question marks


def _open(connection: aiosqlite.Connection | None) -> aiosqlite.Connection:
    if connection is None:
        raise StorageUnavailable("the SQLite storage is not open; use `async with` or call open()")
    return connection
