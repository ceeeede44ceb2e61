"""Sending a committed turn's replies, once as far as this process can know.

Another process does not know what this one has sent: after a crash the replies may arrive twice, which is the price
of never losing them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, TypeVar

from botbuilder.core import TurnContext
from botbuilder.schema import Activity, ActivityTypes, DeliveryModes

from bots.turn.replies import Reply, deliver

K = TypeVar("K")
V = TypeVar("V")

_REMEMBERED: Final = 10_000  # activities, and conversations; the oldest are forgotten first


class Deliveries:
    """What this process has sent."""

    def __init__(self) -> None:
        self._counts: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._settled: OrderedDict[str, set[str]] = OrderedDict()

    async def deliver(self, context: TurnContext, conversation: str, replies: Sequence[Reply]) -> None:
        """Send what has not been sent yet. Raises what the adapter raises; a later call goes on from there."""
        activity: Activity = context.activity
        if activity.delivery_mode == DeliveryModes.expect_replies:
            context.buffered_reply_activities[:] = [reply.activity for reply in replies]
            return
        key = (conversation, activity.id)
        done = self._counts.get(key, 0)
        for number, reply in enumerate(replies, 1):
            if number > done or reply.activity.type == ActivityTypes.invoke_response:  # that one is the HTTP answer
                await deliver(context, reply)
                _remember(self._counts, key, max(done, number))
        if activity.type != ActivityTypes.invoke:
            _remember(self._settled, conversation, self._settled.get(conversation, set()) | {activity.id})

    def take_settled(self, conversation: str) -> set[str]:
        """The activities since the last call whose replies have all arrived, so that the ledger can drop them."""
        return self._settled.pop(conversation, set())


def _remember(known: OrderedDict[K, V], key: K, value: V) -> None:
    known[key] = value
    known.move_to_end(key)
    if len(known) > _REMEMBERED:
        known.popitem(last=False)
