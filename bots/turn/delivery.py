"""Sending a committed turn's replies, once as far as this process can know.

Another process does not know what this one has sent: after a crash the replies may arrive twice, which is the price
of never losing them.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Final

from botbuilder.core import TurnContext
from botbuilder.schema import Activity, ActivityTypes, DeliveryModes

from bots.turn.deadline import time_to_reply
from bots.turn.outlet import Outlet
from bots.turn.recorded import record
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
    """What this process has sent, and what it is sending."""

    def __init__(self) -> None:
        self._counts: Remembered[str, int] = Remembered()  # by `_name`
        self._on_the_way: dict[str, asyncio.Task[None]] = {}

    async def deliver(self, outlet: Outlet, txn: str | None, received: Activity, replies: Sequence[Reply]) -> None:
        """Send what has not been sent yet, as far as the delivery's time goes; a later call goes on from there.

        Raises what the adapter raises, and TimeoutError when time is up. A reply that is on its way then is left to
        arrive, and counts when it has: the channel would show it twice if it were sent again.

        Args:
            outlet: where to.
            txn: the attempt that committed; None for a turn that the ledger does not know, whose replies another
                delivery makes anew. Where it makes the same, they are not sent again either.
            received: the activity as delivered now.
            replies: all replies of the attempt.
        """
        name = _name(txn, received, replies)
        async with time_to_reply():
            if earlier := self._on_the_way.get(name):
                await asyncio.wait({earlier})
            done = self._counts.get(name, 0)
            left = {
                number: reply
                for number, reply in enumerate(replies, 1)
                if number > done or _is_in_response(reply, received)
            }
            if not left:
                return
            over = asyncio.Event()
            sending = self._on_the_way[name] = asyncio.create_task(self._send(outlet, left, name, over))
            sending.add_done_callback(_heard)
            try:
                await asyncio.shield(sending)
            finally:
                over.set()

    async def aclose(self) -> None:
        """Wait for the replies that are on their way."""
        if self._on_the_way:
            await asyncio.wait(self._on_the_way.values())

    async def _send(self, outlet: Outlet, left: Mapping[int, Reply], name: str, over: asyncio.Event) -> None:
        try:
            for number, reply in left.items():
                if over.is_set():
                    break
                await _deliver(outlet, reply)
                self._counts[name] = max(self._counts.get(name, 0), number)
        finally:
            self._on_the_way.pop(name, None)


def _heard(sending: asyncio.Task[None]) -> None:
    # Where nobody waits for it any more, the event loop would complain of an error that nobody has heard of.
    if not sending.cancelled():
        sending.exception()


def _name(txn: str | None, received: Activity, replies: Sequence[Reply]) -> str:
    """What the next delivery will call these replies too."""
    activity_id = delivery_id(received)
    if txn or not activity_id:
        return txn or uuid.uuid4().hex
    said = [received.channel_id, received.conversation.id, activity_id, record(replies, received)]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


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
