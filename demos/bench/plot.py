"""Draws the curves: `python -m demos.bench.plot PNG`, the points as JSON on stdin; without a PNG, sees only if it can.

It runs in the bench's own environment (requirements.txt here) and imports nothing else of this project. A point has
`backend`, `curve` ("load", "size" or "idle"), `bot`, `place` (on the x axis), `rate` (turns a second), `p50`, `p99` and
`cpu` (milliseconds) and `peak` (bytes). There is a row of panels for each backend.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

Point = Mapping[str, Any]

COLOURS: Final = {"ours": "#0072b2", "stock": "#d55e00", "floor": "#7f7f7f"}  # told apart by the colour-blind too
NAMES: Final = {"ours": "ours", "stock": "stock SDK", "floor": "bare handler"}
INCHES: Final = (3.4, 2.7)  # of a panel


class Panel(NamedTuple):
    """A panel of a row: of a curve's points, what is drawn, and as what: a solid line, and maybe a dashed one."""

    curve: str
    title: str
    drawn: tuple[str, ...]
    unit: float = 1.0


PANELS: Final = (
    Panel("load", "ms to the answer: p50, p99 dashed", ("p50", "p99")),
    Panel("load", "turns a second", ("rate",)),
    Panel("size", "ms of a turn: p50, CPU dashed", ("p50", "cpu")),
    Panel("idle", "ms of a turn: p50, CPU dashed", ("p50", "cpu")),
    Panel("idle", "MB of the process", ("peak",), 1e6),
)
PLACES: Final = {"load": "messages at once", "size": "state of the conversation", "idle": "idle conversations"}


def draw(points: Iterable[Point]) -> Figure:
    """Return the picture of the points, a column for each panel that has any."""
    every = list(points)
    backends = list(dict.fromkeys(point["backend"] for point in every))
    panels = [panel for panel in PANELS if any(point["curve"] == panel.curve for point in every)]
    figure = Figure((INCHES[0] * len(panels), INCHES[1] * len(backends) + 0.5), dpi=110, layout="constrained")
    grid = figure.subplots(len(backends), len(panels), sharex="col", squeeze=False)
    for backend, row in zip(backends, grid, strict=True):
        for panel, axes in zip(panels, row, strict=True):
            mine = [point for point in every if point["backend"] == backend and point["curve"] == panel.curve]
            fill(axes, panel, mine)
        row[0].set_ylabel(backend, fontsize=13, fontweight="bold")
    for panel, top, bottom in zip(panels, grid[0], grid[-1], strict=True):
        top.set_title(panel.title, fontsize=10)
        bottom.set_xlabel(PLACES[panel.curve], fontsize=9)
        bottom.set_xticks(sorted({point["place"] for point in every if point["curve"] == panel.curve}))
    bots = [bot for bot in COLOURS if any(point["bot"] == bot for point in every)]
    lines = [Line2D([], [], color=COLOURS[bot], marker="o", markersize=4) for bot in bots]
    figure.legend(lines, [NAMES[bot] for bot in bots], loc="outside upper center", ncols=len(bots), frameon=False)
    return figure


def fill(axes: Axes, panel: Panel, points: Iterable[Point]) -> None:
    """Draw one panel."""
    every = sorted(points, key=lambda point: point["place"])
    for bot, colour in COLOURS.items():
        mine = [point for point in every if point["bot"] == bot]
        for name, line in zip(panel.drawn, ("-", "--"), strict=False):
            height = [point[name] / panel.unit for point in mine]
            axes.plot([point["place"] for point in mine], height, line, color=colour, marker="o", markersize=3)
    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: shown(value, panel.curve)))
    axes.set_yscale("log")
    widen(axes)
    axes.yaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def widen(axes: Axes) -> None:
    """Let what stays the same look so: the axis spans a factor of 10 at least."""
    low, high = axes.get_ylim()
    if (more := (10 * low / high) ** 0.5) > 1:
        axes.set_ylim(low / more, high * more)


def shown(place: float, curve: str) -> str:
    """Return a place as its tick has it."""
    if curve == "size":
        return f"{place / (1 << 20):g} MB" if place >= 1 << 20 else f"{place / 1024:g} KB"
    return f"{place:,.0f}"


if __name__ == "__main__":
    for path in sys.argv[1:]:
        draw(json.load(sys.stdin)).savefig(path)
