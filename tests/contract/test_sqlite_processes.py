"""Several processes on one SQLite file: whoever comes first creates it, and no increment is lost."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from storage import ABSENT, ANY, StorageUnavailable, Write
from storage.sqlite import SqliteStorage
from tests.contract.test_sharing import counts

PROCESSES = 4
INCREMENTS = 50
ROOT = Path(__file__).parents[2]
WORKER = """
import asyncio, sys
from storage.sqlite import SqliteStorage
from tests.contract.test_sharing import increment

async def main(path, times):
    sys.stdin.readline()  # all start at once
    async with SqliteStorage(path) as storage:
        for _ in range(times):
            await increment(storage, "k")

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


async def run_workers(path: Path, times: int) -> list[tuple[int | None, bytes]]:
    """Run the processes, which begin together, and return their exit codes and what they said."""
    workers = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", "-c", WORKER, str(path), str(times)),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        for _ in range(PROCESSES)
    ]
    said = await asyncio.gather(*(worker.communicate(b"go\n") for worker in workers))
    return [(worker.returncode, stderr) for worker, (_, stderr) in zip(workers, said, strict=True)]


@pytest.mark.sqlite
class TestProcesses:
    async def test_no_increment_of_any_process_is_lost(self, tmp_path: Path) -> None:
        path = tmp_path / "state.db"

        assert await run_workers(path, INCREMENTS) == [(0, b"")] * PROCESSES

        async with SqliteStorage(path) as storage:
            assert await counts(storage, "k") == [PROCESSES * INCREMENTS]

    async def test_several_may_create_the_file_at_the_same_moment(self, tmp_path: Path) -> None:
        for attempt in range(15):
            path = tmp_path / f"{attempt}.db"

            async def create_and_write(path: Path, key: str) -> None:
                async with SqliteStorage(path) as storage:
                    await storage.save({key: Write({}, ABSENT)})

            keys = [f"k{i}" for i in range(8)]
            await asyncio.gather(*(create_and_write(path, key) for key in keys))

            async with SqliteStorage(path) as storage:
                assert (await storage.load(keys)).keys() == set(keys)


