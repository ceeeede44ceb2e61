"""The counts of turns, for OpenTelemetry: taken from what turns tell their observers."""

from __future__ import annotations

from typing import Final

from opentelemetry import metrics

from bots.turn.events import TurnEvent
from storage.telemetry import SCOPE

_meter: Final = metrics.get_meter(SCOPE)
_turns: Final = _meter.create_counter("bot.turns", "{turn}", "Deliveries by how they ended")
_conflicts: Final = _meter.create_counter("bot.turn.conflicts", "{attempt}", "Attempts that lost against another turn")
_replays: Final = _meter.create_counter("bot.turn.replays", "{attempt}", "Attempts after the first")
_redeliveries: Final = _meter.create_counter("bot.turn.redeliveries", "{delivery}", "Deliveries of what was handled")
waiting: Final = _meter.create_up_down_counter("bot.queue.depth", "{turn}", "Turns that wait for an earlier one")
_ENDS: Final = ("done", "undelivered", "failed")


def count(event: TurnEvent) -> None:
    """Count what has happened."""
    if event.what in _ENDS:
        _turns.add(1, {"outcome": event.what})
    elif event.what == "conflict":
        _conflicts.add(1)
    elif event.what == "redelivered":
        _redeliveries.add(1)
    elif event.what == "loaded" and event.facts["attempt"] > 1:
        _replays.add(1)
