"""The benches: what they ask of their arguments, the state that they measure with, and the picture."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from demos.bench import __main__ as comparison
from demos.bench import curves
from demos.bench.command import interpreter
from demos.bench.laden_bot import history
from demos.bench.runs import ROOT
from demos.bench.usage import MARK

PEERS = ROOT / ".venv-bench/bin/python"
Refusal = Callable[[ModuleType, str], str]
LARGE = 300_000_000  # bytes
USED = """import os, signal
from demos.bench import usage
usage.report(remote=False)
{before}
os.kill(os.getpid(), signal.SIGUSR1)"""
STARTED_BY_A_LARGE_PROCESS = """import subprocess, sys
mine = b"x" * int(sys.argv[2])
subprocess.run([sys.executable, "-c", sys.argv[1]], check=True)"""


@pytest.fixture
def refusal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Refusal:
    """Runs a bench that is to refuse its arguments; returns what it says."""

    def refused(bench: ModuleType, arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["bench", *arguments.split()])
        with pytest.raises(SystemExit) as refusal:
            bench.main()
        assert refusal.value.code == 2
        return capsys.readouterr().err

    return refused


@pytest.mark.parametrize("size", curves.SIZES)
def test_a_history_has_the_size_that_was_asked_for(size: int) -> None:
    assert (
        len(json.dumps(history(size), separators=(",", ":"))) == size + 1
    )  # the last entry has no comma, but brackets


@pytest.mark.parametrize("bench", [comparison, curves])
@pytest.mark.parametrize(
    "arguments",
    ["--seconds 0", "--seconds nan", "--rounds 0", "--backends redis"],
)
def test_an_argument_that_cannot_be_is_refused_by_name(bench: ModuleType, arguments: str, refusal: Refusal) -> None:
    assert arguments.split()[0] in refusal(bench, arguments)


@pytest.mark.parametrize("arguments", ["--idle -1", "--curves rain"])
def test_so_is_one_of_the_curves(arguments: str, refusal: Refusal) -> None:
    assert arguments.split()[0] in refusal(curves, arguments)


@pytest.mark.parametrize("arguments", ["--at-once 0", "--at-once -3", "--conversations 0", "--bots nobody"])
def test_so_is_one_of_the_comparison(arguments: str, refusal: Refusal) -> None:
    assert arguments.split()[0] in refusal(comparison, arguments)


def test_more_messages_at_once_than_conversations_are_refused_since_each_has_one_at_a_time(refusal: Refusal) -> None:
    assert "--at-once 32 is more than --conversations 4" in refusal(comparison, "--conversations 4")


def test_the_peers_interpreter_is_known_in_any_folder_whether_by_its_name_or_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    python = Path(sys.executable)
    monkeypatch.chdir(python.parents[1])
    assert interpreter(f"{python.parent.name}/{python.name}") == str(python)
    monkeypatch.setenv("PATH", str(python.parent))
    assert interpreter(python.name) == str(python)


def test_a_peers_interpreter_that_is_none_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", "--peers", "no/such/python"])
    with pytest.raises(SystemExit):
        comparison.main()
    assert "--peers: 'no/such/python' is no program; `make bench` sets one up" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("before", "is_large"), [("", False), (f"b'x' * {LARGE}", True)], ids=["small", "large for a moment"]
)
def test_the_peak_of_memory_is_that_of_the_process_and_not_of_the_one_that_started_it(
    before: str, is_large: bool
) -> None:
    command = [sys.executable, "-c", STARTED_BY_A_LARGE_PROCESS, USED.format(before=before), str(LARGE)]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stderr
    assert (json.loads(told.removeprefix(MARK))["peak"] > LARGE) == is_large


def test_an_interpreter_that_cannot_draw_is_refused_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", ["curves", "--peers", "no-such-python"])
    with pytest.raises(SystemExit, match=r"no-such-python cannot draw .*make bench-curves"):
        curves.main()


@pytest.mark.skipif(not PEERS.exists(), reason="no matplotlib; make .venv-bench/.dev")
@pytest.mark.parametrize("backends", [("memory",), ("memory", "blob")])
def test_the_picture_has_a_row_for_each_backend_and_a_column_for_each_panel(
    backends: tuple[str, ...], tmp_path: Path
) -> None:
    figures = {"rate": 100.0, "p50": 5.0, "p99": 9.0, "cpu": 2.5, "peak": 90e6}
    points = [
        {"backend": backend, "curve": name, "bot": bot, "place": place, **figures}
        for backend in backends
        for name, curve in curves.CURVES.items()
        for bot in curve.bots
        for place in curve.places
    ]
    sizes = []
    for drawn in (points, [point for point in points if point["curve"] == "idle"]):
        curves.plot(str(PEERS), str(tmp_path / "curves.png"), given=json.dumps(drawn))
        png = (tmp_path / "curves.png").read_bytes()
        assert png.startswith(b"\x89PNG\r\n\x1a\n")
        sizes.append((int.from_bytes(png[16:20]), int.from_bytes(png[20:24])))
    (wide, high), (narrow, as_high) = sizes
    assert (wide * 2, high) == (narrow * 5, as_high)
    assert high == 55 + 297 * len(backends)