@pytest.mark.sqlite
class TestFile:
    async def test_the_document_is_readable_json_under_its_key(self, tmp_path: Path) -> None:
        path = tmp_path / "state.db"
        async with SqliteStorage(path) as storage:
            await storage.save({"emulator/users/a|b": Write({"name": "Ωμέγα"}, ABSENT)})

        rows = sqlite3.connect(path).execute("SELECT key, value FROM documents").fetchall()

        assert [(key, json.loads(value)) for key, value in rows] == [("emulator/users/a|b", {"name": "Ωμέγα"})]

    async def test_a_folder_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "missing" / "state.db"

        with pytest.raises(StorageUnavailable, match="missing"):
            await SqliteStorage(path).__aenter__()

    async def test_a_file_that_is_no_database_is_named_and_left_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "state.db"
        path.write_text("dear diary, " * 100)

        with pytest.raises(StorageUnavailable, match=r"state\.db"):
            await SqliteStorage(path).__aenter__()

        assert path.read_text() == "dear diary, " * 100

    async def test_a_lock_held_too_long_is_unavailable_and_nothing_is_written(self, tmp_path: Path) -> None:
        path = tmp_path / "state.db"
        async with SqliteStorage(path, timeout=0.1) as storage:
            other = sqlite3.connect(path, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StorageUnavailable, match="locked"):
                await storage.save({"k": Write({}, ANY)})
            assert await storage.load(["k"]) == {}  # readers go on
            other.close()

            await storage.save({"k": Write({}, ABSENT)})

    async def test_a_write_whose_caller_is_cancelled_is_over_before_the_next_begins(self, tmp_path: Path) -> None:
        path = tmp_path / "state.db"
        async with SqliteStorage(path) as storage:
            other = sqlite3.connect(path, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            given_up = asyncio.create_task(storage.save({"k": Write({"n": 1}, ABSENT)}))
            await storage.load(["k"])  # a load does not wait for the lock, the write does
            given_up.cancel()
            with pytest.raises(asyncio.CancelledError):
                await given_up
            later = asyncio.create_task(storage.save({"k": Write({"n": 2}, ANY)}))
            await storage.load(["k"])
            assert not later.done()
            other.close()
            await later
            assert await counts(storage, "k") == [2]

            stopped = asyncio.create_task(storage.load([f"k{at}" for at in range(70_000)]))
            await asyncio.sleep(0)  # it begins
            stopped.cancel()
            await storage.save({"k": Write({"n": 3}, ANY)})
            assert await counts(storage, "k") == [3]

    async def test_a_document_of_kilobytes_is_written_as_one_page(self, tmp_path: Path) -> None:
        path = tmp_path / "state.db"
        journal = tmp_path / "state.db-wal"
        async with SqliteStorage(path) as storage:
            await storage.save({f"k{at}": Write({"text": "x" * 2_000}, ABSENT) for at in range(100)})
            before = journal.stat().st_size
            for at in range(100):
                await storage.save({f"k{at}": Write({"text": "y" * (2_000 + at)}, ANY)})
            assert journal.stat().st_size - before < 1.3 * 100 * 4_120  # a page of 4,096 bytes, and its header

    async def test_of_a_write_that_was_given_up_and_fails_nobody_is_told(self, tmp_path: Path) -> None:
        path, told = tmp_path / "state.db", list[str]()
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context["message"]))
        async with SqliteStorage(path) as storage:
            await storage.save({"k": Write({}, ABSENT)})
            other = sqlite3.connect(path, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            given_up = asyncio.create_task(storage.save({"k": Write({}, ABSENT)}))
            await storage.load(["k"])  # the write waits for the lock
            given_up.cancel()
            with pytest.raises(asyncio.CancelledError):
                await given_up
            other.close()
            await storage.save({"k": Write({}, ANY)})  # after the other, which has failed by then
        gc.collect()  # an exception that nobody took is told with the end of its task
        assert told == []

    async def test_writes_wait_for_half_of_the_time_for_those_before_them(self, tmp_path: Path) -> None:
        path = tmp_path / "state.db"
        async with SqliteStorage(path, timeout=1) as storage:
            other = sqlite3.connect(path, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            begun = asyncio.get_running_loop().time()
            saves = (storage.save({f"k{at}": Write({}, ANY)}) for at in range(20))
            said = [str(error) for error in await asyncio.gather(*saves, return_exceptions=True)]
            assert asyncio.get_running_loop().time() - begun < 2
            other.close()
        assert "locked" in said[0]
        assert any("earlier writes take too long" in text for text in said[1:])

    async def test_writes_that_were_given_up_make_the_next_one_wait_no_longer(self, tmp_path: Path) -> None:
        path = tmp_path / "state.db"
        async with SqliteStorage(path, timeout=1) as storage:
            other = sqlite3.connect(path, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            for _ in range(8):
                given_up = asyncio.create_task(storage.save({"k": Write({}, ANY)}))
                await storage.load(["k"])
                given_up.cancel()
            begun = asyncio.get_running_loop().time()
            with pytest.raises(StorageUnavailable):
                await storage.save({"k": Write({}, ANY)})
            assert asyncio.get_running_loop().time() - begun < 2
            other.close()

    async def test_no_thread_is_left_behind(self, tmp_path: Path) -> None:
        diary = tmp_path / "diary.txt"
        diary.write_text("dear diary, " * 100)
        before = set(threading.enumerate())
        for path in (tmp_path / "missing" / "state.db", diary):
            for _ in range(2):
                with pytest.raises(StorageUnavailable):
                    await SqliteStorage(path).__aenter__()
        storage = SqliteStorage(tmp_path / "state.db")
        for _ in range(2):
            async with storage:
                last = asyncio.create_task(storage.save({"k": Write({}, ANY)}))
                await asyncio.sleep(0)
            await last
        assert set(threading.enumerate()) == before

    async def test_closing_that_is_cancelled_closes_all_the_same(self, tmp_path: Path) -> None:
        before = set(threading.enumerate())
        storage = await SqliteStorage(tmp_path / "state.db").__aenter__()
        await storage.save({"k": Write({}, ANY)})
        many = asyncio.create_task(storage.load([f"k{at}" for at in range(200_000)]))
        await asyncio.sleep(0)  # it begins
        closing = asyncio.create_task(storage.aclose())
        await asyncio.sleep(0)  # it waits for the end of that
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        await many
        for thread in set(threading.enumerate()) - before:
            thread.join(timeout=5)
        assert os.listdir(tmp_path) == ["state.db"]  # the last connection to be closed has removed the journal

    def test_a_process_ends_without_waiting_for_another_ones_lock(self, tmp_path: Path) -> None:
        path = tmp_path / "state.db"
        worker = """
import asyncio, sqlite3, sys
from storage import ANY, Write
from storage.sqlite import SqliteStorage

async def main(path):
    storage = SqliteStorage(path, timeout=60)
    await storage.open()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    async with asyncio.timeout(0.1):
        await storage.save({"k": Write({}, ANY)})

asyncio.run(main(sys.argv[1]))
"""
        program = (sys.executable, "-W", "error", "-c", worker, str(path))
        ended = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=25)
        assert ended.stderr.splitlines()[-1] == "TimeoutError"
        assert "Exception" not in ended.stderr

    async def test_a_storage_that_is_not_open_says_so(self, tmp_path: Path) -> None:
        with pytest.raises(StorageUnavailable, match="not open"):
            await SqliteStorage(tmp_path / "state.db").load(["k"])
