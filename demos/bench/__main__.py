"""How fast the bot is, beside the stock SDK, the SDK that followed it, and the floor of the machine.

To run it: `make bench`, or `python -m demos.bench` (`--help` shows what can be chosen). It takes some minutes.

You should see a table for each backend and workload. "ordinary" is the sample's turn when it knows the name: only the
conversation's document changes, three replies. "both" changes the conversation's and the user's document, one reply.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from demos.bench.channel import Channel, open_channel
from demos.bench.runs import REPLIES, Entrant, Measured, contest, python_module
from demos.scale_out import create
from infra.local import emulators
from infra.local.node import EmulatorError
from tests.internet import Internet, internet
from tests.issuers import APP_ID, channel_claims

BACKENDS = ("memory", "sqlite", "blob", "cosmos")
KNOWN = "ours, token"
TITLES = ("", "turns/s", "p50 ms", "p99 ms", "CPU ms", "storage", "replies", "peak MB", "of stock", "of floor")
LEGEND = """
CPU ms    of the bot's process, for a turn; all threads
storage   requests that the SDK of the storage sent, for a turn (memory and SQLite have no requests)
replies   requests to the channel, for a turn
of stock  turns/s, as a multiple of the stock SDK's in the same run; of floor: of the bare handler's
token     each request bears a token of the channel that is checked, each reply the bot's own"""


@contextmanager
def service(backend: str) -> Iterator[Mapping[str, str]]:
    """Yield the environment of a backend whose service runs."""
    if backend == "blob":
        with emulators.azurite() as given:
            yield given
    elif backend == "cosmos":
        with emulators.cosmos() as given:
            yield given
    else:
        yield {"STATE_STORAGE": backend}


def entrants(backend: str, base: Mapping[str, str], channel: Channel, net: Internet, peers: str) -> list[Entrant]:
    """Return all that can run on a backend, ours first."""

    def own(store: str) -> dict[str, str]:
        return {**base, "BLOB_CONTAINER": store, "COSMOS_CONTAINER": store, "SQLITE_PATH": "state.db"}

    def program(name: str) -> tuple[str, ...]:
        return python_module("demos.bench.programs", name)

    token = net.channels.sign(channel_claims(channel.service_url))
    identity = {**net.environment, "MicrosoftAppId": APP_ID, "MicrosoftAppPassword": "of~the~bench"}
    found = [
        Entrant("ours", own("ours"), program("ours")),
        Entrant(KNOWN, own("known") | identity, program("ours"), channel_id="msteams", token=token),
        Entrant("floor", own("floor"), program("floor")),
    ]
    if backend != "sqlite":  # the SDKs have no storage in a file
        found.append(Entrant("stock", own("stock"), program("stock")))
        if peers:
            successor = python_module("demos.bench.successor", python=peers)
            found.append(Entrant("successor", own("successor"), successor))
    return found


async def compare(options: argparse.Namespace, folder: Path) -> None:
    """Measure what is asked for and print it."""
    async with open_channel() as channel, internet(folder) as net:
        for backend in options.backends:
            with service(backend) as base:
                environment = {"PATH": os.environ["PATH"], **base}
                for workload in options.workloads:
                    bots = entrants(backend, environment, channel, net, options.peers)
                    bots = [bot for bot in bots if bot.name.partition(",")[0] in options.bots]
                    for bot in bots:
                        if backend in ("blob", "cosmos"):
                            await create({**bot.environment, "STORAGE_CREATE": "true"})
                    place = folder / backend / workload
                    async with contest(channel, bots, workload, place, options.conversations) as running:
                        seen = await running.measure(
                            at_once=options.at_once, rounds=options.rounds, seconds=options.seconds
                        )
                    show(backend, workload, options, seen)
    print(LEGEND)


def show(backend: str, workload: str, options: argparse.Namespace, seen: Mapping[str, Measured]) -> None:
    """Print the table of one contest."""
    print(f"\n{backend}, {workload} turn, {options.at_once} of {options.conversations} conversations at once")
    print(row(TITLES))
    for name, measured in seen.items():
        print(row((name, *cells(measured, seen))), flush=True)
        expected = REPLIES[workload] * len(measured.traffic.waits)
        if measured.traffic.refused or measured.traffic.replies != expected:
            print(f"  {measured.traffic.refused} refused, {expected - measured.traffic.replies} replies missing")


def cells(measured: Measured, seen: Mapping[str, Measured]) -> tuple[str, ...]:
    """Return what a line of the table says."""
    turns = len(measured.traffic.waits)
    return (
        f"{measured.rate:.0f}",
        f"{1000 * measured.percentile(0.5):.1f}",
        f"{1000 * measured.percentile(0.99):.1f}",
        f"{1000 * measured.cpu / turns:.2f}",
        "-" if measured.requests is None else f"{measured.requests / turns:.2f}",
        f"{measured.traffic.replies / turns:.2f}",
        f"{measured.peak / 1e6:.0f}",
        *(f"{measured.rate / seen[peer].rate:.2f}" if peer in seen else "-" for peer in ("stock", "floor")),
    )


def row(values: tuple[str, ...]) -> str:
    """Return one line of the table."""
    return f"{values[0]:<14}" + "".join(f"{value:>10}" for value in values[1:])


def main() -> None:
    """Read the command line and run the bench; leaves no process and no file behind."""
    parser = argparse.ArgumentParser(prog="python -m demos.bench", description=__doc__.partition("\n")[0])
    parser.add_argument("--backends", nargs="+", choices=BACKENDS, default=BACKENDS)
    parser.add_argument("--workloads", nargs="+", choices=tuple(REPLIES), default=tuple(REPLIES))
    bots = ("ours", "floor", "stock", "successor")
    parser.add_argument("--bots", nargs="+", choices=bots, default=bots)
    parser.add_argument("--conversations", type=int, default=160, metavar="N", help="in all (%(default)s)")
    parser.add_argument("--at-once", type=int, default=32, metavar="N", help="messages on their way (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="of each bot, in turn (%(default)s)")
    parser.add_argument("--seconds", type=float, default=3.0, metavar="S", help="of a round (%(default)s)")
    parser.add_argument("--peers", default="", metavar="PYTHON", help="the interpreter that has the successor SDK")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"This machine is busy with other work (load {load:.1f}): trust ratios, not figures.")
    try:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            asyncio.run(compare(options, Path(folder)))
    except EmulatorError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("stopped")


if __name__ == "__main__":
    main()
