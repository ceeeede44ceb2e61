"""The two environments that the tests run in differ in the storage SDKs, and in nothing else."""

from __future__ import annotations

from pathlib import Path

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
