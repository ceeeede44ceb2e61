"""State in one SQLite file: the embedded default. Survives restarts, and several processes may share it.

WAL lets readers run beside the writer (https://sqlite.org/wal.html); `BEGIN IMMEDIATE` takes the write lock before
the preconditions are read, so that no other process can come between; `synchronous=FULL` keeps a committed turn
through a power failure.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar, Final

import aiosqlite

from storage.base import StateStorage
from storage.codec import dumps, loads
from storage.contract import Document, Write
from storage.errors import StorageUnavailable
from storage.expiry import NEVER, Expiry, is_due, is_over
from storage.keys import row_key
from storage.limits import Limits

_SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
    key     TEXT PRIMARY KEY,
    value   TEXT NOT NULL,
    etag    TEXT NOT NULL,
    written REAL NOT NULL -- seconds since the epoch
) WITHOUT ROWID
"""
_ROW_LIMIT: Final = 1_000_000_000  # bytes
_KEYS_AT_ONCE: Final = 30_000  # in one statement; SQLite takes 32,766 parameters, where it is not built for more
_ROW_REST: Final = 100  # bytes of a row beside its key and value, and some to spare
_SWEEP_EVERY: Final = 10.0  # seconds
_SWEEP_ROWS: Final = 200  # so that the write that sweeps does not take long


class SqliteStorage(StateStorage):
    """Documents in the file at `path`, one row each, the value as JSON text.

    Args:
        path: the database file; created when missing, its folder must exist.
        timeout: seconds to wait for another process's write before `StorageUnavailable`.
        expiry, clock: as for every `StateStorage`; rows whose life is over are removed a few at a time, while others
            are written.
    """

    transactional: ClassVar[bool] = True

    def __init__(
        self, path: str | Path, *, timeout: float = 5.0, expiry: Expiry = NEVER, clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__(expiry, clock)
        self._limits = Limits(_ROW_LIMIT)
        self._swept_at = clock()
        self._swept_to = ""
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
            await self._use_schema(self._writer)
            self._reader = await self._connect()

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
        now = self._clock()
        return {
            key: Document(loads(value, key), etag, is_due(self.life(key), now - written))
            for key, value, etag, written in ((names[name], *row) for name, *row in rows)
            if not is_over(self.life(key), now - written)
        }

    async def save(self, writes: Mapping[str, Write]) -> dict[str, str]:
        texts = {key: self._text(key, write.value) for key, write in writes.items() if write.value is not None}
        etags = {key: uuid.uuid4().hex for key in texts}
        if writes:
            # Shielded: a cancelled caller must not leave a transaction open on the shared connection.
            await asyncio.shield(self._commit(dict(writes), texts, etags))
        return etags

    def _text(self, key: str, value: Mapping[str, Any]) -> str:
        text = dumps(value, key)
        self._limits.check(key, value, text, len(text) + len(row_key(key).encode()) + _ROW_REST)
        return text.decode()

    async def _commit(self, writes: Mapping[str, Write], texts: Mapping[str, str], etags: Mapping[str, str]) -> None:
        async with self._writing, self._errors("cannot be written"), self._transaction() as connection:
            now = self._clock()
            names = {row_key(key): key for key in writes}
            found = await _select(connection, "key, etag, written", list(names))
            current = {names[name]: tag for name, tag, at in found if not is_over(self.life(names[name]), now - at)}
            for key, write in writes.items():
                write.require(key, current.get(key))
            rows = [(row_key(key), text, etags[key], now) for key, text in texts.items()]
            await connection.executemany("INSERT OR REPLACE INTO documents VALUES (?, ?, ?, ?)", rows)
            await _remove(connection, [row_key(key) for key, write in writes.items() if write.value is None])
            if self._expiry and now - self._swept_at >= _SWEEP_EVERY:
                self._swept_at = now
                await self._sweep(connection, now)

    async def _sweep(self, connection: aiosqlite.Connection, now: float) -> None:
        """Remove, of the next rows in the order of keys, those whose life is over; begin again behind the last."""
        query = "SELECT key, written FROM documents WHERE key > ? ORDER BY key LIMIT ?"
        rows = list(await connection.execute_fetchall(query, (self._swept_to, _SWEEP_ROWS)))
        self._swept_to = rows[-1][0] if len(rows) == _SWEEP_ROWS else ""
        await _remove(connection, [name for name, written in rows if is_over(self.life(name), now - written)])

    async def _rows(self, keys: list[str]) -> list[tuple[Any, ...]]:
        columns = "key, value, etag, written"
        if len(keys) <= _KEYS_AT_ONCE:
            async with self._errors("cannot be read"):
                return await _select(_open(self._reader), columns, keys)
        async with self._writing, self._errors("cannot be read"), self._transaction() as connection:
            return await _select(connection, columns, keys)

    async def _connect(self) -> aiosqlite.Connection:
        return await aiosqlite.connect(self._path, isolation_level=None, timeout=self._timeout)

    async def _use_schema(self, connection: aiosqlite.Connection) -> None:
        """Make the table, or what it lacks; refuse a database of somebody else's that has another of its name."""
        if await _columns(connection) >= {"key", "value", "etag", "written"}:
            return
        async with self._transaction():  # other processes may be about to do the same
            await connection.execute(_SCHEMA)
            columns = await _columns(connection)
            if {"key", "value", "etag"} - columns:
                raise sqlite3.DatabaseError("it holds another program's table of the name 'documents'")
            if "written" not in columns:  # of a version without expiry: the rows' lives begin now
                written = f"REAL NOT NULL DEFAULT {self._clock():.3f}"
                await connection.execute(f"ALTER TABLE documents ADD COLUMN written {written}")

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


async def _select(connection: aiosqlite.Connection, columns: str, keys: list[str]) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    for at in range(0, len(keys) or 1, _KEYS_AT_ONCE):
        chunk = keys[at : at + _KEYS_AT_ONCE]
        marks = ",".join("?" * len(chunk))
        query = f"SELECT {columns} FROM documents WHERE key IN ({marks})"  # noqa: S608 - column names, question marks
        rows += map(tuple, await connection.execute_fetchall(query, chunk))
    return rows


async def _remove(connection: aiosqlite.Connection, keys: list[str]) -> None:
    if keys:
        await connection.executemany("DELETE FROM documents WHERE key = ?", [(key,) for key in keys])


async def _columns(connection: aiosqlite.Connection) -> set[str]:
    rows = await connection.execute_fetchall(
        "SELECT c.name FROM sqlite_schema AS s, pragma_table_info(s.name) AS c "
        "WHERE (s.type, s.name) = ('table', 'documents')"
    )
    return {name for (name,) in rows}


def _open(connection: aiosqlite.Connection | None) -> aiosqlite.Connection:
    if connection is None:
        raise StorageUnavailable("the SQLite storage is not open; use `async with` or call open()")
    return connection
