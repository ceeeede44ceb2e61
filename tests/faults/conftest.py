"""The application on every backend, behind proxies; and the matrix's figures at the end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio
from _pytest.terminal import TerminalReporter

from config import Settings
from tests.faults import results
from tests.faults.rig import Rig, in_file, rig

BACKENDS = ("memory", "sqlite", "blob", "cosmos")
on_module = pytest_asyncio.fixture(scope="module", loop_scope="module")


@pytest.fixture(scope="module", params=[pytest.param(name, marks=getattr(pytest.mark, name)) for name in BACKENDS])
def any_backend(request: pytest.FixtureRequest) -> str:
    """Each backend's name."""
    name: str = request.param
    return name


@on_module
async def any_rig(
    any_backend: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Rig]:
    """The application on each backend, one for all tests of a module."""
    settings = Settings(state_storage="memory")
    if any_backend == "sqlite":
        settings = in_file(tmp_path_factory.mktemp("faults"))
    elif any_backend != "memory":
        settings = Settings.from_env(request.getfixturevalue(f"{any_backend}_service"))
        settings = replace(settings, blob_container="faults", cosmos_database="faults", storage_create=True)
    with pytest.MonkeyPatch.context() as patch:
        async with rig(settings, patch) as running:
            yield running


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Print the matrix's figures."""
    if results.CELLS:
        terminalreporter.section("faults")
        terminalreporter.write_line(results.summary())
