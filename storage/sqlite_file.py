"""The database file of the SQLite backend: its connections, its table, its statements. All raise `sqlite3.Error`."""

from __future__ import annotations

import asyncio
import sqlite3
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, Final, TypeVar

T = TypeVar("T")
_Job = tuple[asyncio.Future[Any], Callable[[sqlite3.Connection], Any], sqlite3.Connection]

_KEYS_AT_ONCE: Final = 30_000  # in one statement; SQLite takes 32,766 parameters, where it is not built for more
# With row ids: a row of up to 4 KB is in one page. Without, 1 KB of it is, and the rest in pages of its own.
# https://sqlite.org/withoutrowid.html#when_to_use_without_rowid
_SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
    key     TEXT NOT NULL PRIMARY KEY,
    value   TEXT NOT NULL,
    etag    TEXT NOT NULL,
    written REAL NOT NULL -- seconds since the epoch
)
"""


class Connection:
    """A connection, and a thread in which all that is done with it is done, one thing after the other.

    It is no executor's thread: to hand a function to one, and the result back, costs three times as much.

    Args:
        path: the database file.
        patience: how many seconds a statement waits for another process's write.
    """

    def __init__(self, path: Path, patience: float) -> None:
        self._opened = sqlite3.connect(path, isolation_level=None, timeout=patience, check_same_thread=False)
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread = Thread(target=_do_all, args=(self._jobs,), daemon=True)  # no process waits for it to end
        self._thread.start()
        weakref.finalize(self, self._jobs.put, None)  # nor is it left behind by who forgets to close

    def run(self, work: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        """Do this in the thread, even if the caller is cancelled."""
        future = asyncio.get_running_loop().create_future()
        self._jobs.put((future, work, self._opened))
        return future

    async def close(self) -> None:
        """Close it when all that was begun is done, even if the caller is cancelled, and end the thread."""
        closed = self.run(sqlite3.Connection.close)
        self._jobs.put(None)
        await closed
        self._thread.join()  # takes no time


def _do_all(jobs: SimpleQueue[_Job | None]) -> None:
    for future, work, connection in iter(jobs.get, None):
        try:
            settle, outcome = future.set_result, work(connection)
        except BaseException as error:
            settle, outcome = future.set_exception, error
        with suppress(RuntimeError):  # the event loop is closed, and nobody waits
            future.get_loop().call_soon_threadsafe(_settle, future, settle, outcome)
        del future, work, connection, settle, outcome  # not kept until there is something else to do


def _settle(future: asyncio.Future[Any], settle: Callable[[Any], None], outcome: Any) -> None:
    if not future.cancelled():
        settle(outcome)


async def use_wal(connection: Connection, patience: float) -> None:
    """Switch the file to WAL, once and for all; while another connection does, SQLite says "locked" at once."""
    end = asyncio.get_running_loop().time() + patience
    while True:
        try:
            await connection.run(lambda opened: opened.execute("PRAGMA journal_mode=WAL").fetchall())
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or asyncio.get_running_loop().time() > end:
                raise
            await asyncio.sleep(0.01)
        else:
            return


def prepare(connection: sqlite3.Connection, now: float) -> None:
    """Set what the connection that writes needs, and make the table, or what it lacks, at the time `now`.

    Raises `sqlite3.DatabaseError` for a database of somebody else's that has another table of its name.
    """
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA secure_delete=ON")  # what is deleted is overwritten
    if _columns(connection) >= {"key", "value", "etag", "written"}:
        return
    with transaction(connection):  # other processes may be about to do the same
        connection.execute(_SCHEMA)
        columns = _columns(connection)
        if {"key", "value", "etag"} - columns:
            raise sqlite3.DatabaseError("it holds another program's table of the name 'documents'")
        if "written" not in columns:  # of a version without expiry: the rows' lives begin now
            written = f"REAL NOT NULL DEFAULT {now:.3f}"
            connection.execute(f"ALTER TABLE documents ADD COLUMN written {written}")


@contextmanager
def transaction(connection: sqlite3.Connection, kind: str = "IMMEDIATE") -> Iterator[None]:
    """Write in the block, all of it or nothing; `DEFERRED`: read in it what was there at one moment."""
    connection.execute(f"BEGIN {kind}")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def select(connection: sqlite3.Connection, columns: str, keys: list[str]) -> list[tuple[Any, ...]]:
    """Return these columns of the rows that exist among `keys`, all of one moment."""
    if len(keys) > _KEYS_AT_ONCE and not connection.in_transaction:
        with transaction(connection, "DEFERRED"):
            return select(connection, columns, keys)
    rows: list[tuple[Any, ...]] = []
    for at in range(0, len(keys) or 1, _KEYS_AT_ONCE):
        chunk = keys[at : at + _KEYS_AT_ONCE]
        marks = ",".join("?" * len(chunk))
        query = f"SELECT {columns} FROM documents WHERE key IN ({marks})"  # noqa: S608 - column names, question marks
        rows += connection.execute(query, chunk).fetchall()
    return rows


def page(connection: sqlite3.Connection, after: str, most: int) -> list[tuple[str, float]]:
    """Return the key and the time of the next rows in the order of keys."""
    query = "SELECT key, written FROM documents WHERE key > ? ORDER BY key LIMIT ?"
    return connection.execute(query, (after, most)).fetchall()


def put(connection: sqlite3.Connection, rows: list[tuple[str, str, str, float]]) -> None:
    """Write whole rows, in the order of the columns, in place of those that have their keys."""
    # Not REPLACE, which deletes the row first: a document of 2 KB would be six pages to write, and is one so.
    connection.executemany(
        "INSERT INTO documents VALUES (?, ?, ?, ?) ON CONFLICT (key) DO UPDATE "
        "SET value = excluded.value, etag = excluded.etag, written = excluded.written",
        rows,
    )


def remove(connection: sqlite3.Connection, keys: list[str]) -> None:
    """Remove the rows that exist among `keys`."""
    if keys:
        connection.executemany("DELETE FROM documents WHERE key = ?", [(key,) for key in keys])


def _columns(connection: sqlite3.Connection) -> set[str]:
    rows = connection.execute(
        "SELECT c.name FROM sqlite_schema AS s, pragma_table_info(s.name) AS c "
        "WHERE (s.type, s.name) = ('table', 'documents')"
    )
    return {name for (name,) in rows}
