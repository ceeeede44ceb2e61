"""What the bench's programs share: how they run, and how their tables look."""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from demos.bench.runs import Measured
from infra.local.node import EmulatorError


def run(work: Callable[[Path], Coroutine[Any, Any, None]]) -> None:
    """Do the work in a folder of its own; leaves no process and no file behind. Exits where it cannot go on."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"This machine is busy with other work (load {load:.1f}): trust ratios, not figures.")
    try:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            asyncio.run(work(Path(folder)))
    except EmulatorError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("stopped")


def interpreter(given: str) -> str:
    """Return the path of a Python, good in any folder: bots run in folders of their own. For argparse."""
    found = shutil.which(given)
    if found is None:
        raise argparse.ArgumentTypeError(f"{given!r} is no program; `make bench` sets one up")
    return os.path.abspath(found)


def seconds(text: str) -> float:
    """Parse a time of the command line. Raises ValueError unless it is above 0 and below an hour. For argparse."""
    if not 0 < float(text) < 3600:
        raise ValueError
    return float(text)


def row(values: tuple[str, ...]) -> str:
    """Return one line of a table."""
    return f"{values[0]:<14}" + "".join(f"{value:>10}" for value in values[1:])


def speed(measured: Measured) -> tuple[str, ...]:
    """Return the cells that any table begins with: turns/s, p50, p99 and CPU in milliseconds."""
    return (
        f"{measured.rate:.0f}",
        f"{1000 * measured.percentile(0.5):.1f}",
        f"{1000 * measured.percentile(0.99):.1f}",
        f"{1000 * measured.cpu_of_a_turn:.2f}",
    )


def losses(measured: Measured, replies: int) -> str:
    """Return what to print below a line whose turns did not all succeed, each with that many replies; or ""."""
    missing = replies * len(measured.traffic.waits) - measured.traffic.replies
    if not (measured.traffic.refused or missing):
        return ""
    return f"  {measured.traffic.refused} refused, {missing} replies missing\n"
