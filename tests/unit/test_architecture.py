"""The arrows of the imports, and what importing the application does: nothing."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = {"app", "bots", "config", "config_values", "data_models", "storage", "demos"}
SOURCES = sorted(
    path.relative_to(ROOT)
    for path in [
        ROOT / "app.py",
        ROOT / "config.py",
        ROOT / "config_values.py",
        *(found for part in OURS - {"demos"} for found in (ROOT / part).rglob("*.py")),
        *(ROOT / "demos/page").rglob("*.py"),  # a part of the application in development; the other demos are programs
    ]
)
BACKENDS = {"storage.blob", "storage.cosmos", "storage.memory", "storage.sqlite"}
BACKENDS_MAY = {
    "base",
    "codec",
    "contract",
    "cosmos_account",
    "cosmos_client",
    "cosmos_item",
    "errors",
    "expiry",
    "keys",
    "limits",
    "local",
    "remote",
    "service",
    "transport",
    "side_by_side",
    "sqlite_file",
    "telemetry",
}
LINES = 220


def module_of(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> set[str]:
    """Our own modules that the file names, wherever in it, type checking included."""
    found: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text(), str(path))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import hides where its arrow goes"
            found.add(node.module or "")
            found |= {f"{node.module}.{alias.name}" for alias in node.names if is_module(f"{node.module}.{alias.name}")}
    return {name for name in found if name.partition(".")[0] in OURS}


def is_module(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def parts(path: Path) -> set[str]:
    """The top-level parts that the file imports, its own left out."""
    return {name.partition(".")[0] for name in imports(path)} - {module_of(path).partition(".")[0]}


ALLOWED = {
    "app": {"bots", "config", "demos", "storage"},
    "bots": {"data_models", "storage"},
    "config": {"config_values"},
    "config_values": set(),
    "data_models": set(),
    "demos": {"bots", "storage"},
    "storage": set(),
}


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_imports_flow_one_way(path: Path) -> None:
    allowed = ALLOWED[module_of(path).partition(".")[0]]
    if path in (Path("storage/factory.py"), Path("storage/cli/session.py")):  # what makes a storage of the settings
        allowed = allowed | {"config"}
    assert parts(path) <= allowed


def test_there_is_something_to_check() -> None:
    assert {module_of(path).partition(".")[0] for path in SOURCES} == OURS
    assert {"bots", "config", "demos", "storage"} == parts(Path("app.py"))
    assert "storage.blob" in imports(Path("storage/factory.py"))


def test_the_page_knows_of_the_bots_only_what_their_turns_tell_and_who_may_call() -> None:
    page = [path for path in SOURCES if path.parts[:2] == ("demos", "page")]
    found = set().union(*map(imports, page))
    assert {name for name in found if name.startswith(("bots", "demos"))} <= {"bots.local_only", "bots.turn.events"} | {
        name for name in found if name.startswith("demos.page")
    }
    assert "storage.contract" in found


@pytest.mark.parametrize("path", [path for path in SOURCES if module_of(path) in BACKENDS], ids=str)
def test_a_backend_knows_the_contract_and_no_other_backend(path: Path) -> None:
    assert imports(path) <= {f"storage.{name}" for name in BACKENDS_MAY}


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_only_the_factory_knows_the_backends(path: Path) -> None:
    if path != Path("storage/factory.py"):
        assert not imports(path) & BACKENDS


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_only_config_reads_the_environment(path: Path) -> None:
    if path in (Path("config.py"), Path("demos/page/routes.py")):  # that one hands it on, whole, to its successor
        return
    tree = ast.parse((ROOT / path).read_text())
    read = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)} & {"environ", "getenv"}
    assert not read


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_a_module_is_short(path: Path) -> None:
    lines = len((ROOT / path).read_text().splitlines())
    assert lines < LINES


# Run in a process of its own: an audit hook stays for good, and this one has imported everything long ago.
# `app` is imported twice, so that what the libraries do when they are imported (urllib3 binds a socket to learn
# whether there is IPv6, mimetypes reads its table) is over when the hook begins to listen.
IMPORT_APP = """
import sys

sys.dont_write_bytecode = True
import app

modules = sorted(sys.modules)
for name in modules:
    if name.partition(".")[0] in {"app", "bots", "config", "data_models", "demos", "storage"}:
        del sys.modules[name]

seen = []

def hook(event, args):
    is_code = event == "open" and str(args[0]).endswith((".py", ".pyc"))
    if event.startswith(("open", "socket.", "sqlite3.", "subprocess.", "os.")) and not is_code:
        if event != "os.listdir":  # the import system looks for modules
            seen.append(f"{event} {args!r}")

sys.addaudithook(hook)
import app

print("\\n".join(seen))
print("---")
print("\\n".join(modules))
"""


@pytest.fixture(scope="module")
def imported() -> tuple[list[str], set[str]]:
    """What importing `app` did besides reading code, and the modules it brought in."""
    done = subprocess.run([sys.executable, "-c", IMPORT_APP], cwd=ROOT, capture_output=True, text=True, check=True)
    seen, _, modules = done.stdout.partition("---\n")
    return seen.split("\n")[:-1], set(modules.split())


def test_importing_the_application_touches_no_file_socket_or_process(imported: tuple[list[str], set[str]]) -> None:
    assert [line for line in imported[0] if line] == []


@pytest.mark.parametrize("sdk", ["azure.cosmos", "azure.storage.blob", "azure.identity", "sqlite3"])
def test_importing_the_application_brings_in_no_sdk_of_a_backend(
    imported: tuple[list[str], set[str]], sdk: str
) -> None:
    assert sdk not in imported[1]
    assert "app" in imported[1]


def test_production_loads_nothing_of_the_page(imported: tuple[list[str], set[str]]) -> None:
    assert "demos" not in {name.partition(".")[0] for name in imported[1]}
    program = (
        "import sys; from app import create_app; from config import Settings\n"
        "create_app(Settings(state_storage='memory', app_id='app', app_password='none'))\n"
        "assert not [name for name in sys.modules if name.startswith('demos')]\n"
        "create_app(Settings(state_storage='memory'))\n"
        "assert 'demos.page' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
