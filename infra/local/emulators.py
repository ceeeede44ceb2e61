"""The emulators of Azure Blob Storage and Cosmos DB without Docker, for tests and for a person.

Azurite is Microsoft's; the Cosmos server is a third party's (`cosmos.js`). To run both until Ctrl-C:
`python -m infra.local.emulators`; it prints the settings to copy.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import re
import shlex
import signal
import subprocess
import sys
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import IO, TYPE_CHECKING

from infra.local.node import HERE, EmulatorError, find_node, install

if TYPE_CHECKING:
    from collections.abc import Iterator

HOST = "127.0.0.1"
AZURITE_PORT = 10000
COSMOS_PORT = 8081
# Published, the same on every machine: https://learn.microsoft.com/azure/storage/common/storage-connect-azurite
# and https://learn.microsoft.com/azure/cosmos-db/emulator#authentication
AZURITE_ACCOUNT = "devstoreaccount1"
AZURITE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
COSMOS_KEY = "C2y6yDjf5/R+ob0N8A7Cgv30VRDJIWEHLM+4QDU5DE2nQ9nDuVTqobD4b8mGGyPMbIZnqyMsEcaGQy67XIw/Jw=="

_READY = re.compile(r"listens on (https?://\S+)")
_START_SECONDS = 60.0
_STOP_SECONDS = 10.0


@contextlib.contextmanager
def azurite(port: int = 0, folder: Path | None = None) -> Iterator[dict[str, str]]:
    """Run Azurite's Blob service and yield the environment variables that select it.

    `port` 0 takes a free one. The data is kept in `folder`, which survives a restart, or else in memory.
    Raises `EmulatorError` when it cannot be installed or started.
    """
    data = ["--inMemoryPersistence"] if folder is None else ["--location", str(folder.resolve())]
    with _azurite("--blobPort", str(port), *data) as url:
        connection = {
            "DefaultEndpointsProtocol": "http",
            "AccountName": AZURITE_ACCOUNT,
            "AccountKey": AZURITE_KEY,
            "BlobEndpoint": f"{url}/{AZURITE_ACCOUNT}",
        }
        text = ";".join(f"{name}={value}" for name, value in connection.items())
        yield {"STATE_STORAGE": "blob", "BLOB_CONNECTION_STRING": text}


@contextlib.contextmanager
def azurite_for_identities(certificate: Path, private_key: Path) -> Iterator[dict[str, str]]:
    """Run Azurite with TLS, in memory, and yield the variables that select it for an Entra identity, without a key.

    It looks at a token's audience, issuer and expiry, not at its signature. The certificate, both in PEM, is what
    the bot has to trust. Raises `EmulatorError` when it cannot be installed or started.
    """
    tls = ["--oauth", "basic", "--cert", str(certificate), "--key", str(private_key)]
    with _azurite("--blobPort", "0", "--inMemoryPersistence", *tls) as url:
        yield {"STATE_STORAGE": "blob", "BLOB_ACCOUNT_URL": f"{url}/{AZURITE_ACCOUNT}"}


@contextlib.contextmanager
def _azurite(*options: str) -> Iterator[str]:
    # --loose: azure-storage-blob 12.7.0 sends a header Azurite does not know, and would get 500.
    # --skipApiVersionCheck: the newest SDK is ahead of the newest Azurite.
    flags = ["--silent", "--loose", "--skipApiVersionCheck", "--disableTelemetry"]
    script = HERE / "azurite.js"
    with _running("Azurite", script, "--blobHost", HOST, *options, *flags) as url:
        yield url


@contextlib.contextmanager
def cosmos(port: int = 0) -> Iterator[dict[str, str]]:
    """Run the Cosmos server, in memory, and yield the environment variables that select it.

    `port` 0 takes a free one. Its certificate is self-signed: the SDK skips the check on a loopback address.
    Raises `EmulatorError` when it cannot be installed or started.
    """
    with _running("The Cosmos server", HERE / "cosmos.js", HOST, str(port)) as url:
        yield {"STATE_STORAGE": "cosmos", "COSMOS_ENDPOINT": f"{url}/", "COSMOS_KEY": COSMOS_KEY}


@contextlib.contextmanager
def _running(name: str, script: Path, *arguments: str) -> Iterator[str]:
    """Run a Node program until the block ends and yield the URL at which it says that it listens."""
    install()
    # Ctrl-C must reach this process alone, which then stops its children in order: hence the own session.
    with subprocess.Popen(
        [find_node().executable, "--require", str(HERE / "stop_with_parent.js"), str(script), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        last_lines: collections.deque[str] = collections.deque(maxlen=20)
        url: Future[str | None] = Future()
        follower = threading.Thread(target=_follow, args=(process.stdout, last_lines, url), daemon=True)
        follower.start()
        try:
            yield _await_ready(name, url, last_lines)
        finally:
            _stop(process)
            follower.join()


def _follow(output: IO[str], last_lines: collections.deque[str], url: Future[str | None]) -> None:
    """Read the output to its end, so that the program never blocks on the pipe; resolve `url` on the way."""
    for line in output:
        last_lines.append(line)
        if (found := _READY.search(line)) and not url.done():
            url.set_result(found[1])
    if not url.done():
        url.set_result(None)


def _await_ready(name: str, url: Future[str | None], last_lines: collections.deque[str]) -> str:
    try:
        if address := url.result(_START_SECONDS):
            return address
        problem = "ended at once"
    except TimeoutError:
        problem = f"did not start within {_START_SECONDS:.0f} s"
    raise EmulatorError(f"{name} {problem}. It said:\n{''.join(last_lines)}")


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def main() -> None:
    """Run both emulators until Ctrl-C and print their settings, for a shell and for a `.env` file alike."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.emulators", description=main.__doc__)
    parser.add_argument("--azurite-port", type=int, default=AZURITE_PORT, help="0: a free one (%(default)s)")
    parser.add_argument("--cosmos-port", type=int, default=COSMOS_PORT, help="0: a free one (%(default)s)")
    parser.add_argument("--azurite-data", type=Path, metavar="FOLDER", help="keep blobs there, not in memory")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with (
            azurite(options.azurite_port, options.azurite_data) as blob,
            cosmos(options.cosmos_port) as documents,
        ):
            for title, settings in ("Azurite", blob), ("the Cosmos server", documents):
                print(f"\n# For the bot to keep its state in {title}:")
                print("\n".join(f"export {name}={shlex.quote(value)}" for name, value in settings.items()))
            print("\n# Both are running; Ctrl-C stops them.", flush=True)
            threading.Event().wait()
    except KeyboardInterrupt:
        print("stopped")
    except EmulatorError as error:
        hint = "--azurite-port and --cosmos-port choose other ports." if "EADDRINUSE" in str(error) else ""
        sys.exit(f"{error}{hint}")


if __name__ == "__main__":
    main()
