"""What can happen to a file: a disk that is full, and another program that holds the lock."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from typing import Any

import pytest

from storage.sqlite import SqliteStorage
from tests.faults.results import CELLS, Cell
from tests.faults.rig import BOTH, ONE, Rig

pytestmark = pytest.mark.asyncio(loop_scope="module")
on_sqlite = pytest.mark.parametrize("any_backend", [pytest.param("sqlite", marks=pytest.mark.sqlite)], indirect=True)


@asynccontextmanager
async def full_disk(storage: SqliteStorage) -> AsyncIterator[None]:
    """SQLite's own "database or disk is full": the file may have no page more than it has."""
    assert storage._writer
    await storage._writer.run(lambda connection: connection.execute("PRAGMA max_page_count = 1").fetchall())
    try:  # it takes the present count, which is more
        yield
    finally:
        await storage._writer.run(lambda connection: connection.execute("PRAGMA max_page_count = 1000000").fetchall())


@asynccontextmanager
async def locked(storage: SqliteStorage) -> AsyncIterator[None]:
    """Another program is in the middle of a write."""
    with closing(sqlite3.connect(storage._path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@on_sqlite
@pytest.mark.parametrize("fault", [full_disk, locked], ids=["disk full", "locked"])
@pytest.mark.parametrize("text", [ONE, BOTH])
async def test_a_file_that_cannot_be_written_costs_nothing_that_was_acknowledged(
    any_rig: Rig, fault: Any, text: str
) -> None:
    assert isinstance(any_rig.storage, SqliteStorage)
    talk = any_rig.talk()
    await talk.say(BOTH)
    async with fault(any_rig.storage):
        refused = []
        for _ in range(500):  # some still fit in the pages that there are
            message = talk.message(text)
            if (await talk.deliver(message)).status >= 300:
                refused.append(message)
                break
        assert refused
        assert (await talk.lists())["conversation"] == list(talk.acknowledged)  # it can be read all the while
    recovery = await talk.until_acknowledged(refused[0])
    await talk.say(BOTH)
    await talk.check()
    CELLS.append(Cell("sqlite", f"commit, {text}", fault.__name__, False, recovery))
