"""What checkov says of the templates and the Dockerfile, and that it says something of broken ones."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.infra.conftest import Run
from tests.infra.production import INFRA

BROKEN = {
    "modules/cosmos.bicep": ("disableLocalAuth: true", "disableLocalAuth: false", "CKV_AZURE_140"),
    "modules/registry.bicep": ("adminUserEnabled: false", "adminUserEnabled: true", "CKV_AZURE_137"),
    "modules/storage.bicep": ("minimumTlsVersion: 'TLS1_2'", "minimumTlsVersion: 'TLS1_0'", "CKV_AZURE_44"),
    "Dockerfile": ("USER 10001:10001", "USER root", "CKV_DOCKER_8"),
    "app.bicep": ("resource app '", "resource app app '", "parsing_errors"),
}
Reports = dict[str, dict[str, Any]]


@pytest.fixture
def reports(checker: Run, tmp_path: Path) -> Reports:
    """checkov's reports on `good` and `broken` copies by framework: one run, as each takes it seconds to start."""
    for copy in ("good", "broken"):
        shutil.copytree(INFRA, tmp_path / copy, ignore=shutil.ignore_patterns("local", "__pycache__"))
    for file, (old, new, _) in BROKEN.items():
        path = tmp_path / "broken" / file
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))
    options = ["--framework", "bicep", "dockerfile", "--skip-download", "--output", "json", "--compact"]
    ran = checker("checkov", "--directory", tmp_path, *options)
    return {report["check_type"]: report["results"] for report in json.loads(ran.stdout)}


def test_checkov_finds_what_was_broken_and_nothing_else_but_what_is_skipped_with_a_reason(reports: Reports) -> None:
    checks = [
        check for report in reports.values() for name in ("failed", "skipped") for check in report[f"{name}_checks"]
    ]
    unread = [str(file) for report in reports.values() for file in report["parsing_errors"]]

    failed = {(check["file_path"].partition("/")[2], check["check_id"]) for check in checks if not skipped(check)}
    assert failed == {(f"broken/{file}", said) for file, (_, _, said) in BROKEN.items() if said.startswith("CKV")}
    assert [Path(file).parts[-2:] for file in unread] == [("broken", "app.bicep")]
    assert all(len(check["check_result"]["suppress_comment"]) > 30 for check in checks if skipped(check))
    assert sum(len(report["passed_checks"]) for report in reports.values()) > 100


def skipped(check: dict[str, Any]) -> bool:
    return bool(check["check_result"]["result"] == "SKIPPED")
