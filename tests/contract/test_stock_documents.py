"""A running bot can move over and back: what the storages of botbuilder-azure wrote is read here, and vice versa."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import pytest
import pytz

from config import Settings
from storage import (
    ABSENT,
    ANY,
    StateDecodeError,
    StateStorage,
    StorageConflict,
    StorageUnavailable,
    Write,
    create_storage,
)
from tests.contract.stock import both_on_cosmos
from tests.contract.test_expiry import make_container

pytestmark = [
    pytest.mark.filterwarnings("ignore:Unverified HTTPS request"),  # the stock client's, at an emulator
    pytest.mark.filterwarnings("ignore:content_as_text is deprecated"),  # in the stock storage
]

KEYS = [
    "emulator/conversations/2a5f8b60-cafe-11ee|livechat",
    "emulator/users/9b0c-7|x",
    "emulator/conversations/2a5f|livechat/users/9b0c/",
    "/leading//double//",
    "msteams/conversations/19:meeting_MjA5@thread.v2;messageid=1700",
    "directline/users/dl_0123 Ωμέγα",
]


@dataclass
class Profile:
    name: str
    tags: list[str]


@pytest.fixture(autouse=True)
def _registered(request: pytest.FixtureRequest) -> None:
    if "pair" in request.fixturenames:
        request.getfixturevalue("pair")[0].codec.register(Profile)


@pytest.mark.parametrize("key", KEYS)
async def test_what_stock_wrote_is_read_and_updated_here(pair: tuple[StateStorage, Any], key: str) -> None:
    ours, theirs = pair
    await theirs.write({key: {"n": 1, "profile": Profile("Ada", ["x"]), "e_tag": "*"}})

    item = (await ours.read([key]))[key]
    assert (item["n"], item["profile"]) == (1, Profile("Ada", ["x"]))
    item["n"] = 2
    await ours.write({key: item})

    assert (await theirs.read([key]))[key]["n"] == 2


@pytest.mark.parametrize("key", KEYS)
async def test_what_was_written_here_is_read_and_updated_by_stock(pair: tuple[StateStorage, Any], key: str) -> None:
    ours, theirs = pair
    await ours.write({key: {"n": 1, "profile": Profile("Ada", ["x"])}})

    item = (await theirs.read([key]))[key]
    assert (item["n"], item["profile"]) == (1, Profile("Ada", ["x"]))
    item["n"] = 2
    await theirs.write({key: item})

    again = (await ours.read([key]))[key]
    assert (again["n"], again["profile"]) == (2, Profile("Ada", ["x"]))


VALUES = {
    "frozen": frozenset([1, "a"]),
    "ordered": OrderedDict(b=[1], a=2),
    "counted": Counter("aab"),
    "queue": deque([1, {"x": 2}], 3),
    "grouped": defaultdict(list, a=[1]),
    "number": 1 + 2j,
    "at": pytz.timezone("Europe/Berlin").localize(datetime(2026, 7, 2)),
}


async def test_values_that_are_no_plain_json_go_to_and_fro(pair: tuple[StateStorage, Any]) -> None:
    ours, theirs = pair
    shared = VALUES["queue"]
    await theirs.write({"k": {**VALUES, "again": [shared], "e_tag": "*"}})

    item = (await ours.read(["k"]))["k"]
    etag = item.pop("e_tag")
    assert item == {**VALUES, "again": [shared]}
    await ours.write({"k": item | {"e_tag": etag}})

    back = (await theirs.read(["k"]))["k"]
    assert {name: type(back[name]) for name in VALUES} == {name: type(value) for name, value in VALUES.items()}
    assert {name: back[name] for name in VALUES} == VALUES


async def test_the_etag_that_stock_leaves_in_the_text_is_no_state(pair: tuple[StateStorage, Any]) -> None:
    ours, theirs = pair
    await theirs.write({"k": {"n": 1}})
    await theirs.write(await theirs.read(["k"]))

    assert (await ours.load(["k"]))["k"].value == {"n": 1}


async def test_a_write_by_stock_is_a_conflict_here(pair: tuple[StateStorage, Any]) -> None:
    ours, theirs = pair
    await ours.save({"k": Write({"n": 1}, ABSENT)})
    before = await ours.read(["k"])
    await theirs.write({"k": {"n": 2}})

    with pytest.raises(Exception, match="read again and retry"):
        await ours.write(before)


async def test_what_stock_deleted_is_absent_here_and_the_other_way_round(pair: tuple[StateStorage, Any]) -> None:
    ours, theirs = pair
    await ours.write({"a": {}, "b": {}})

    await theirs.delete(["a"])
    await ours.delete(["b"])

    assert await ours.read(["a", "b"]) == {}
    assert await theirs.read(["a", "b"]) == {}


async def pass_to_and_fro(ours: StateStorage, theirs: Any, key: str) -> None:
    await theirs.write({key: {"n": 1}})
    item = (await ours.read([key]))[key]
    await ours.write({key: item | {"n": item["n"] + 1}})
    assert (await theirs.read([key]))[key]["n"] == 2
    await ours.delete([key])
    assert await theirs.read([key]) == {}


ODD = ["directline/users/john.", "directline/users/ju\u0085x"]
ODD_KEYS = [
    *(pytest.param(name, key, marks=getattr(pytest.mark, name)) for name in ("blob", "cosmos") for key in ODD),
    pytest.param("blob", "~x", marks=pytest.mark.blob),
    *(pytest.param("cosmos", key, marks=pytest.mark.cosmos) for key in ("directline/users/..", "directline/x\t2")),
]


@pytest.mark.parametrize(("backend", "key"), ODD_KEYS)
class TestKeysThatStockSpellsUnsafely:
    @pytest.fixture
    def pair(self, backend: str, request: pytest.FixtureRequest) -> tuple[StateStorage, Any]:
        found: tuple[StateStorage, Any] = request.getfixturevalue(f"{backend}_pair")
        return found

    async def test_their_documents_are_found_and_written_where_they_are(
        self, pair: tuple[StateStorage, Any], key: str
    ) -> None:
        ours, theirs = pair
        await theirs.write({key: {"n": 1}})

        assert [found async for found in ours.keys(key[:4])] == [key]
        assert b'"n"' in (await ours.text(key) or b"")
        first = (await ours.load([key]))[key]
        assert first.value == {"n": 1}
        with pytest.raises(StorageConflict):
            await ours.save({key: Write({"n": 7}, ABSENT)})
        await ours.save({key: Write({"n": 2}, first.etag)})
        assert (await theirs.read([key]))[key]["n"] == 2
        with pytest.raises(StorageConflict):
            await ours.save({key: Write({"n": 8}, first.etag)})
        await ours.save({key: Write({"n": 3}, ANY)})
        assert (await theirs.read([key]))[key]["n"] == 3
        await ours.delete([key])
        assert await theirs.read([key]) == {}
        assert await ours.load([key]) == {}
        assert [found async for found in ours.keys("")] == []

    async def test_what_is_kept_here_comes_first_and_is_listed_once(
        self, pair: tuple[StateStorage, Any], key: str
    ) -> None:
        ours, theirs = pair
        await ours.save({key: Write({"n": 1}, ABSENT)})
        await theirs.write({key: {"n": 2}})

        assert (await ours.load([key]))[key].value == {"n": 1}
        assert [found async for found in ours.keys("")] == [key]


@pytest.mark.blob
async def test_a_blob_is_that_of_the_key_by_which_the_service_lists_it(blob_pair: tuple[StateStorage, Any]) -> None:
    ours, theirs = blob_pair
    await theirs.write({"directline/users/a\\b": {"n": 1}})  # the service takes a backslash for a slash
    assert (await ours.load(["directline/users/a\\b", "directline/users/a/b"])).keys() == {"directline/users/a/b"}


def run_command(settings: Settings, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m storage` on the container of these settings."""
    where = {
        "STATE_STORAGE": "cosmos",
        "COSMOS_ENDPOINT": settings.cosmos_endpoint,
        "COSMOS_KEY": settings.cosmos_key,
        "COSMOS_DATABASE": settings.cosmos_database,
        "COSMOS_CONTAINER": settings.cosmos_container,
    }
    command = [sys.executable, "-m", "storage", *arguments]
    return subprocess.run(
        command, env=os.environ | where | more, capture_output=True, encoding="utf-8", timeout=60, check=False
    )


