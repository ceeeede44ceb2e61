"""The bench of curves runs, and every turn that it measures is a whole one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from demos.bench.curves import LOADS, SIZES
from infra.local.bot_process import APP
from tests.e2e.conftest import Environment


@pytest.mark.sqlite
def test_the_curves_have_all_their_points_and_nothing_is_left_behind(machine: Environment, tmp_path: Path) -> None:
    smallest = ["--backends", "sqlite", "--idle", "100", "--rounds", "1", "--seconds", "0.01"]
    bench = subprocess.run(
        [sys.executable, "-W", "error", "-m", "demos.bench.curves", *smallest],
        env=machine | {"TMPDIR": str(tmp_path)},
        cwd=APP.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (bench.returncode, bench.stderr) == (0, "")
    rows = [line.split() for line in bench.stdout.splitlines()]
    points = [(row[1], row[0]) for row in rows if row[1:2] in (["ours"], ["floor"])]
    expected = [(bot, f"{place:,}") for place in LOADS for bot in ("ours", "floor")]
    assert points == expected + [("ours", f"{place:,}") for place in (*SIZES, 10, 100)]
    assert "refused" not in bench.stdout
    assert list(tmp_path.iterdir()) == []
