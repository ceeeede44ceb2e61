"""The two environments of the tests differ in the storage SDKs only, and what is locked is what is asked for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]


def requirements(name: str) -> set[str]:
    lines = (line.partition("#")[0].strip() for line in (ROOT / name).read_text().splitlines())
    return {line for line in lines if line and not line.startswith("-r")}


def test_the_newest_environment_differs_in_the_storage_sdks_only() -> None:
    pinned = requirements("requirements.txt") | requirements("requirements-dev.txt")
    newest = requirements("requirements-newest.txt")

    assert newest - pinned == {"azure-cosmos==4.17.1", "azure-storage-blob==12.31.1"}
    assert pinned - newest == {
        "azure-cosmos==4.7.0",
        "azure-storage-blob==12.7.0",
        "botbuilder-azure==4.17.1",  # pins the two above
        "botbuilder-testing==4.17.1",  # needs botbuilder-azure
    }


def locked(name: str) -> dict[str, str]:
    """The versions in a lock, by name; each line's markers left out."""
    pins = re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / name).read_text(), re.MULTILINE)
    return dict(pins)


@pytest.mark.parametrize("name", ["requirements", "requirements-dev", "infra/requirements-azure"])
def test_the_lock_holds_a_version_that_is_allowed_for_every_requirement_and_a_hash_for_every_file(name: str) -> None:
    pins = locked(f"{name}.lock")
    wanted = requirements(f"{name}.txt") | (requirements("requirements.txt") if "-dev" in name else set())
    for line in wanted:
        requirement = Requirement(line)
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)], prereleases=True), line
    text = (ROOT / f"{name}.lock").read_text()
    for block in re.split(r"^(?=[a-z])", text, flags=re.MULTILINE)[1:]:
        assert "--hash=sha256:" in block
    assert "://" not in text  # no host of a registry: the lock is good for any mirror


def test_what_runs_is_what_was_tested() -> None:
    runs, tested = locked("requirements.lock"), locked("requirements-dev.lock")
    assert runs.items() <= tested.items()


def test_what_the_image_has_besides_is_of_the_same_versions() -> None:
    runs, besides = locked("requirements.lock"), locked("infra/requirements-azure.lock")
    shared = runs.keys() & besides.keys()
    assert shared
    assert {name: besides[name] for name in shared} == {name: runs[name] for name in shared}
