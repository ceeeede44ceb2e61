"""The bot as a process, on every backend, and a channel that talks to it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from infra.local.bot_process import APP, BotProcess, running
from infra.local.channel import Channel

Environment = dict[str, str]
Start = Callable[..., AbstractAsyncContextManager[BotProcess]]

# Of Python: warnings are errors, but for what azure-storage-blob 12.7.0 does, from Python 3.12 on.
STRICT = ("-W", "error", "-W", "ignore:Testing an element's truth value:DeprecationWarning")
_OF_THE_MACHINE = ("HOME", "LANG", "PATH", "SYSTEMROOT", "TEMP", "TMPDIR")
_BACKENDS = ("memory", "sqlite", "blob", "cosmos")


@pytest.fixture
async def channel() -> AsyncIterator[Channel]:
    """A channel, running."""
    async with Channel.open() as opened:
        yield opened


@pytest.fixture
def machine() -> Environment:
    """The environment of a process without any setting of the bot's, but for a free port."""
    return {name: os.environ[name] for name in _OF_THE_MACHINE if name in os.environ} | {"PORT": "0"}


@pytest.fixture(params=[pytest.param(name, marks=getattr(pytest.mark, name)) for name in _BACKENDS])
def any_environment(request: pytest.FixtureRequest, machine: Environment) -> Environment:
    """The environment of a process that keeps its state in a store of this test's own, on every backend."""
    return _environment(request, machine)


@pytest.fixture(params=[pytest.param(name, marks=getattr(pytest.mark, name)) for name in _BACKENDS if name != "memory"])
def durable_environment(request: pytest.FixtureRequest, machine: Environment) -> Environment:
    """The same, on every backend that survives its process."""
    return _environment(request, machine)


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Starts `python app.py`, or another program, with warnings as errors; to be used in `async with`."""

    def started(environment: Environment, *program: str) -> AbstractAsyncContextManager[BotProcess]:
        return running(environment, tmp_path, python_options=STRICT, program=program or (str(APP),))

    return started


def _environment(request: pytest.FixtureRequest, machine: Environment) -> Environment:
    backend: str = request.param
    file = request.getfixturevalue("tmp_path") / "state.db"
    environment = machine | {"STATE_STORAGE": backend, "STORAGE_CREATE": "true", "SQLITE_PATH": str(file)}
    if backend in ("blob", "cosmos"):
        service: Environment = request.getfixturevalue(f"{backend}_service")
        own = request.getfixturevalue(f"{backend}_settings")
        environment |= service
        environment |= {"BLOB_CONTAINER": own.blob_container, "COSMOS_DATABASE": own.cosmos_database}
    return environment
