"""The suite finds what is broken: each faulty storage fails the tests that name its fault, a sound one fails none."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from storage.memory import MemoryStorage
from tests.contract import (
    broken_stores,
    test_failing_services,
    test_preconditions,
    test_several_keys,
    test_sharing,
    test_values_and_keys,
)

_CLASSES = [
    test_preconditions.TestPreconditions,
    test_preconditions.TestDeletes,
    test_several_keys.TestSeveralKeys,
    test_values_and_keys.TestValues,
    test_values_and_keys.TestKeys,
    test_sharing.TestManyTasks,
    test_sharing.TestSeveralStorages,
]


def _suite() -> Iterator[tuple[str, Callable[..., Any], dict[str, Any]]]:
    """The suite's tests with each of their parameters, as pytest would call them."""
    for cls in _CLASSES:
        for name, test in inspect.getmembers(cls(), inspect.ismethod):
            if marks := getattr(test, "pytestmark", []):
                parameter, values = marks[0].args
                yield from ((name, test, {parameter: value}) for value in values)
            else:
                yield name, test, {}


async def _run(test: Callable[..., Any], arguments: dict[str, Any], store: type[MemoryStorage]) -> None:
    documents: dict[str, Any] = {}
    if "connect" in inspect.signature(test).parameters:
        await test(connect=lambda: store(documents), **arguments)
    else:
        async with store(documents) as storage:
            await test(storage=storage, **arguments)


async def _failures(store: type[MemoryStorage], names: set[str] | None = None) -> set[str]:
    """The tests, of those with these names or of all, that fail on a storage."""
    failed = set()
    for prefixed, test, arguments in _suite():
        name = prefixed.removeprefix("test_")
        if names is not None and name not in names:
            continue
        try:
            await _run(test, arguments, store)
        except (Exception, pytest.fail.Exception):
            failed.add(name)
    return failed


async def test_a_sound_store_fails_no_test() -> None:
    assert await _failures(MemoryStorage) == set()


@pytest.mark.parametrize(
    ("store", "faults"),
    [
        (broken_stores.LastWriterWins, {"a_stale_update_conflicts_and_changes_nothing"}),
        (broken_stores.BlindCreation, {"creating_what_exists_conflicts_and_changes_nothing"}),
        (broken_stores.Resurrecting, {"a_stale_update_after_a_delete_conflicts_and_does_not_resurrect"}),
        (
            broken_stores.CheckThenAct,
            {"of_many_creators_one_wins_and_its_value_stays", "no_increment_of_many_tasks_on_one_key_is_lost"},
        ),
        (broken_stores.NotAtomic, {"one_bad_write_of_several_conflicts_by_name"}),
        (broken_stores.GivesUpEarly, {"one_bad_write_of_several_conflicts_by_name"}),
        (broken_stores.Aliasing, {"a_change_after_saving_is_not_stored", "a_change_after_loading_is_not_stored"}),
        (broken_stores.MarksItsInput, {"saving_leaves_the_value_as_it_was"}),
        (
            broken_stores.CountsVersions,
            {"no_two_versions_share_an_etag", "a_stale_update_after_delete_and_recreate_conflicts"},
        ),
        (
            broken_stores.HashesContent,
            {"no_two_versions_share_an_etag", "a_stale_update_to_the_value_that_is_there_conflicts_too"},
        ),
        (broken_stores.StockEscapes, {"look_alikes_are_documents_of_their_own"}),
        (broken_stores.FoldsCase, {"look_alikes_are_documents_of_their_own"}),
        (broken_stores.CutsKeys, {"look_alikes_are_documents_of_their_own"}),
        (broken_stores.SwallowsConflicts, {"a_stale_delete_conflicts_and_removes_nothing"}),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else None,
)
async def test_a_broken_store_fails_the_tests_that_name_its_fault(store: type[MemoryStorage], faults: set[str]) -> None:
    assert await _failures(store, faults) == faults


async def test_a_store_that_reads_an_outage_as_absence_is_found() -> None:
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        await test_failing_services.check_that_no_failure_reads_as_absent(broken_stores.SwallowsOutages, 503)
