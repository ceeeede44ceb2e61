"""The database file of the SQLite backend: its connections, its table, its statements. All raise `sqlite3.Error`."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiosqlite

KEYS_AT_ONCE: Final = 30_000  # in one statement; SQLite takes 32,766 parameters, where it is not built for more
_SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
    key     TEXT PRIMARY KEY,
    value   TEXT NOT NULL,
    etag    TEXT NOT NULL,
    written REAL NOT NULL -- seconds since the epoch
) WITHOUT ROWID
"""


async def connect(path: Path, patience: float) -> aiosqlite.Connection:
    """Open the file; `patience` is how many seconds a statement waits for another process's write."""
    return await aiosqlite.connect(path, isolation_level=None, timeout=patience)


async def use_schema(connection: aiosqlite.Connection, now: float) -> None:
    """Make the table, or what it lacks, at the time `now`.

    Raises `sqlite3.DatabaseError` for a database of somebody else's that has another table of its name.
    """
    if await _columns(connection) >= {"key", "value", "etag", "written"}:
        return
    async with transaction(connection):  # other processes may be about to do the same
        await connection.execute(_SCHEMA)
        columns = await _columns(connection)
        if {"key", "value", "etag"} - columns:
            raise sqlite3.DatabaseError("it holds another program's table of the name 'documents'")
        if "written" not in columns:  # of a version without expiry: the rows' lives begin now
            written = f"REAL NOT NULL DEFAULT {now:.3f}"
            await connection.execute(f"ALTER TABLE documents ADD COLUMN written {written}")


async def use_wal(connection: aiosqlite.Connection, patience: float) -> None:
    """Switch the file to WAL, once and for all; while another connection does, SQLite says "locked" at once."""
    end = asyncio.get_running_loop().time() + patience
    while True:
        try:
            await connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or asyncio.get_running_loop().time() > end:
                raise
            await asyncio.sleep(0.01)
        else:
            return


@asynccontextmanager
async def transaction(connection: aiosqlite.Connection) -> AsyncIterator[aiosqlite.Connection]:
    """Write in the block, all of it or nothing."""
    await connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        await connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            await connection.execute("ROLLBACK")


async def select(connection: aiosqlite.Connection, columns: str, keys: list[str]) -> list[tuple[Any, ...]]:
    """Return these columns of the rows that exist among `keys`."""
    rows: list[tuple[Any, ...]] = []
    for at in range(0, len(keys) or 1, KEYS_AT_ONCE):
        chunk = keys[at : at + KEYS_AT_ONCE]
        marks = ",".join("?" * len(chunk))
        query = f"SELECT {columns} FROM documents WHERE key IN ({marks})"  # noqa: S608 - column names, question marks
        rows += map(tuple, await connection.execute_fetchall(query, chunk))
    return rows


async def remove(connection: aiosqlite.Connection, keys: list[str]) -> None:
    """Remove the rows that exist among `keys`."""
    if keys:
        await connection.executemany("DELETE FROM documents WHERE key = ?", [(key,) for key in keys])


async def _columns(connection: aiosqlite.Connection) -> set[str]:
    rows = await connection.execute_fetchall(
        "SELECT c.name FROM sqlite_schema AS s, pragma_table_info(s.name) AS c "
        "WHERE (s.type, s.name) = ('table', 'documents')"
    )
    return {name for (name,) in rows}
