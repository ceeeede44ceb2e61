"""What the matrix has seen, for the figures that it ends with."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple


class Cell(NamedTuple):
    """One fault at one step on one backend.

    Attributes:
        survived: whether the message that met the fault once was acknowledged at its first delivery.
        recovery: seconds from the end of the lasting fault until the message was acknowledged.
    """

    backend: str
    step: str
    fault: str
    survived: bool
    recovery: float


CELLS: list[Cell] = []
KEPT: set[tuple[str, str]] = set()  # updates that were acknowledged: the activity, and the document that it changed
LOST: set[tuple[str, str]] = set()


def count(acknowledged: Iterable[str], found: Collection[str], scope: str) -> None:
    """Count the updates of a document that were acknowledged, and those of them that are not `found` in it."""
    for name in acknowledged:
        (KEPT if name in found else LOST).add((name, scope))


def summary() -> str:
    """The figures in three lines."""
    survived = sum(cell.survived for cell in CELLS)
    worst = max(CELLS, key=lambda cell: cell.recovery)
    where = f"{worst.backend}, {worst.step}, {worst.fault}"
    return (
        f"{len(CELLS)} cells: {2 * len(CELLS)} faults met, {survived} survived without a redelivery\n"
        f"{len(KEPT | LOST)} updates acknowledged, {len(LOST)} of them lost\n"
        f"{len(CELLS)} recoveries, the slowest in {worst.recovery:.2f} s ({where})"
    )
