"""Sending a committed turn's replies, once as far as this process can know.

Another process does not know what this one has sent: after a crash the replies may arrive twice, which is the price
of never losing them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from botbuilder.core import TurnContext
from botbuilder.schema import Activity, ActivityTypes, DeliveryModes

from bots.turn.outlet import Outlet
from bots.turn.remembered import Remembered
from bots.turn.replies import Reply

_EDITS: Final = frozenset((ActivityTypes.message_update, ActivityTypes.message_delete))


def delivery_id(activity: Activity) -> str | None:
    """What two deliveries of one activity have in common, and no two activities of a conversation; None: nothing.

    It is the activity's id, except where a user edits or deletes a message: those bear the id of the message.
    """
    if not activity.id:
        return None
    if activity.type in _EDITS:
        return f"{activity.id} {activity.type} {activity.timestamp}" if activity.timestamp else None
    return str(activity.id)


class Deliveries:
    """What this process has sent."""

    def __init__(self) -> None:
        self._counts: Remembered[str, int] = Remembered()  # by the attempt that committed

    async def deliver(self, outlet: Outlet, txn: str | None, received: Activity, replies: Sequence[Reply]) -> None:
        """Send what has not been sent yet. Raises what the adapter raises; a later call goes on from there.

        Args:
            outlet: where to.
            txn: the attempt that committed; None for a turn that the ledger does not know, whose replies another
                delivery makes anew.
            received: the activity as delivered now.
            replies: all replies of the attempt.
        """
        done = self._counts.get(txn, 0) if txn else 0
        for number, reply in enumerate(replies, 1):
            if number > done or _is_in_response(reply, received):
                await _deliver(outlet, reply)
                if txn:
                    self._counts[txn] = max(done, number)


async def _deliver(outlet: Outlet, reply: Reply) -> None:
    if reply.do == "update":
        await outlet.update(reply.activity)
    elif reply.do == "delete":
        reference = TurnContext.get_conversation_reference(reply.activity)
        reference.activity_id = reply.activity.id  # for some channels the SDK leaves it out
        await outlet.delete(reference)
    else:
        await outlet.send([reply.activity])


def _is_in_response(reply: Reply, received: Activity) -> bool:
    if received.delivery_mode == DeliveryModes.expect_replies:
        return reply.do == "send"
    return bool(reply.activity.type == ActivityTypes.invoke_response)
