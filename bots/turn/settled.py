"""Which turns' replies are known to have arrived, so that the ledger need not keep them."""

from __future__ import annotations

from collections.abc import Collection

from botbuilder.schema import Activity, ActivityTypes, DeliveryModes

from bots.turn.delivery import delivery_id
from bots.turn.remembered import Remembered


def is_answered_by_response(activity: Activity) -> bool:
    """Whether the activity is answered by the HTTP response: nobody can know that it has arrived."""
    return bool(activity.type == ActivityTypes.invoke or activity.delivery_mode == DeliveryModes.expect_replies)


class Settled:
    """What this process knows and the ledger does not yet, by conversation."""

    def __init__(self) -> None:
        self._activities: Remembered[str, set[str]] = Remembered()

    def add(self, conversation: str, received: Activity) -> None:
        """Note that all replies to an activity have arrived."""
        name = delivery_id(received)
        if name:
            self._activities[conversation] = self._activities.get(conversation, set()) | {name}

    def of(self, conversation: str) -> frozenset[str]:
        """The activities whose replies have arrived, less those that were forgotten."""
        return frozenset(self._activities.get(conversation, ()))

    def forget(self, conversation: str, settled: Collection[str]) -> None:
        """Do not name these again: the ledger knows."""
        self._activities.get(conversation, set()).difference_update(settled)
        if not self._activities.get(conversation, True):
            del self._activities[conversation]
