"""The way out to the channel, as it is without the turn transaction: other middleware's handlers, then the adapter."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final

from botbuilder.core import TurnContext
from botbuilder.schema import Activity, ActivityTypes, ConversationReference, DeliveryModes, ResourceResponse

HANDLERS: Final = ("_on_send_activities", "_on_update_activity", "_on_delete_activity")


class Outlet:
    """Sends for real. The handlers that other middleware has registered are told now, and may change what is sent.

    Attributes:
        context: the turn's context.
        adapter: the adapter that it came with.
        expects_replies: whether the channel wants the replies in the HTTP response.
        handlers: the lists of handlers that it came with, by the names in `HANDLERS`.
    """

    def __init__(self, context: TurnContext) -> None:
        self.context = context
        self.adapter = context.adapter
        self.expects_replies = context.activity.delivery_mode == DeliveryModes.expect_replies
        self.handlers: dict[str, list[Any]] = {name: getattr(context, name) for name in HANDLERS}

    async def send(self, activities: list[Activity]) -> list[ResourceResponse]:
        """Send the activities. Raises what the adapter raises, as the other methods do."""

        async def act() -> list[ResourceResponse]:
            if self.expects_replies:
                self.context.buffered_reply_activities.extend(activities)
                sent = [ResourceResponse() for _ in activities]
            else:
                sent = await self.adapter.send_activities(self.context, activities)
            if any(activity.type != ActivityTypes.trace for activity in activities):
                self.context.responded = True
            return sent

        sent: list[ResourceResponse] = await self._emit("_on_send_activities", activities, act)
        return sent

    async def update(self, activity: Activity) -> ResourceResponse | None:
        """Replace an activity that is at the channel."""
        response: ResourceResponse | None = await self._emit(
            "_on_update_activity", activity, lambda: self.adapter.update_activity(self.context, activity)
        )
        return response

    async def delete(self, reference: ConversationReference) -> None:
        """Delete an activity that is at the channel."""
        await self._emit(
            "_on_delete_activity", reference, lambda: self.adapter.delete_activity(self.context, reference)
        )

    async def _emit(self, name: str, argument: object, act: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        acting = act()
        try:
            return await self.context._emit(self.handlers[name], argument, acting)
        finally:
            acting.close()  # where a handler has raised; nothing happens otherwise
