"""The stores that tests run on: every backend, each test with a store of its own.

Blob and Cosmos run on emulators that the session starts, or on the service that BLOB_CONNECTION_STRING or
COSMOS_ENDPOINT (and COSMOS_KEY) name: then a service that does not answer fails the tests.
"""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.cosmos.aio import CosmosClient
from azure.storage.blob.aio import BlobServiceClient

from config import Settings
from infra.local import emulators
from infra.local.node import EmulatorError
from storage import StateStorage, create_storage
from storage.cosmos_client import settled
from storage.expiry import Expiry
from storage.local import is_loopback
from storage.memory import MemoryStorage

Connect = Callable[..., StateStorage]
Environment = dict[str, str]

hypothesis.settings.register_profile("house", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("house")

_SERVICE_VARIABLES = {
    "blob": ("BLOB_CONNECTION_STRING",),
    "cosmos": ("COSMOS_ENDPOINT", "COSMOS_KEY"),
}


@pytest.fixture(
    params=[pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("memory", "sqlite", "blob", "cosmos")]
)
def backend(request: pytest.FixtureRequest) -> str:
    """The backend's name, as STATE_STORAGE has it."""
    name: str = request.param
    return name


@pytest.fixture
def connect(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> Connect:
    """A function that returns one more storage, not yet opened, on the store that is this test's own.

    It takes settings that differ from the defaults by name, and a clock as `clock`.
    """
    if backend == "memory":
        documents: dict[str, Any] = {}
        return lambda clock=time.time, **changes: _in_memory(documents, clock, Settings(**changes))
    if backend == "sqlite":
        settings = Settings(state_storage="sqlite", sqlite_path=str(tmp_path / "state.db"))
    else:
        settings = request.getfixturevalue(f"{backend}_settings")
    return lambda clock=time.time, **changes: create_storage(replace(settings, **changes), clock)


def _in_memory(documents: dict[str, Any], clock: Callable[[], float], settings: Settings) -> StateStorage:
    days = settings.expire_conversation_days, settings.expire_user_days, settings.expire_private_days
    return MemoryStorage(documents, expiry=Expiry.of_days(*days), clock=clock)


@pytest.fixture
async def storage(connect: Connect) -> AsyncIterator[StateStorage]:
    """An open storage on the test's own store."""
    async with connect() as opened:
        yield opened


@pytest.fixture
def blob_settings(blob_service: Environment) -> Iterator[Settings]:
    """Settings for a container of the test's own, gone afterwards."""
    settings = replace(Settings.from_env(blob_service), blob_container=f"test-{uuid.uuid4()}", storage_create=True)
    yield settings
    _run(_drop_container(settings))


@pytest.fixture
def cosmos_settings(cosmos_service: Environment) -> Iterator[Settings]:
    """Settings for a database of the test's own, gone afterwards."""
    settings = replace(Settings.from_env(cosmos_service), cosmos_database=f"test-{uuid.uuid4()}", storage_create=True)
    yield settings
    _run(_drop_database(settings))


@pytest.fixture(scope="session")
def blob_service() -> Iterator[Environment]:
    """The environment that selects the Blob service, running."""
    yield from _service("blob", emulators.azurite)


@pytest.fixture(scope="session")
def cosmos_service() -> Iterator[Environment]:
    """The environment that selects the Cosmos service, running."""
    yield from _service("cosmos", emulators.cosmos)


def _run(work: Coroutine[Any, Any, None]) -> None:
    # On a loop of its own, and not set as the thread's: asyncio.run would take away that of pytest-asyncio.
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        runner.run(work)


async def _drop_container(settings: Settings) -> None:
    async with BlobServiceClient.from_connection_string(settings.blob_connection_string) as client:
        with suppress(ResourceNotFoundError):
            await client.delete_container(settings.blob_container)


async def _drop_database(settings: Settings) -> None:
    verify = not is_loopback(settings.cosmos_endpoint)
    client = CosmosClient(settings.cosmos_endpoint, settings.cosmos_key, connection_verify=verify)
    try:  # not `async with`: that asks the service first, and where it is dead leaves the client open
        with suppress(ResourceNotFoundError):
            await client.delete_database(settings.cosmos_database)
    finally:
        await settled(client)
        await client.close()


def _service(backend: str, start: Callable[[], AbstractContextManager[Mapping[str, str]]]) -> Iterator[Environment]:
    variables = _SERVICE_VARIABLES[backend]
    given = {name: os.environ[name] for name in variables if os.environ.get(name)}
    if given:
        yield {"STATE_STORAGE": backend, **given}
        return
    try:
        emulator = start()
        environment = emulator.__enter__()
    except EmulatorError as error:
        if os.environ.get("CI", "").lower() == "true":
            raise
        pytest.skip(f"{error}; `make emulators` starts it, or set {' and '.join(variables)}")
    try:
        yield dict(environment)
    finally:
        emulator.__exit__(None, None, None)
