"""The restart demo shows what it promises, and leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from infra.local.bot_process import APP
from tests.e2e.conftest import Environment


def run_demo(environment: Environment) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "demos.restart"],
        env=environment,
        cwd=APP.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.sqlite
def test_demo_shows_a_conversation_that_survives_the_kill(machine: Environment, tmp_path: Path) -> None:
    demo = run_demo(machine | {"TMPDIR": str(tmp_path)})
    assert (demo.returncode, demo.stderr) == (0, "")
    essential = [
        "1. A bot, process ",
        "   bot:  What is your name?",
        "   user: Ada",
        "   bot:  Thanks Ada. To see conversation data, type anything.",
        "2. What is stored now:",
        '     "prompted_for_user_name": false',
        '     "name": "Ada"',
        "3. kill -9 ",
        "4. A new bot, process ",
        "   bot:  Ada sent: Do you still know me?",
        "5. What is stored now:",
        '     "channel_id": "emulator"',
        '     "name": "Ada"',
        "The name survived.",
    ]
    lines = iter(demo.stdout.splitlines())
    for start in essential:
        assert any(line.strip().startswith(start.strip()) for line in lines), f"{start!r} missing in\n{demo.stdout}"
    assert list(tmp_path.iterdir()) == []


def test_demo_deletes_its_documents_from_a_store_it_was_given(machine: Environment, tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    assert run_demo(machine | {"SQLITE_PATH": str(path)}).returncode == 0
    assert path.exists()
    assert b"Ada" not in path.read_bytes()


@pytest.mark.memory
def test_demo_refuses_a_storage_that_cannot_survive(machine: Environment) -> None:
    demo = run_demo(machine | {"STATE_STORAGE": "memory"})
    assert demo.returncode == 2
    assert "STATE_STORAGE=memory" in demo.stderr
