"""How the process starts, and how it says in one line why it does not."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import aiohttp
import pytest

from infra.local.bot_process import APP
from infra.local.emulators import AZURITE_KEY, COSMOS_KEY
from tests.e2e.conftest import Environment, Start

Refuse = Callable[..., str]
SECRET = "hunter2-is-a-secret"
NOT_A_DATABASE = b"The minutes of the meeting, and no database at all.\n" * 40


@pytest.fixture
def refuse(machine: Environment, tmp_path: Path) -> Refuse:
    """Runs the bot with settings that cannot work, and returns the one line it says."""

    def run(environment: Environment) -> str:
        ended = subprocess.run(
            [sys.executable, "-W", "error", APP],
            env=machine | environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        assert (ended.returncode, ended.stdout) == (2, ""), ended.stderr
        (line,) = ended.stderr.splitlines()
        assert line.startswith("state bot: ")
        for secret in (SECRET, AZURITE_KEY, COSMOS_KEY):
            assert secret not in line
        return line

    return run


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port on which somebody else listens, who never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def dead_port() -> Iterator[int]:
    """A port on which nobody listens, and nobody can."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


def blob_at(port: int) -> Environment:
    endpoint = f"BlobEndpoint=http://127.0.0.1:{port}/devstoreaccount1"
    text = f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={AZURITE_KEY};{endpoint}"
    return {"STATE_STORAGE": "blob", "BLOB_CONNECTION_STRING": text}


def cosmos_at(port: int) -> Environment:
    return {"STATE_STORAGE": "cosmos", "COSMOS_ENDPOINT": f"https://127.0.0.1:{port}", "COSMOS_KEY": COSMOS_KEY}


STATE_IN = {
    "memory": r"memory \(gone when the process ends\)",
    "sqlite": r"SQLite file /.*/state\.db",
    "blob": r"Blob container 'test-.*'",
    "cosmos": r"Cosmos container 'state' in database 'test-.*'",
}


async def test_start_line_says_where_it_listens_and_where_state_is(any_environment: Environment, start: Start) -> None:
    async with start(any_environment) as bot:
        where = STATE_IN[any_environment["STATE_STORAGE"]]
        assert re.fullmatch(rf"State bot on http://localhost:\d+/api/messages, state in {where}", bot.start_line)
        base = bot.url.removesuffix("/api/messages")
        async with aiohttp.ClientSession(base) as client:
            for path in ("/healthz", "/readyz"):
                async with client.get(path) as answer:
                    assert answer.status == 200
                    assert (await answer.json())["status"] == "ok"
        assert await bot.stop() == 0
    assert bot.log == ""


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"STATE_STORAGE": "redis"}, ["STATE_STORAGE", "sqlite, memory, blob, cosmos"]),
        ({"STATE_STORAGE": "blob"}, ["BLOB_CONNECTION_STRING", "BLOB_ACCOUNT_URL"]),
        ({"STATE_STORAGE": "blob", "BLOB_CONNECTION_STRING": SECRET}, ["BLOB_CONNECTION_STRING", "AccountName="]),
        ({"STATE_STORAGE": "blob", "BLOB_ACCOUNT_URL": "http://127.0.0.1:1/account"}, ["BLOB_ACCOUNT_URL"]),
        ({"STATE_STORAGE": "cosmos", "COSMOS_KEY": AZURITE_KEY}, ["COSMOS_ENDPOINT", "https://"]),
        ({"STATE_STORAGE": "cosmos", "COSMOS_ENDPOINT": f"AccountKey={SECRET};"}, ["COSMOS_ENDPOINT", "https://"]),
        ({"STATE_STORAGE": "cosmos", "COSMOS_ENDPOINT": "https://127.0.0.1:1", "COSMOS_KEY": SECRET}, ["COSMOS_KEY"]),
        ({"MicrosoftAppId": "app"}, ["MicrosoftAppPassword"]),
        ({"MicrosoftAppPassword": SECRET}, ["MicrosoftAppPassword", "MicrosoftAppId"]),
        ({"HOST": "0.0.0.0"}, ["HOST", "MicrosoftAppId", "ALLOW_UNAUTHENTICATED=true"]),  # noqa: S104
        ({"HOST": "no.such.host.invalid", "ALLOW_UNAUTHENTICATED": "true"}, ["HOST=no.such.host.invalid"]),
        ({"PORT": "http"}, ["PORT", "1 to 65535"]),
    ],
)
def test_wrong_setting_is_named_with_what_it_may_be(
    environment: Environment, expected: list[str], refuse: Refuse
) -> None:
    line = refuse(environment)
    for part in expected:
        assert part in line


