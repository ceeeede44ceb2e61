"""The local emulators: they start, answer like the service where our storages depend on it, and stop."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import subprocess
import sys
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from azure.core import MatchConditions
from azure.cosmos import PartitionKey
from azure.cosmos.aio import ContainerProxy, CosmosClient
from azure.cosmos.exceptions import CosmosHttpResponseError
from azure.storage.blob.aio import BlobServiceClient

from infra.local.emulators import azurite, cosmos
from infra.local.node import HERE, EmulatorError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping

ROOT = Path(__file__).parents[2]
DEADLINE_S = 30.0


@pytest.fixture(scope="module")
def cosmos_settings() -> Iterator[Mapping[str, str]]:
    with cosmos() as settings:
        yield settings


@contextlib.asynccontextmanager
async def container_of(settings: Mapping[str, str]) -> AsyncIterator[ContainerProxy]:
    async with CosmosClient(settings["COSMOS_ENDPOINT"], credential=settings["COSMOS_KEY"]) as client:
        database = await client.create_database_if_not_exists("state")
        yield await database.create_container_if_not_exists("emulator", PartitionKey(path="/id"))


async def refusal(call: Awaitable[Any]) -> tuple[int | None, int | None]:
    """Return the status and substatus (None where there is none) with which Cosmos refuses a call."""
    with pytest.raises(CosmosHttpResponseError) as caught:
        await call
    return caught.value.status_code, caught.value.sub_status


def connect(url: str) -> socket.socket:
    address = urllib.parse.urlsplit(url)
    return socket.create_connection((address.hostname, address.port), timeout=5)


def answers(url: str) -> bool:
    try:
        connect(url).close()
    except ConnectionRefusedError:
        return False
    return True


def wait_until_refused(url: str) -> None:
    """Return when nobody listens there any more; raise `TimeoutError` when a server stays."""
    while True:
        try:
            with connect(url) as connection:
                connection.settimeout(DEADLINE_S)
                connection.recv(1)  # blocks until the server closes it
        except ConnectionResetError:
            continue
        except ConnectionRefusedError:
            return


def blob_endpoint(settings: Mapping[str, str]) -> str:
    found = re.search("BlobEndpoint=([^;]+)", settings["BLOB_CONNECTION_STRING"])
    assert found
    return found[1]


async def test_azurite_serves_blobs_until_its_block_ends() -> None:
    with azurite() as settings:
        assert settings["STATE_STORAGE"] == "blob"
        async with BlobServiceClient.from_connection_string(settings["BLOB_CONNECTION_STRING"]) as client:
            container = await client.create_container("state")
            await container.upload_blob("key|with %41 + é", b"value")
            assert await (await container.download_blob("key|with %41 + é")).readall() == b"value"
    assert not answers(blob_endpoint(settings))


async def test_azurite_with_a_folder_keeps_blobs_over_a_restart(tmp_path: Path) -> None:
    for restart in (False, True):
        with azurite(folder=tmp_path) as settings:
            async with BlobServiceClient.from_connection_string(settings["BLOB_CONNECTION_STRING"]) as client:
                if not restart:
                    await client.create_container("kept")
                assert [found.name async for found in client.list_containers()] == ["kept"]


async def test_cosmos_answers_404_for_a_missing_document(cosmos_settings: Mapping[str, str]) -> None:
    async with container_of(cosmos_settings) as container:
        assert await refusal(container.read_item("missing", "missing")) == (404, None)
        assert await refusal(container.replace_item("missing", {"id": "missing"})) == (404, None)
        assert await refusal(container.delete_item("missing", "missing")) == (404, None)


async def test_cosmos_tells_a_missing_container_from_a_missing_document(
    cosmos_settings: Mapping[str, str],
) -> None:
    async with CosmosClient(cosmos_settings["COSMOS_ENDPOINT"], credential=cosmos_settings["COSMOS_KEY"]) as client:
        database = await client.create_database_if_not_exists("state")
        container = await database.create_container("removed", PartitionKey(path="/id"))
        await container.create_item({"id": "a"})
        await database.delete_container("removed")
        assert await refusal(container.read_item("a", "a")) == (404, 1003)
        assert await refusal(container.upsert_item({"id": "a"})) == (404, 1003)


async def test_cosmos_holds_writes_to_their_preconditions(cosmos_settings: Mapping[str, str]) -> None:
    unmodified = MatchConditions.IfNotModified
    async with container_of(cosmos_settings) as container:
        first = (await container.create_item({"id": "a", "n": 1}))["_etag"]
        assert await refusal(container.create_item({"id": "a"})) == (409, None)
        second = (await container.replace_item("a", {"id": "a", "n": 2}, etag=first, match_condition=unmodified))[
            "_etag"
        ]
        stale_replace = container.replace_item("a", {"id": "a"}, etag=first, match_condition=unmodified)
        assert await refusal(stale_replace) == (412, None)
        stale_delete = container.delete_item("a", "a", etag=first, match_condition=unmodified)
        assert await refusal(stale_delete) == (412, None)
        await container.delete_item("a", "a", etag=second, match_condition=unmodified)
        again = (await container.create_item({"id": "a", "n": 1}))["_etag"]
        assert len({first, second, again}) == 3


@pytest.mark.parametrize("key", ["a*92", "a|b", "100%", "%41", "a+b c", "é日本🎉", "a;b='c'&d", "x" * 255])
async def test_cosmos_round_trips_unusual_ids(cosmos_settings: Mapping[str, str], key: str) -> None:
    async with container_of(cosmos_settings) as container:
        await container.upsert_item({"id": key, "mine": key})
        assert (await container.read_item(key, key))["mine"] == key
        await container.delete_item(key, key)
        assert await refusal(container.read_item(key, key)) == (404, None)


# aiohttp warns of any body over 1 MiB, and the SDK offers no other way to send one.
@pytest.mark.filterwarnings("ignore:Sending a large body directly with raw bytes:ResourceWarning")
async def test_cosmos_takes_items_up_to_its_limit_of_2_mib(cosmos_settings: Mapping[str, str]) -> None:
    async with container_of(cosmos_settings) as container:
        text = "é" * (3 * 2**20 // 4)  # 1.5 MiB of UTF-8; three times that in the escapes the SDK sends
        await container.upsert_item({"id": "large", "text": text})
        assert (await container.read_item("large", "large"))["text"] == text
        assert await refusal(container.upsert_item({"id": "large", "text": "x" * 2**21})) == (413, None)


def test_a_taken_port_is_an_error_that_says_so(cosmos_settings: Mapping[str, str]) -> None:
    taken = urllib.parse.urlsplit(cosmos_settings["COSMOS_ENDPOINT"]).port
    assert taken
    with pytest.raises(EmulatorError, match="EADDRINUSE"), cosmos(taken):
        pass


@contextlib.contextmanager
def command_running() -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """Run the command on free ports until both emulators answer; yield its process and their two URLs."""
    command = [sys.executable, "-m", "infra.local.emulators", "--azurite-port", "0", "--cosmos-port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            assert process.stdout is not None
            output = ""
            while "Ctrl-C" not in output:
                line = process.stdout.readline()
                assert line, output
                output += line
            urls = re.findall(r"https?://[\d.:]+", output)
            assert [answers(url) for url in urls] == [True, True]
            yield process, urls
        finally:
            process.kill()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_command_runs_both_and_stops_both_in_order(how: signal.Signals) -> None:
    with command_running() as (process, urls):
        process.send_signal(how)
        rest, _ = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, rest.strip()) == (0, "stopped")
    assert [answers(url) for url in urls] == [False, False]


def test_a_killed_command_leaves_no_emulator_behind() -> None:
    with command_running() as (process, urls):
        process.kill()
        for url in urls:
            wait_until_refused(url)


def test_without_node_the_error_says_what_to_install() -> None:
    # -S leaves out site-packages, and with them the wheel; the empty PATH leaves out the machine's Node.
    command = [sys.executable, "-S", "-c", "from infra.local.node import find_node; find_node()"]
    result = subprocess.run(
        command, cwd=ROOT, env={"PATH": ""}, capture_output=True, text=True, check=False, timeout=DEADLINE_S
    )
    assert "EmulatorError: the emulators need Node.js 20 or newer" in result.stderr
    assert "pip install -r requirements-dev.txt" in result.stderr


def test_the_lock_pins_both_emulators_and_names_no_registry() -> None:
    lock = (HERE / "package-lock.json").read_text()
    assert "registry" not in lock
    assert "resolved" not in lock
    assert '"azurite": "3.37.0"' in lock
    assert '"@vercel/cosmosdb-server": "1.0.1"' in lock
