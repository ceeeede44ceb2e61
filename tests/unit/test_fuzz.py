"""Whatever a document has become, it is read as state that can be written again, or refused by its key."""

from __future__ import annotations

import pytest

from tests.fuzz_codec import fuzz


@pytest.mark.parametrize("seed", range(3))
def test_a_broken_document_is_read_or_refused_and_nothing_else_is_ever_raised(seed: int) -> None:
    outcome = fuzz(4_000, seed)
    assert min(outcome[True], outcome[False]) > 400
