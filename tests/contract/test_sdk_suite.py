"""The tests that the Bot Framework gives to authors of storages, on every backend."""

from __future__ import annotations

import pytest

from storage import StateStorage

base_tests = pytest.importorskip("botbuilder.testing", reason="needs the pinned SDKs").StorageBaseTests


@pytest.mark.parametrize(
    "name",
    [
        "return_empty_object_when_reading_unknown_key",
        "handle_null_keys_when_reading",
        "handle_null_keys_when_writing",
        "does_not_raise_when_writing_no_items",
        "create_object",
        "handle_crazy_keys",
        "update_object",
        "delete_object",
        "delete_unknown_object",
        "perform_batch_operations",
        "proceeds_through_waterfall",
    ],
)
async def test_the_sdks_own_storage_tests_pass(storage: StateStorage, name: str) -> None:
    assert await getattr(base_tests, name)(storage)


def test_no_test_of_the_sdk_is_left_out() -> None:
    names = {name for name in vars(base_tests) if not name.startswith("_")}

    assert names == set(test_the_sdks_own_storage_tests_pass.pytestmark[0].args[1])  # type: ignore[attr-defined]
