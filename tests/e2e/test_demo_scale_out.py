"""The scale-out demonstration shows what it says it shows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import Environment

ROOT = Path(__file__).parents[2]


@pytest.mark.sqlite
def test_demo_counts_every_message_on_our_turns_and_not_on_the_stock_ones(machine: Environment, tmp_path: Path) -> None:
    demo = subprocess.run(
        [sys.executable, "-W", "error", "-m", "demos.scale_out", "--messages", "30"],
        cwd=ROOT,
        env=machine | {"STATE_STORAGE": "sqlite", "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (demo.returncode, demo.stderr) == (0, "")
    rows = {line[:34].strip(): line[34:].split() for line in demo.stdout.splitlines() if line[34:]}
    assert rows["ours, sqlite"][:3] == ["30", "30", "30"]
    sent, _acknowledged, counted = map(int, rows["stock, MemoryStorage"][:3])
    assert sent == 30
    assert counted < 30
    assert list(tmp_path.iterdir()) == []
