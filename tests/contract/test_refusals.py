"""What can never be stored is refused at once, by name; it is no outage that passes."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from config import Settings
from storage import ABSENT, ANY, StateEncodeError, StateStorage, StorageUnavailable, Write, create_storage


@pytest.mark.parametrize("expect", ["", None, 7])
def test_a_write_that_expects_nothing_that_can_be_is_refused(expect: Any) -> None:
    with pytest.raises(ValueError, match="ABSENT, ANY or the ETag"):
        Write({}, expect)


def test_deleting_what_is_expected_to_be_absent_is_refused() -> None:
    with pytest.raises(ValueError, match="delete"):
        Write(None, ABSENT)


@pytest.mark.parametrize("value", [[1], [], "text", "", 7, 0])
async def test_a_value_that_is_no_object_is_refused_and_not_stored(storage: StateStorage, value: Any) -> None:
    with pytest.raises(StateEncodeError, match="JSON object"):
        await storage.save({"k": Write(value, ANY)})
    assert await storage.load(["k"]) == {}


@pytest.mark.sqlite
@pytest.mark.parametrize(
    "schema",
    ["CREATE TABLE documents (a, b)", "CREATE VIEW documents AS SELECT 1 AS key, 2 AS value, 3 AS etag"],
)
async def test_a_database_of_another_program_is_not_taken_for_ours(tmp_path: Path, schema: str) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as other:
        other.execute(schema)
    other.close()
    storage = create_storage(Settings(sqlite_path=str(path)))
    with pytest.raises(StorageUnavailable, match="documents"):
        await storage.__aenter__()
