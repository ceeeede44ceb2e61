"""The checkers of infra/, programs in an environment of their own, and broken copies to show them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.infra.production import INFRA, ROOT

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Break = Callable[[str, str, str], Path]


@pytest.fixture
def checker() -> Run:
    """Runs a checker of requirements-infra.txt and returns what it said; without them the test is skipped."""
    folder = ROOT / ".venv-infra" / ("Scripts" if os.name == "nt" else "bin")

    def run(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        if not (program := shutil.which(name, path=os.environ.get("INFRA_CHECKERS") or str(folder))):
            message = f"{name} is not there; `make test` installs it"
            if os.environ.get("CI", "").lower() == "true":
                pytest.fail(message)
            pytest.skip(message)
        return subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, check=False, cwd=ROOT)

    return run


@pytest.fixture
def broken(tmp_path: Path) -> Break:
    """Copies infra/, replaces a text in one of its files, and returns the copy's folder."""

    def copy(file: str, old: str, new: str) -> Path:
        folder = tmp_path / "infra"
        shutil.copytree(INFRA, folder, ignore=shutil.ignore_patterns("local", "__pycache__"))
        text = (folder / file).read_text()
        assert old in text, f"{file} has no {old!r} to break"
        (folder / file).write_text(text.replace(old, new))
        return folder

    return copy
