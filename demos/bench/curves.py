"""How the bot's latency and cost grow with load, with the size of state, and with conversations that are idle.

To run it: `make bench-curves`, or `python -m demos.bench.curves` (`--help` shows what can be chosen). It takes minutes.

You should see a table for each backend and curve, and then the name of a picture of them all. The more messages at
once, the later each is answered: there is one core for their work. A large state costs what it takes to read, compare
and write it. Idle conversations cost the others' turns nothing; the memory backend's process holds their documents.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from demos.bench.channel import Channel, open_channel
from demos.bench.command import losses, row, run, seconds, speed
from demos.bench.entrants import BACKENDS, entrants, service
from demos.bench.runs import REPLIES, ROOT, SETUP, Contest, Measured, contest, conversations, python_module
from demos.scale_out import positive

LOADS: Final = (1, 2, 4, 8, 16, 32, 64)
SIZES: Final = (1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 20)
IDLE: Final = (10, 100, 1_000, 10_000, 100_000)
MOST_IDLE: Final = {"memory": 100_000, "sqlite": 100_000, "blob": 1_000, "cosmos": 1_000}  # in two minutes, or so
TITLES: Final = ("turns/s", "p50 ms", "p99 ms", "CPU ms", "peak MB")
LEGEND: Final = """
CPU ms    of the bot's process, for a turn; all threads
peak MB   of its memory, since it began: on the way to this line; the memory backend's documents are in it
With more state, and with idle conversations, there is one message at a time."""


class Step(NamedTuple):
    """What is measured at a place of a curve: conversations, so many of which have a message on its way."""

    place: int
    names: Sequence[str]
    at_once: int = 1


async def by_load(running: Contest, places: Iterable[int]) -> AsyncIterator[Step]:
    """Let more and more of the same conversations talk at once."""
    names = conversations("load", max(LOADS))
    await running.hear(names, *SETUP["ordinary"])
    for at_once in places:
        yield Step(at_once, names, at_once)


async def by_size(running: Contest, places: Iterable[int]) -> AsyncIterator[Step]:
    """Give some conversations a history of each size, in bytes."""
    for size in places:
        names = conversations(f"size-{size}", 4)
        await running.hear(names, str(size), "hello")
        yield Step(size, names)


async def by_idle(running: Contest, places: Iterable[int]) -> AsyncIterator[Step]:
    """Let so many conversations have a turn, and no other one; the same few go on."""
    names = conversations("active", 8)
    await running.hear(names, *SETUP["ordinary"])
    known = 0
    for count in places:
        await running.hear(conversations("idle", range(known, count)), "hello", at_once=32)
        await running.hear(names, "hello", "hello")  # what the process had kept of them has made room
        yield Step(count, names)
        known = count


class Curve(NamedTuple):
    """What is varied, for whom: the title of its places, and what takes the bots from one place to the next."""

    title: str
    workload: str
    bots: tuple[str, ...]
    places: tuple[int, ...]
    steps: Callable[[Contest, Iterable[int]], AsyncIterator[Step]]


CURVES: Final = {
    "load": Curve("messages at once", "ordinary", ("ours", "stock", "floor"), LOADS, by_load),
    "size": Curve("bytes of state", "laden", ("ours", "stock"), SIZES, by_size),
    "idle": Curve("idle conversations", "ordinary", ("ours",), IDLE, by_idle),
}


async def draw_from_life(options: argparse.Namespace, folder: Path) -> None:
    """Measure what is asked for, print it, and draw it."""
    points = []
    async with open_channel() as channel:
        for backend in options.backends:
            with service(backend) as base:
                for name in options.curves:
                    found = await measure(name, base, channel, folder / backend / name, options)
                    points += [{"backend": backend, "curve": name, **point} for point in found]
    print(LEGEND)
    if options.peers:
        picture = options.picture.resolve()
        picture.parent.mkdir(parents=True, exist_ok=True)
        plot(options.peers, str(picture), given=json.dumps(points))
        print(f"\nAll of it as curves: {options.picture}")


async def measure(
    name: str, base: Mapping[str, str], channel: Channel, folder: Path, options: argparse.Namespace
) -> list[dict[str, Any]]:
    """Return the points of one curve on one backend, and print each when it is known."""
    curve, backend = CURVES[name], base["STATE_STORAGE"]
    most = options.idle or MOST_IDLE[backend]
    places = [place for place in curve.places if name != "idle" or place <= most]
    bots = await entrants(curve.bots, base, channel)
    print(f"\n{backend}, {curve.title}, {curve.workload} turn")
    print(row(("", "", *TITLES)))
    points = []
    async with contest(channel, bots, curve.workload, folder) as running:
        async for step in curve.steps(running, places):
            seen = await running.measure(
                step.names, at_once=step.at_once, rounds=options.rounds, seconds=options.seconds
            )
            for bot, measured in seen.items():
                print(row((f"{step.place:>12,}", bot, *speed(measured), f"{measured.peak / 1e6:.0f}")))
                print(losses(measured, REPLIES.get(curve.workload, 1)), end="", flush=True)
                points.append({"bot": bot, "place": step.place, **figures(measured)})
    return points


def figures(measured: Measured) -> dict[str, float]:
    """Return what is drawn of a point: turns a second; milliseconds; bytes."""
    return {
        "rate": measured.rate,
        "p50": 1000 * measured.percentile(0.5),
        "p99": 1000 * measured.percentile(0.99),
        "cpu": 1000 * measured.cpu_of_a_turn,
        "peak": measured.peak,
    }


def plot(python: str, *arguments: str, given: str = "") -> None:
    """Run `demos.bench.plot` in the bench's own environment. Exits where that cannot draw."""
    command = python_module("demos.bench.plot", *arguments, python=python)
    try:
        subprocess.run(command, input=given, text=True, cwd=ROOT, check=True)  # noqa: S603  # a program of ours
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"{python} cannot draw ({error}): `make bench-curves` makes an environment that can")


def main() -> None:
    """Read the command line and run the bench."""
    parser = argparse.ArgumentParser(prog="python -m demos.bench.curves", description=__doc__.partition("\n")[0])
    parser.add_argument("--backends", nargs="+", choices=BACKENDS, default=("memory",))
    parser.add_argument("--curves", nargs="+", choices=tuple(CURVES), default=tuple(CURVES))
    most = "idle conversations at most (100,000; on blob and cosmos 1,000)"
    parser.add_argument("--idle", type=positive, metavar="N", help=most)
    parser.add_argument("--rounds", type=positive, default=2, metavar="N", help="of each bot, in turn (%(default)s)")
    parser.add_argument("--seconds", type=seconds, default=1.0, metavar="S", help="of a round (%(default)s)")
    picture = Path("build/curves.png")
    parser.add_argument("--picture", type=Path, default=picture, metavar="PNG", help="what is drawn (%(default)s)")
    parser.add_argument("--peers", default="", metavar="PYTHON", help="the interpreter that has matplotlib")
    options = parser.parse_args()
    if options.peers:
        plot(options.peers)  # now, and not after minutes
    run(partial(draw_from_life, options))


if __name__ == "__main__":
    main()
