"""The image and the emulators' compose file, as far as they can be looked at without Docker."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from config import Settings
from infra.local.emulators import AZURITE_KEY, COSMOS_KEY
from tests.infra.conftest import Run
from tests.infra.production import INFRA, ROOT

DOCKERFILE = INFRA / "Dockerfile"
COMPOSE = INFRA / "local" / "compose.yml"


def dockerfile_problems(text: str) -> list[str]:
    """What the image must be, beyond what linters look at."""
    last = text.rpartition("\nFROM ")[2].replace("\\\n", " ")
    found = [] if text.count("\nFROM ") > 1 else ["one stage only: the build's tools are in the image"]
    if not re.search(r"^USER [1-9]\d*(:\d+)?$", last, re.M):
        found.append("it must run as somebody but root, by number")
    found += [
        f"{instruction} must be in exec form: a shell keeps SIGTERM to itself"
        for instruction in ("CMD", "HEALTHCHECK")
        if not re.search(rf"^{instruction} .*?(\[.*\])$", last, re.M)
    ]
    if re.search("curl|wget|apt-get", last):
        found.append("the image must not need more programs")
    if "/healthz" not in last:
        found.append("the health check must ask /healthz")
    return found


def health_check() -> list[str]:
    """The health check's program and arguments."""
    found = re.search(r"HEALTHCHECK [^\[]*(\[.*\])$", DOCKERFILE.read_text(), re.M)
    assert found
    command: list[str] = json.loads(found[1])
    return [sys.executable, *command[1:]]


def test_the_image_is_what_it_must_be() -> None:
    assert dockerfile_problems(DOCKERFILE.read_text()) == []


def test_the_linter_has_nothing_to_say_of_the_dockerfile(checker: Run) -> None:
    assert checker("hadolint", "--failure-threshold", "style", DOCKERFILE).stdout == ""


BROKEN = {
    "root": ("USER 10001:10001", "USER root", "root"),
    "a named user": ("USER 10001:10001", "USER nobody", "number"),
    "a shell": ('CMD ["python", "app.py"]', "CMD python app.py", "exec form"),
    "curl": ('["python", "-c", "import', '["curl", "import', "programs"),
    "one stage": ("\nFROM python:3.11-slim-bookworm\n", "\n", "stage"),
}


@pytest.mark.parametrize(("old", "new", "said"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_dockerfile_is_found(old: str, new: str, said: str) -> None:
    text = DOCKERFILE.read_text()
    assert old in text
    assert said in " ".join(dockerfile_problems(text.replace(old, new)))


def test_the_linter_finds_a_broken_dockerfile(checker: Run, tmp_path: Path) -> None:
    copy = tmp_path / "Dockerfile"
    copy.write_text(DOCKERFILE.read_text().replace("-slim-bookworm", "").replace("python:3.11", "python"))
    assert "DL3006" in checker("hadolint", copy).stdout


def test_the_image_has_all_that_the_app_imports_and_nothing_of_the_tests(tmp_path: Path) -> None:
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE.read_text(), re.M)
    names = {name.rstrip("/") for line in copied for name in line.split()}
    assert names == sent
    for name in names:
        place = tmp_path / name
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        copy(ROOT / name, place)
    modules = [".".join(file.relative_to(tmp_path).with_suffix("").parts) for file in tmp_path.rglob("*.py")]
    script = f"import {', '.join(module.removesuffix('.__init__') for module in modules)}"
    subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, '.'); {script}"], cwd=tmp_path, check=True
    )


def test_the_health_check_tells_a_bot_that_listens_from_none(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    env = {"PATH": os.environ["PATH"], "STATE_STORAGE": "memory", "PORT": str(port)}

    def check() -> int:
        return subprocess.run(health_check(), env=env, capture_output=True, check=False).returncode

    assert check() != 0
    with subprocess.Popen(
        [sys.executable, ROOT / "app.py"],
        env=env | {"HOST": "127.0.0.1"},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    ) as bot:
        try:
            assert bot.stdout
            assert "State bot on" in bot.stdout.readline()
            assert check() == 0
        finally:
            bot.terminate()
        assert bot.wait(Settings().shutdown_timeout) == 0
    assert check() != 0


def compose_problems(file: Path) -> list[str]:
    """What the compose file must be, beyond its schema."""
    services = yaml.safe_load(file.read_text())["services"]
    bot = services["bot"]
    found = [] if bot["deploy"]["replicas"] > 1 else ["one bot shows nothing of replicas"]
    checked = {name for name, service in services.items() if "healthcheck" in service} | {
        "bot"
    }  # the image has its own
    for name, service in services.items():
        for other, how in service.get("depends_on", {}).items():
            if how["condition"] != "service_healthy" or other not in checked:
                found.append(f"{name} does not wait until {other} works")
        if any(not str(port).startswith("127.0.0.1:") for port in service.get("ports", [])):
            found.append(f"{name} can be reached from other machines")
    if int(bot["stop_grace_period"].removesuffix("s")) <= Settings().shutdown_timeout:
        found.append("the bot is killed before it may have stopped")
    return found


def bot_settings(backend: str) -> Settings:
    told = yaml.safe_load(COMPOSE.read_text())["services"]["bot"]["environment"]
    image = dict(re.findall(r"(HOST|PORT)=(\S+)", DOCKERFILE.read_text()))
    return Settings.from_env(image | told | {"STATE_STORAGE": backend})


def test_the_emulators_file_is_of_the_compose_schema(checker: Run) -> None:
    ran = checker("check-jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE)
    assert ran.returncode == 0, ran.stdout


def test_the_emulators_file_is_what_it_must_be() -> None:
    assert compose_problems(COMPOSE) == []


@pytest.mark.parametrize("backend", ["cosmos", "blob"])
def test_the_bot_takes_the_settings_of_the_emulators_file(backend: str) -> None:
    settings = bot_settings(backend)
    assert settings.host == "0.0.0.0"  # noqa: S104
    assert settings.cosmos_key == COSMOS_KEY
    assert AZURITE_KEY in settings.blob_connection_string


@pytest.mark.parametrize(
    ("old", "new"),
    [("replicas: 2", "replicas: 1"), ("service_healthy", "service_started"), ("127.0.0.1:3978", "3978"), ("30s", "5s")],
)
def test_a_broken_emulators_file_is_found(tmp_path: Path, old: str, new: str) -> None:
    copy = tmp_path / "compose.yml"
    copy.write_text(COMPOSE.read_text().replace(old, new))
    assert compose_problems(copy)


def test_an_emulators_file_outside_the_schema_is_found(checker: Run, tmp_path: Path) -> None:
    copy = tmp_path / "compose.yml"
    copy.write_text(COMPOSE.read_text().replace("service_healthy", "service_fine"))
    assert checker("check-jsonschema", "--builtin-schema", "vendor.compose-spec", copy).returncode == 1