def test_port_in_use_is_named(refuse: Refuse, taken_port: int) -> None:
    line = refuse({"HOST": "127.0.0.1", "PORT": str(taken_port)})
    assert f"PORT={taken_port}" in line
    assert "in use" in line


@pytest.mark.parametrize("path", ["no/such/folder/state.db", "folder", "minutes.txt"])
def test_sqlite_path_that_is_no_database_is_named_and_left_alone(path: str, refuse: Refuse, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "minutes.txt").write_bytes(NOT_A_DATABASE)
    line = refuse({"SQLITE_PATH": path})
    assert "SQLITE_PATH" in line
    assert path in line
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["folder", "minutes.txt"]
    assert (tmp_path / "minutes.txt").read_bytes() == NOT_A_DATABASE


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder that not even root may write to")
def test_sqlite_path_in_a_folder_without_write_permission_is_named(refuse: Refuse) -> None:
    assert "SQLITE_PATH" in refuse({"SQLITE_PATH": "/proc/state.db"})


@pytest.mark.parametrize("service", [blob_at, cosmos_at])
def test_service_that_refuses_the_connection_is_named(
    service: Callable[[int], Environment], refuse: Refuse, dead_port: int
) -> None:
    environment = service(dead_port)
    variable = "BLOB_CONNECTION_STRING" if service is blob_at else "COSMOS_ENDPOINT"
    line = refuse(environment)
    assert variable in line
    assert str(dead_port) in line


@pytest.mark.parametrize("service", [blob_at, cosmos_at])
def test_service_that_never_answers_is_named(
    service: Callable[[int], Environment], refuse: Refuse, taken_port: int
) -> None:
    variable = "BLOB_CONNECTION_STRING" if service is blob_at else "COSMOS_ENDPOINT"
    assert variable in refuse(service(taken_port))


@pytest.mark.blob
def test_missing_blob_container_is_named_and_not_created(blob_service: Environment, refuse: Refuse) -> None:
    line = refuse({**blob_service, "BLOB_CONTAINER": "nobody-made-this", "STORAGE_CREATE": "false"})
    assert "BLOB_CONTAINER" in line
    assert "nobody-made-this" in line


@pytest.mark.cosmos
def test_missing_cosmos_container_is_named_and_not_created(cosmos_service: Environment, refuse: Refuse) -> None:
    line = refuse({**cosmos_service, "COSMOS_DATABASE": "nobody-made-this", "STORAGE_CREATE": "false"})
    assert "COSMOS_CONTAINER" in line
    assert "nobody-made-this" in line


async def test_host_open_to_the_network_is_allowed_when_told_so(machine: Environment, start: Start) -> None:
    environment = machine | {"STATE_STORAGE": "memory", "HOST": "0.0.0.0", "ALLOW_UNAUTHENTICATED": "true"}  # noqa: S104
    async with start(environment) as bot:
        assert bot.start_line.startswith("State bot on http://0.0.0.0:")


async def test_dotenv_file_in_the_working_directory_is_read_and_the_environment_wins(
    machine: Environment, start: Start, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("# local\nSTATE_STORAGE=sqlite\nSQLITE_PATH='from file.db'\nPORT=not-a-port\n")
    async with start(machine) as bot:
        assert bot.start_line.endswith("state in SQLite file from file.db")
    async with start(machine | {"SQLITE_PATH": "from-environment.db"}) as bot:
        assert bot.start_line.endswith("state in SQLite file from-environment.db")


def test_wrong_setting_in_the_dotenv_file_is_named(refuse: Refuse, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("STATE_STORAGE=tape\n")
    assert "STATE_STORAGE" in refuse({})
