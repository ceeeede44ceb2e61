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
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final

from storage.base import StateStorage
from storage.codec import dumps, loads
from storage.contract import Document, Write
from storage.errors import StorageUnavailable
from storage.expiry import NEVER, Expiry, is_due, is_over
from storage.keys import key_of_row, row_key
from storage.limits import Limits
from storage.sqlite_file import Connection, T, page, prepare, put, remove, select, transaction, use_wal
from storage.telemetry import measured

_PAGE: Final = 1000  # keys
_ROW_LIMIT: Final = 1_000_000_000  # bytes
_ROW_REST: Final = 100  # bytes of a row beside its key and value, and some to spare
_SWEEP_EVERY: Final = 10.0  # seconds
_SWEEP_ROWS: Final = 200  # so that the write that sweeps does not take long


class SqliteStorage(StateStorage):
    """Documents in the file at `path`, one row each, the value as JSON text.

    Args:
        path: the database file; created when missing, its folder must exist.
        timeout: seconds before `StorageUnavailable`: half of them to wait for the other writes of this process, half
            for those of other processes.
        expiry, clock: as for every `StateStorage`; rows whose life is over are removed a few at a time, while others
            are written.
    """

    transactional: ClassVar[bool] = True

    def __init__(
        self, path: str | Path, *, timeout: float = 4.0, expiry: Expiry = NEVER, clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__(expiry, clock)
        self._limits = Limits(_ROW_LIMIT)
        self._swept_at = clock()
        self._swept_to = ""
        self._path = Path(path)
        self._timeout = timeout
        self._reader: Connection | None = None
        self._writer: Connection | None = None
        self._writing = asyncio.Lock()

    def __str__(self) -> str:
        return f"SQLite file {self._path}"

    async def open(self) -> None:
        async with self._writing:
            with self._errors("cannot be opened"):
                self._writer = Connection(self._path, self._timeout / 2)
                await use_wal(self._writer, self._timeout)
                await self._writer.run(partial(prepare, now=self._clock()))
                self._reader = Connection(self._path, self._timeout / 2)

    async def aclose(self) -> None:
        async with self._writing, AsyncExitStack() as closing:  # cancelled at the one, it closes the other
            for connection in (self._writer, self._reader):
                if connection:
                    closing.push_async_callback(connection.close)
            self._reader = self._writer = None

    async def ping(self) -> None:
        await self._rows([])

    @measured("load")
    async def load(self, keys: Iterable[str]) -> dict[str, Document]:
        names = {row_key(key): key for key in keys}
        rows = await self._rows(list(names))
        now = self._clock()
        return {
            key: Document(loads(value, key, self.stock_jsonpickle), etag, is_due(self.life(key), now - written))
            for key, value, etag, written in ((names[name], *row) for name, *row in rows)
            if not is_over(self.life(key), now - written)
        }

    async def text(self, key: str) -> bytes | None:
        rows = await self._rows([row_key(key)])
        return rows[0][1] if rows else None

    @measured("save")
    async def save(self, writes: Mapping[str, Write]) -> dict[str, str]:
        texts = {key: self._text(key, write.value) for key, write in writes.items() if write.value is not None}
        etags = {key: uuid.uuid4().hex for key in texts}
        if writes:
            await self._write(partial(self._save, writes=dict(writes), texts=texts, etags=etags))
        return etags

    async def purge(self) -> None:
        """As `StateStorage`; the journal too, unless another process reads from it all the time."""
        await self._write(self._purge)

    async def keys(self, prefix: str = "") -> AsyncIterator[str]:
        # Each page is a read of its own: an open one would keep the bot's writes in the WAL file for as long.
        after = ""
        while rows := await self._read(partial(page, after=after, most=_PAGE)):
            now = self._clock()
            for name, written in rows:
                key = key_of_row(name)
                if key is None or not key.startswith(prefix):
                    continue
                if is_over(self.life(key), now - written):
                    self.skipped.over += 1
                else:
                    yield key
            after = rows[-1][0]

    def _text(self, key: str, value: Mapping[str, Any]) -> str:
        text = dumps(value, key)
        self._limits.check(key, value, text, len(text) + len(row_key(key).encode()) + _ROW_REST)
        return text.decode()

    async def _rows(self, keys: list[str]) -> list[tuple[Any, ...]]:
        # As bytes: text that somebody edited by hand may be no UTF-8, which the codec says with the key.
        columns = "key, CAST(value AS BLOB), etag, written"
        return await self._read(partial(select, columns=columns, keys=keys))

    async def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._errors("cannot be read"):
            return await _open(self._reader).run(work)

    async def _write(self, work: Callable[[sqlite3.Connection], None]) -> None:
        try:
            async with asyncio.timeout(self._timeout / 2):
                await self._writing.acquire()
        except TimeoutError as error:
            raise StorageUnavailable(f"{self} cannot be written: earlier writes take too long") from error
        # Shielded: the next write begins when this one is done, not when its caller is cancelled.
        writing = asyncio.create_task(self._write_next(work))
        writing.add_done_callback(_heard)
        await asyncio.shield(writing)

    async def _write_next(self, work: Callable[[sqlite3.Connection], None]) -> None:
        try:
            with self._errors("cannot be written"):
                await _open(self._writer).run(work)
        finally:
            self._writing.release()

    # What follows is done in the writer's thread.

    def _save(
        self,
        connection: sqlite3.Connection,
        writes: Mapping[str, Write],
        texts: Mapping[str, str],
        etags: Mapping[str, str],
    ) -> None:
        with transaction(connection):
            now = self._clock()
            names = {row_key(key): key for key in writes}
            found = select(connection, "key, etag, written", list(names))
            current = {names[name]: tag for name, tag, at in found if not is_over(self.life(names[name]), now - at)}
            for key, write in writes.items():
                write.require(key, current.get(key))
            put(connection, [(row_key(key), text, etags[key], now) for key, text in texts.items()])
            remove(connection, [row_key(key) for key, write in writes.items() if write.value is None])
            if self._expiry and now - self._swept_at >= _SWEEP_EVERY:
                self._swept_at = now
                self._sweep(connection, now)

    def _purge(self, connection: sqlite3.Connection) -> None:
        self._swept_to = ""
        with transaction(connection):
            self._sweep(connection, self._clock())
            while self._swept_to:
                self._sweep(connection, self._clock())
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _sweep(self, connection: sqlite3.Connection, now: float) -> None:
        """Remove, of the next rows in the order of keys, those whose life is over; begin again behind the last."""
        rows = page(connection, self._swept_to, _SWEEP_ROWS)
        self._swept_to = rows[-1][0] if len(rows) == _SWEEP_ROWS else ""
        keys = ((key_of_row(name), name, now - written) for name, written in rows)
        remove(connection, [name for key, name, age in keys if key is not None and is_over(self.life(key), age)])

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StorageUnavailable(f"{self} {what}: {error}") from error


def _heard(writing: asyncio.Task[None]) -> None:
    # Where the caller is cancelled, the event loop would complain of an error that nobody has heard of.
    if not writing.cancelled():
        writing.exception()


def _open(connection: Connection | None) -> Connection:
    if connection is None:
        raise StorageUnavailable("the SQLite storage is not open; use `async with` or call open()")
    return connection
