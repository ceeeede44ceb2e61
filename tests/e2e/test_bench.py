"""The benches run, and every turn that they measure is a whole one."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from config import Settings
from demos.bench.curves import LOADS, SIZES
from demos.bench.floor_stores import open_store
from infra.local.bot_process import APP
from storage import create_storage
from tests.e2e.conftest import Environment


@pytest.mark.sqlite
def test_the_curves_have_all_their_points_and_nothing_is_left_behind(machine: Environment, tmp_path: Path) -> None:
    smallest = ["--backends", "sqlite", "--idle", "100", "--rounds", "1", "--seconds", "0.01"]
    told = bench("demos.bench.curves", *smallest, environment=machine | {"TMPDIR": str(tmp_path)})
    rows = [line.split() for line in told.splitlines()]
    points = [(row[1], row[0]) for row in rows if row[1:2] in (["ours"], ["floor"])]
    expected = [(bot, f"{place:,}") for place in LOADS for bot in ("ours", "floor")]
    assert points == expected + [("ours", f"{place:,}") for place in (*SIZES, 10, 100)]
    assert "refused" not in told
    assert list(tmp_path.iterdir()) == []


@pytest.mark.memory
def test_the_bots_are_compared_in_both_turns(machine: Environment, tmp_path: Path) -> None:
    bots = ["ours", "framework", "floor", "stock"]
    smallest = ["--backends", "memory", "--bots", *bots, "--rounds", "1", "--seconds", "0.1"]
    told = bench("demos.bench", *smallest, environment=machine | {"TMPDIR": str(tmp_path)})
    rows = re.findall(r"^(ours|ours, token|framework|floor|stock) +[\d,]+ ", told, re.MULTILINE)
    assert rows == 2 * ["ours", "ours, token", "framework", "floor", "stock"]
    assert "refused" not in told
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "backend", [pytest.param(each, marks=getattr(pytest.mark, each)) for each in ("blob", "cosmos")]
)
async def test_the_floor_asks_its_service_with_as_little_as_our_backends_do(
    backend: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings: Settings = request.getfixturevalue(f"{backend}_settings")
    async with create_storage(settings):  # makes the container
        pass
    netrc = tmp_path / "netrc"  # which the SDKs' own transport reads, in another thread, for each request
    netrc.write_text("default login somebody password else\n")
    with monkeypatch.context() as environment:
        environment.setenv("NETRC", str(netrc))
        async with open_store(settings) as store:
            held = (await store.load(["a/b"]))["a/b"]._replace(state={"n": 1})
            etags = await store.save({"a/b": held})
            assert (await store.load(["a/b"]))["a/b"] == held._replace(etag=etags["a/b"])
    async with create_storage(settings) as ours:
        assert (await ours.load(["a/b"]))["a/b"].value == {"n": 1}  # laid out as ours are


def bench(module: str, *arguments: str, environment: Environment) -> str:
    """Run a bench; return what it prints."""
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-m", module, *arguments],
        env=environment,
        cwd=APP.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout
