"""A burst of messages into one conversation over three replicas, one of them killed: ours beside the stock storages.

To run it: `make demo-scale-out`, or `python -m demos.scale_out` (`--help` shows what can be changed).
`STATE_STORAGE=blob` and `STATE_STORAGE=cosmos` use Azurite and the local Cosmos server, which it starts.

You should see a table of two rows. Of 60 messages sent, our bot acknowledges 60 and counts 60, though a replica was
killed with kill -9 when a third was acknowledged. The bot on the stock storages acknowledges about as many, and has
forgotten most of them: turns that run at once overwrite each other's state.
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
from dataclasses import replace
from pathlib import Path

from config import ConfigError, Settings
from demos.burst import Outcome, burst
from infra.local import emulators, node
from storage import create_storage

CONNECTOR_SECONDS = 0.03  # a channel is not next door: most turns that die are committed and not acknowledged
STOCK = {"sqlite": "MemoryStorage", "blob": "BlobStorage", "cosmos": "CosmosDbPartitionedStorage"}
TITLES = ("", "sent", "acknowledged", "counted", "conflicts", "replays", "apologies", "seconds")
LEGEND = """
counted    what the bot remembers when it is asked afterwards
conflicts  turns that met another one's writes: ours run again, of stock's a few notice, and the user reads an error
replays    messages delivered again though they were handled: answered from the ledger, not handled twice
apologies  messages to which the user read "The bot encountered an error or bug." """
NO_STOCK_FILE = """
The stock SDK has no storage in a file, so its row is MemoryStorage, which the samples come with: each replica has its
own, and "counted" adds up those that are alive. STATE_STORAGE=blob or cosmos compares both on the same service."""


@contextmanager
def services(backend: str, folder: Path) -> Iterator[tuple[Mapping[str, str], Mapping[str, str]]]:
    """Yield the environments of our bot and of the stock one, each with a store of its own, which is running."""
    if backend == "blob":
        with emulators.azurite() as given:
            yield {**given, "BLOB_CONTAINER": "ours"}, {**given, "BLOB_CONTAINER": "stock"}
    elif backend == "cosmos":
        with emulators.cosmos() as given:
            yield {**given, "COSMOS_CONTAINER": "ours"}, {**given, "COSMOS_CONTAINER": "stock"}
    else:
        yield (
            {"STATE_STORAGE": "sqlite", "SQLITE_PATH": str(folder / "state.db")},
            {"STATE_STORAGE": "memory"},
        )


async def create(environment: Mapping[str, str]) -> None:
    """Make the container, as infrastructure code does before the first replica starts."""
    async with create_storage(replace(Settings.from_env(environment), storage_create=True)):
        pass


async def compare(options: argparse.Namespace, backend: str, folder: Path) -> None:
    """Run both bots and print what came of it."""
    with services(backend, folder) as (ours, stock):
        names = {"ours": f"ours, {backend}", "stock": f"stock, {STOCK[backend]}"}
        print(
            f"{options.messages} messages at once into one conversation, {options.replicas} replicas behind a front"
            + ("" if options.no_kill else ", one killed -9 on the way")
            + ":\n",
            flush=True,
        )
        print(row(TITLES), flush=True)
        for program, environment in ("ours", ours), ("stock", stock):
            await create(environment)
            outcome = await burst(
                program,
                environment,
                folder,
                replicas=options.replicas,
                messages=options.messages,
                kill=not options.no_kill,
                connector=CONNECTOR_SECONDS,
            )
            print(row((names[program], *cells(outcome))), flush=True)
    print(LEGEND)
    if backend == "sqlite":
        print(NO_STOCK_FILE)


def positive(text: str) -> int:
    """Parse a number of the command line. Raises ValueError unless it is 1 or more."""
    if int(text) < 1:
        raise ValueError
    return int(text)


def row(values: tuple[str, ...]) -> str:
    """Return one line of the table."""
    return f"{values[0]:<34}" + "".join(f"{value:>14}" for value in values[1:])


def cells(outcome: Outcome) -> tuple[str, ...]:
    """Return an outcome as the table shows it."""
    counted = "no answer" if outcome.counted is None else str(outcome.counted)
    whole = (outcome.sent, outcome.acknowledged, counted, outcome.conflicts, outcome.replays, outcome.apologies)
    return (*map(str, whole), f"{outcome.seconds:.1f}")


def main() -> None:
    """Read the command line and run the demonstration; leaves no process and no file behind."""
    parser = argparse.ArgumentParser(prog="python -m demos.scale_out", description=__doc__.partition("\n")[0])
    parser.add_argument("--replicas", type=positive, default=3, metavar="N", help="processes of each bot (%(default)s)")
    parser.add_argument("--messages", type=positive, default=60, metavar="N", help="in the burst (%(default)s)")
    parser.add_argument("--no-kill", action="store_true", help="let all replicas live; one replica always does")
    options = parser.parse_args()
    options.no_kill = options.no_kill or options.replicas < 2
    backend = os.environ.get("STATE_STORAGE") or "sqlite"
    if backend not in STOCK:
        sys.exit(f"STATE_STORAGE={backend}: this demonstration compares {', '.join(STOCK)}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with tempfile.TemporaryDirectory(prefix="scale-out-") as folder:
            asyncio.run(compare(options, backend, Path(folder)))
    except (node.EmulatorError, ConfigError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("stopped")


if __name__ == "__main__":
    main()
