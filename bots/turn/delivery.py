"""Sending a committed turn's replies, once as far as this process can know.

Another process does not know what this one has sent: after a crash the replies may arrive twice, which is the price
of never losing them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Sequence
from typing import Final, TypeVar

from botbuilder.core import TurnContext
from botbuilder.schema import Activity, ActivityTypes, DeliveryModes

from bots.turn.outlet import Outlet
from bots.turn.replies import Reply

K = TypeVar("K")
V = TypeVar("V")

_REMEMBERED: Final = 10_000  # activities, and conversations; the oldest are forgotten first
_EDITS: Final = frozenset((ActivityTypes.message_update, ActivityTypes.message_delete))


def delivery_id(activity: Activity) -> str | None:
    """What two deliveries of one activity have in common, and no two activities of a conversation; None: nothing.

    It is the activity's id, except where a user edits or deletes a message: those bear the id of the message.
    """
    if not activity.id:
        return None
    if activity.type in _EDITS:
        return f"{activity.id} {activity.type} {activity.timestamp}"
    return str(activity.id)


def is_answered_by_response(activity: Activity) -> bool:
    """Whether the activity is answered by the HTTP response: nobody can know that it has arrived."""
    return bool(activity.type == ActivityTypes.invoke or activity.delivery_mode == DeliveryModes.expect_replies)


class Deliveries:
    """What this process has sent."""

    def __init__(self) -> None:
        self._counts: OrderedDict[str, int] = OrderedDict()  # by the attempt that committed
        self._settled: OrderedDict[str, set[str]] = OrderedDict()

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
                    _remember(self._counts, txn, max(done, number))

    def settle(self, conversation: str, received: Activity) -> None:
        """Note that the replies of a committed turn have arrived, so that the ledger can drop them."""
        name = delivery_id(received)
        if name:
            _remember(self._settled, conversation, self._settled.get(conversation, set()) | {name})

    def settled(self, conversation: str) -> frozenset[str]:
        """The turns of the conversation whose replies have arrived, less those that were forgotten."""
        return frozenset(self._settled.get(conversation, ()))

    def forget(self, conversation: str, settled: Collection[str]) -> None:
        """Do not name these again: the ledger knows."""
        self._settled.get(conversation, set()).difference_update(settled)
        if not self._settled.get(conversation, True):
            del self._settled[conversation]


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


def _remember(known: OrderedDict[K, V], key: K, value: V) -> None:
    known[key] = value
    known.move_to_end(key)
    if len(known) > _REMEMBERED:
        known.popitem(last=False)