@pytest.mark.cosmos
class TestSettingsOfTheStockStorage:
    @pytest.mark.parametrize("key", KEYS)
    async def test_items_with_a_key_suffix_are_found(self, cosmos_settings: Settings, key: str) -> None:
        async with both_on_cosmos(cosmos_settings, key_suffix="-bot2") as pair:
            await pass_to_and_fro(*pair, key)

    @pytest.mark.parametrize("key", [*KEYS, "msteams/conversations/" + "a:19/" * 80, "é|" * 300])
    async def test_items_with_cut_ids_are_found(self, cosmos_settings: Settings, key: str) -> None:
        async with both_on_cosmos(cosmos_settings, compatibility_mode=True) as pair:
            await pass_to_and_fro(*pair, key)

    async def test_bots_with_different_suffixes_share_a_container(self, cosmos_settings: Settings) -> None:
        keys = [KEYS[0], "x" * 400, "\ud800"]
        one, other = (replace(cosmos_settings, cosmos_key_suffix=suffix) for suffix in ("-1", "-2"))
        async with create_storage(one) as ours, create_storage(other) as theirs:
            await ours.save({key: Write({"bot": 1}, ABSENT) for key in keys})
            assert await theirs.load(keys) == {}
            await theirs.save({key: Write({"bot": 2}, ABSENT) for key in keys})
            assert [found.value for found in (await ours.load(keys)).values()] == [{"bot": 1}] * 3

    async def test_an_item_that_stock_keeps_for_another_key_is_refused(self, cosmos_settings: Settings) -> None:
        async with both_on_cosmos(cosmos_settings) as (ours, theirs):
            await theirs.write({"a\t2": {"n": 1}})
            with pytest.raises(StateDecodeError, match="another key") as refused:
                await ours.load(["a\\"])
            assert (refused.value.key, refused.value.where) == ("a\\", "realId")
            assert (await theirs.read(["a\t2"]))["a\t2"]["n"] == 1

    @pytest.mark.parametrize("stock", [{"key_suffix": "-bot"}, {"compatibility_mode": True}])
    async def test_items_that_the_settings_do_not_find_are_told_of(
        self, cosmos_settings: Settings, caplog: pytest.LogCaptureFixture, stock: dict[str, Any]
    ) -> None:
        keys = [f"msteams/conversations/{at}{'x' * 300 * ('compatibility_mode' in stock)}" for at in range(3)]
        async with both_on_cosmos(cosmos_settings, **stock) as (ours, theirs):
            await theirs.write({key: {"n": 1} for key in keys})
            assert sorted([key async for key in ours.keys("")]) == keys
            assert ours.skipped.misnamed == 0
        assert "spelled otherwise" not in caplog.text

        async with create_storage(cosmos_settings) as ours:
            assert [key async for key in ours.keys("")] == []
            assert ours.skipped.misnamed == 3
        assert "spelled otherwise, and not found: COSMOS_KEY_SUFFIX, COSMOS_COMPATIBILITY_MODE" in caplog.text

    async def test_the_commands_tell_of_items_that_the_settings_do_not_find(self, cosmos_settings: Settings) -> None:
        async with create_storage(replace(cosmos_settings, cosmos_key_suffix="-bot")) as storage:
            await storage.save({f"msteams/users/u{at}": Write({}, ABSENT) for at in range(3)})

        for arguments in (["list"], ["check"], ["list", "--user", "msteams/users/u1"]):
            wrong = await asyncio.to_thread(run_command, cosmos_settings, *arguments)
            assert "3 items are spelled otherwise: COSMOS_KEY_SUFFIX, COSMOS_COMPATIBILITY_MODE?" in wrong.stderr
            assert wrong.returncode == 1
            right = await asyncio.to_thread(run_command, cosmos_settings, *arguments, COSMOS_KEY_SUFFIX="-bot")
            assert right.returncode == 0

    @pytest.mark.parametrize("path", ["/partitionKey", "/_partitionKey", "/realId"])
    async def test_a_container_with_other_partitions_is_refused(self, cosmos_settings: Settings, path: str) -> None:
        await make_container(cosmos_settings, path)
        with pytest.raises(StorageUnavailable, match="copy its items") as refused:
            await create_storage(cosmos_settings).__aenter__()
        assert repr(cosmos_settings.cosmos_container) in str(refused.value)
        assert path in str(refused.value)
