"""A document lives as long as its scope says, from its last write; what is over is absent and stays so."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from azure.cosmos import PartitionKey
from azure.cosmos.aio import CosmosClient

from config import Settings
from storage import (
    ABSENT,
    ANY,
    Document,
    StateDecodeError,
    StateStorage,
    StorageConflict,
    StorageUnavailable,
    Write,
    create_storage,
)
from storage.expiry import Expiry
from storage.keys import key_of_row
from storage.memory import MemoryStorage
from storage.sqlite import SqliteStorage
from tests.conftest import Connect
from tests.contract.raw import put

CONVERSATION = "test/conversations/c|1"
USER = "test/users/ada"
PRIVATE = "test/conversations/c|1/users/ada/"
OTHER = "test/settings/x"
KEYS = (CONVERSATION, USER, PRIVATE, OTHER)
DAY = 86_400.0
DAYS = {"expire_conversation_days": 4, "expire_user_days": 8, "expire_private_days": 2}


class Clock:
    """The machine's clock, so that it agrees with the services', put forward by some days."""

    def __init__(self) -> None:
        self.days = 0.0

    def __call__(self) -> float:
        return time.time() + self.days * DAY


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def write(storage: StateStorage, *keys: str, n: int = 1) -> dict[str, str]:
    return await storage.save({key: Write({"n": n}, ANY) for key in keys})


async def present(storage: StateStorage) -> set[str]:
    return set(await storage.load(KEYS))


class TestLives:
    async def test_each_scope_has_its_own(self, connect: Connect, clock: Clock) -> None:
        async with connect(clock, **DAYS) as storage:
            await write(storage, *KEYS)

            clock.days = 1.9
            assert await present(storage) == set(KEYS)
            clock.days = 2.1
            assert await present(storage) == {CONVERSATION, USER, OTHER}
            clock.days = 4.1
            assert await present(storage) == {USER, OTHER}
            clock.days = 9_000
            assert await present(storage) == {OTHER}

    async def test_what_was_said_lives_as_long_as_a_conversation(self, connect: Connect, clock: Clock) -> None:
        said, replicas = "directline/transcripts/c|1/7", "directline/replicas"
        async with connect(clock, **DAYS) as storage:
            await write(storage, said, replicas)
            clock.days = 3.9
            assert set(await storage.load([said, replicas])) == {said, replicas}
            clock.days = 4.1
            assert set(await storage.load([said, replicas])) == {replicas}

    async def test_without_a_setting_nothing_expires(self, connect: Connect, clock: Clock) -> None:
        async with connect(clock) as storage:
            await write(storage, *KEYS)
            clock.days = 100_000
            assert await present(storage) == set(KEYS)
            assert not any(document.due for document in (await storage.load(KEYS)).values())

    async def test_what_was_written_before_the_setting_expires_too(self, connect: Connect, clock: Clock) -> None:
        async with connect(clock) as storage:
            await write(storage, USER, OTHER)
        async with connect(clock, **DAYS) as storage:
            assert await present(storage) == {USER, OTHER}
            clock.days = 8.1
            assert await present(storage) == {OTHER}

    async def test_a_shorter_life_counts_at_once(self, connect: Connect, clock: Clock) -> None:
        async with connect(clock, **DAYS) as storage:
            await write(storage, USER)
        clock.days = 3
        async with connect(clock, expire_user_days=2) as storage:
            assert await present(storage) == set()


class TestWhatIsOver:
    async def test_a_write_that_expects_nothing_succeeds(self, connect: Connect, clock: Clock) -> None:
        async with connect(clock, **DAYS) as storage:
            await write(storage, USER)
            clock.days = 8.1
            etags = await storage.save({USER: Write({"n": 2}, ABSENT)})
            clock.days = 0  # the services date it by their own clocks
            assert await storage.load([USER]) == {USER: Document({"n": 2}, etags[USER])}

    @pytest.mark.parametrize("value", [{"n": 2}, None], ids=["update", "delete"])
    async def test_a_write_that_expects_its_version_conflicts_once_it_was_found_absent(
        self, connect: Connect, clock: Clock, value: dict[str, int] | None
    ) -> None:
        async with connect(clock, **DAYS) as storage:
            etags = await write(storage, USER)
            clock.days = 8.1
            assert await storage.load([USER]) == {}
            with pytest.raises(StorageConflict) as conflict:
                await storage.save({USER: Write(value, etags[USER])})
            assert conflict.value.key == USER
            assert await storage.load([USER]) == {}

    async def test_creating_what_lives_still_conflicts(self, connect: Connect, clock: Clock) -> None:
        async with connect(clock, **DAYS) as storage:
            await write(storage, USER)
            clock.days = 7.9
            with pytest.raises(StorageConflict):
                await storage.save({USER: Write({"n": 2}, ABSENT)})
            assert (await storage.load([USER]))[USER].value == {"n": 1}

    async def test_two_who_find_it_absent_agree(self, connect: Connect, clock: Clock) -> None:
        async with connect(clock, **DAYS) as one, connect(clock, **DAYS) as other:
            await write(one, *KEYS)
            clock.days = 8.1
            assert await present(one) == await present(other) == {OTHER}

    async def test_deleting_it_is_no_error(self, connect: Connect, clock: Clock) -> None:
        async with connect(clock, **DAYS) as storage:
            await write(storage, USER)
            clock.days = 8.1
            await storage.delete([USER])
            assert await storage.load([USER]) == {}

    async def test_it_is_not_listed(self, connect: Connect, clock: Clock) -> None:
        async with connect(clock, **DAYS) as storage:
            await write(storage, *KEYS)
            clock.days = 3
            assert {key async for key in storage.keys("")} == set(KEYS) - {PRIVATE}
            clock.days = 8.1
            assert [key async for key in storage.keys("test/")] == [OTHER]
            clock.days = 0
            await write(storage, USER)
            assert {key async for key in storage.keys("")} >= {OTHER, USER}

    async def test_who_only_looks_removes_nothing(self, connect: Connect, clock: Clock) -> None:
        async with connect(clock, **DAYS) as storage:
            await write(storage, *KEYS)
            clock.days = 8.1
            storage.only_looks = True
            assert [key async for key in storage.keys("")] == [OTHER]
            assert storage.skipped.over == 3
            assert await present(storage) == {OTHER}
            clock.days = 0
            assert await present(storage) == set(KEYS)

    async def test_it_is_absent_even_if_it_cannot_be_decoded(self, connect: Connect, clock: Clock) -> None:
        async with connect(clock, **DAYS) as storage:
            await put(storage, USER, b'{"a": {"b": 1}, "c": {"py/id": 99}}')
            with pytest.raises(StateDecodeError):
                await storage.load([USER])
            clock.days = 8.1
            assert await storage.load([USER]) == {}
            assert [key async for key in storage.keys("")] == []
            await storage.save({USER: Write({"n": 2}, ABSENT)})


class TestUse:
    async def test_it_is_due_after_a_quarter_of_its_life(self, connect: Connect, clock: Clock) -> None:
        async with connect(clock, **DAYS) as storage:
            await write(storage, *KEYS)
            for days, due in [(0.4, set()), (0.6, {PRIVATE}), (1.1, {PRIVATE, CONVERSATION})]:
                clock.days = days
                found = await storage.load(KEYS)
                assert {key for key, document in found.items() if document.due} == due


@pytest.mark.memory
async def test_memory_lets_go_of_what_is_over(clock: Clock) -> None:
    documents: dict[str, Any] = {}
    storage = MemoryStorage(documents, Expiry.of_days(user=1), clock)
    await write(storage, *(f"test/users/{at}" for at in range(100)), OTHER)
    clock.days = 1.1
    await write(storage, USER)
    assert documents.keys() == {OTHER, USER}


def contents(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.iterdir()]


@pytest.mark.sqlite
class TestSqlite:
    async def test_rows_whose_life_is_over_are_removed_while_others_are_written(
        self, tmp_path: Path, clock: Clock
    ) -> None:
        settings = Settings(sqlite_path=str(tmp_path / "state.db"), expire_user_days=1)
        async with create_storage(settings, clock) as storage:
            await write(storage, *(f"test/users/{at}" for at in range(500)), OTHER)
            # These are spelled otherwise in the file, before and behind all others.
            await write(storage, "~test/users/x", "test/users/\ud800", "test/users/~\udfff/", "~", "\ud800")
            clock.days = 1.1
            for _ in range(4):
                clock.days += 0.001
                await write(storage, CONVERSATION)
        rows = sqlite3.connect(tmp_path / "state.db").execute("SELECT key FROM documents").fetchall()
        assert {key_of_row(name) for (name,) in rows} == {CONVERSATION, OTHER, "~", "\ud800"}

    async def test_purged_it_holds_nothing_of_what_is_over_or_was_deleted(self, tmp_path: Path, clock: Clock) -> None:
        settings = Settings(sqlite_path=str(tmp_path / "state.db"), expire_user_days=1)
        async with create_storage(settings, clock) as storage, create_storage(settings, clock) as other:
            await storage.save({f"test/users/{at}": Write({"secret": "4711"}, ANY) for at in range(500)})
            await storage.save({OTHER: Write({"secret": "4711"}, ANY)})
            clock.days = 1.1
            await storage.delete([OTHER])
            await storage.purge()
            await other.ping()
            assert not any(b"4711" in content for content in await asyncio.to_thread(contents, tmp_path))
            assert [key async for key in other.keys("")] == []

    async def test_a_file_of_a_version_without_expiry_is_taken_over(self, tmp_path: Path, clock: Clock) -> None:
        path = tmp_path / "state.db"
        old = sqlite3.connect(path)
        old.execute(
            "CREATE TABLE documents (key TEXT PRIMARY KEY, value TEXT NOT NULL, etag TEXT NOT NULL) WITHOUT ROWID"
        )
        old.execute("INSERT INTO documents VALUES (?, ?, ?)", (USER, '{"n":1}', "e"))
        old.commit()
        old.close()
        settings = Settings(sqlite_path=str(path), expire_user_days=1)
        storages = [create_storage(settings, clock) for _ in range(8)]

        await asyncio.gather(*(storage.open() for storage in storages))
        for storage in storages:
            assert await storage.load([USER]) == {USER: Document({"n": 1}, "e")}
        clock.days = 1.1
        for storage in storages:
            assert await storage.load([USER]) == {}
            await storage.aclose()

    async def test_more_keys_than_a_statement_takes_are_loaded_and_saved(self, tmp_path: Path) -> None:
        keys = [f"k{at}" for at in range(70_000)]
        async with SqliteStorage(tmp_path / "state.db") as storage:
            await storage.save({key: Write({}, ABSENT) for key in keys})
            assert (await storage.load(keys)).keys() == set(keys)


@pytest.mark.cosmos
class TestCosmos:
    @pytest.mark.parametrize(
        ("default", "days", "refusal"),
        [
            (None, {"expire_user_days": 1}, "time to live is off"),
            (3600, {}, "3600 s after its last write"),
            (3600, {"expire_user_days": 1}, "3600 s after its last write"),
        ],
    )
    async def test_a_container_with_another_time_to_live_is_refused(
        self, cosmos_settings: Settings, default: int | None, days: dict[str, Any], refusal: str
    ) -> None:
        await make_container(cosmos_settings, default_ttl=default)
        storage = create_storage(replace(cosmos_settings, **days))
        with pytest.raises(StorageUnavailable, match=refusal) as refused:
            await storage.__aenter__()
        assert "EXPIRE_USER_DAYS" in str(refused.value)
        assert repr(cosmos_settings.cosmos_container) in str(refused.value)

    @pytest.mark.parametrize("default", [None, -1])
    async def test_a_container_without_a_default_serves_documents_that_live_for_ever(
        self, cosmos_settings: Settings, default: int | None
    ) -> None:
        await make_container(cosmos_settings, default_ttl=default)
        async with create_storage(cosmos_settings) as storage:
            await write(storage, USER)

    async def test_an_item_that_lives_differently_from_now_on_is_due(self, cosmos_settings: Settings) -> None:
        limited = replace(cosmos_settings, expire_user_days=2)
        async with create_storage(cosmos_settings) as storage:
            await write(storage, USER)
        async with create_storage(limited) as storage:
            assert (await storage.load([USER]))[USER].due
            await write(storage, USER)
            assert not (await storage.load([USER]))[USER].due
        async with create_storage(cosmos_settings) as storage:
            assert (await storage.load([USER]))[USER].due

    async def test_an_item_carries_its_life(self, cosmos_settings: Settings) -> None:
        settings = replace(cosmos_settings, expire_user_days=2)
        async with create_storage(settings) as storage:
            await write(storage, USER, OTHER)
            items = storage._container
            assert (await items.read_item("test*47users*47ada", "test*47users*47ada"))["ttl"] == 172_800
            assert "ttl" not in await items.read_item("test*47settings*47x", "test*47settings*47x")


async def make_container(settings: Settings, path: str = "/id", default_ttl: int | None = None) -> None:
    client = CosmosClient(settings.cosmos_endpoint, settings.cosmos_key, connection_verify=False)
    async with client:
        database = await client.create_database(settings.cosmos_database)
        await database.create_container(settings.cosmos_container, PartitionKey(path), default_ttl=default_ttl)
