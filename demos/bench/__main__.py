"""How fast the bot is, beside the stock SDK, the SDK that followed it, and the floor of the machine.

To run it: `make bench`, or `python -m demos.bench` (`--help` shows what can be chosen). It takes some minutes.

You should see a table for each backend and workload. "ordinary" is the sample's turn when it knows the name: only the
conversation's document changes, three replies. "both" changes the conversation's and the user's document, one reply.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from demos.bench.channel import open_channel
from demos.bench.command import interpreter, losses, row, run, seconds, speed
from demos.bench.entrants import BACKENDS, BOTS, entrants, service
from demos.bench.runs import REPLIES, SETUP, Measured, contest, conversations
from demos.scale_out import positive
from tests.internet import internet

TITLES = ("", "turns/s", "p50 ms", "p99 ms", "CPU ms", "storage", "replies", "peak MB", "of stock", "of floor")
LEGEND = """
CPU ms    of the bot's process, for a turn; all threads
storage   requests that the SDK of the storage sent, for a turn (memory and SQLite have no requests)
replies   requests to the channel, for a turn
of stock  turns/s, as a multiple of the stock SDK's in the same run; of floor: of the bare handler's
token     each request bears a token of the channel that is checked, each reply the bot's own"""


async def compare(options: argparse.Namespace, folder: Path) -> None:
    """Measure what is asked for and print it."""
    async with open_channel() as channel, internet(folder) as net:
        for backend in options.backends:
            with service(backend) as base:
                for workload in options.workloads:
                    bots = await entrants(options.bots, base, channel, net=net, peers=options.peers)
                    names = conversations(workload, options.conversations)
                    async with contest(channel, bots, workload, folder / backend / workload) as running:
                        await running.hear(names, *SETUP[workload])
                        seen = await running.measure(
                            names, at_once=options.at_once, rounds=options.rounds, seconds=options.seconds
                        )
                    show(backend, workload, options, seen)
    print(LEGEND)


def show(backend: str, workload: str, options: argparse.Namespace, seen: Mapping[str, Measured]) -> None:
    """Print the table of one contest."""
    print(f"\n{backend}, {workload} turn, {options.at_once} of {options.conversations} conversations at once")
    print(row(TITLES))
    for name, measured in seen.items():
        print(row((name, *cells(measured, seen))))
        print(losses(measured, REPLIES[workload]), end="", flush=True)


def cells(measured: Measured, seen: Mapping[str, Measured]) -> tuple[str, ...]:
    """Return what a line of the table says."""
    turns = len(measured.traffic.waits)
    return (
        *speed(measured),
        "-" if measured.requests is None else f"{measured.requests / turns:.2f}",
        f"{measured.traffic.replies / turns:.2f}",
        f"{measured.peak / 1e6:.0f}",
        *(f"{measured.rate / seen[peer].rate:.2f}" if peer in seen else "-" for peer in ("stock", "floor")),
    )


def main() -> None:
    """Read the command line and run the bench."""
    parser = argparse.ArgumentParser(prog="python -m demos.bench", description=__doc__.partition("\n")[0])
    parser.add_argument("--backends", nargs="+", choices=BACKENDS, default=BACKENDS)
    parser.add_argument("--workloads", nargs="+", choices=tuple(REPLIES), default=tuple(REPLIES))
    parser.add_argument("--bots", nargs="+", choices=BOTS, default=BOTS)
    parser.add_argument("--conversations", type=positive, default=160, metavar="N", help="in all (%(default)s)")
    parser.add_argument("--at-once", type=positive, default=32, metavar="N", help="messages on their way (%(default)s)")
    parser.add_argument("--rounds", type=positive, default=3, metavar="N", help="of each bot, in turn (%(default)s)")
    parser.add_argument("--seconds", type=seconds, default=3.0, metavar="S", help="of a round (%(default)s)")
    parser.add_argument("--peers", type=interpreter, metavar="PYTHON", help="what has the successor SDK")
    options = parser.parse_args()
    if options.at_once > options.conversations:  # each has one message at a time
        parser.error(f"--at-once {options.at_once} is more than --conversations {options.conversations}")
    run(partial(compare, options))


if __name__ == "__main__":
    main()
