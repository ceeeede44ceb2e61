"""What ~/.netrc holds is nobody's credential here: the storages sign what they send."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage import ABSENT, Write
from tests.conftest import Connect


async def test_a_password_for_the_host_in_netrc_breaks_no_request(
    connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    async with connect() as storage:
        await storage.save({"a": Write({"n": 1}, ABSENT)})
        assert (await storage.load(["a"]))["a"].value == {"n": 1}
