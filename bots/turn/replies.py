"""A turn's replies, held back until it commits, and how the ledger remembers them.

The SDK's `on_send_activities` handlers can look at an activity but not stop it, so the adapter itself is stood in for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, Literal

from botbuilder.core import BotAdapter, InvokeResponse, TurnContext
from botbuilder.schema import Activity, ActivityTypes, ConversationReference, ResourceResponse
from msrest.serialization import Model

from storage.contract import JsonObject

_AT_ONCE: ContextVar[bool] = ContextVar("at_once", default=False)
_INVOKE_RESPONSE: Final = BotAdapter._INVOKE_RESPONSE_KEY


@dataclass(slots=True)
class Reply:
    """One thing to do at the channel: send an activity, or update or delete one that was sent before."""

    do: Literal["send", "update", "delete"]
    activity: Activity


@contextmanager
def at_once() -> Iterator[None]:
    """Let what is sent inside the block leave at once, and again in each attempt of the turn.

    For what must not wait, as "this will take a minute": it arrives even if the turn then fails.
    """
    token = _AT_ONCE.set(True)
    try:
        yield
    finally:
        _AT_ONCE.reset(token)


class HeldReplies:
    """Stands in for the adapter while a turn's logic runs, and keeps what it sends."""

    def __init__(self, adapter: BotAdapter) -> None:
        self._adapter = adapter
        self.replies: list[Reply] = []
        self._sent = 0

    # The SDK asks adapters for their class to learn what they can do.
    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self._adapter)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._adapter, name)

    async def send_activities(self, context: TurnContext, activities: list[Activity]) -> list[ResourceResponse]:
        """Keep the activities; each gets an id that update and delete understand until the turn ends."""
        if _AT_ONCE.get():
            responses: list[ResourceResponse] = await self._adapter.send_activities(context, activities)
            return responses
        return [await self._hold(context, activity) for activity in activities]

    async def _hold(self, context: TurnContext, activity: Activity) -> ResourceResponse:
        if activity.type == ActivityTypes.typing:
            responses: list[ResourceResponse] = await self._adapter.send_activities(context, [activity])
            return responses[0]
        if activity.type == ActivityTypes.invoke_response:
            context.turn_state[_INVOKE_RESPONSE] = activity  # the bot looks there for whether it has answered
        self._sent += 1
        activity.id = f"held-{self._sent}"
        self.replies.append(Reply("send", activity))
        return ResourceResponse(id=activity.id)

    async def update_activity(self, _context: TurnContext, activity: Activity) -> ResourceResponse:
        """Change a held activity, or note the change of one that is at the channel."""
        held = self._find(activity.id)
        if held:
            held.activity = activity
        else:
            self.replies.append(Reply("update", activity))
        return ResourceResponse(id=activity.id)

    async def delete_activity(self, _context: TurnContext, reference: ConversationReference) -> None:
        """Take a held activity back, or note the deletion of one that is at the channel."""
        held = self._find(reference.activity_id)
        if held:
            self.replies.remove(held)
        else:
            activity = TurnContext.apply_conversation_reference(Activity(id=reference.activity_id), reference)
            self.replies.append(Reply("delete", activity))

    def _find(self, activity_id: str | None) -> Reply | None:
        return next((reply for reply in self.replies if reply.do == "send" and reply.activity.id == activity_id), None)


async def deliver(context: TurnContext, reply: Reply) -> None:
    """Do at the channel what the turn wanted. Raises what the adapter raises."""
    if reply.do == "update":
        await context.update_activity(reply.activity)
    elif reply.do == "delete":
        await context.delete_activity(reply.activity.id)
    else:
        # Through the handlers of other middleware: only now is it true that something is sent.
        sending = context.adapter.send_activities(context, [reply.activity])
        await context._emit(context._on_send_activities, [reply.activity], sending)


def record(replies: Sequence[Reply], received: Activity) -> list[JsonObject]:
    """Return the replies as the ledger keeps them: without what `received`, delivered again, tells anyway."""
    address = _address(received)
    return [{"do": reply.do, "activity": _without(_plain(reply.activity), address)} for reply in replies]


def restore(records: Sequence[JsonObject], received: Activity) -> list[Reply]:
    """Return the replies that `record` was given, addressed by the activity that is delivered again."""
    address = _address(received)
    return [Reply(each["do"], _activity({**address, **each["activity"]})) for each in records]


def _address(received: Activity) -> JsonObject:
    reference = TurnContext.get_conversation_reference(received)
    address: JsonObject = TurnContext.apply_conversation_reference(Activity(), reference).serialize()
    return address


def _without(activity: JsonObject, address: JsonObject) -> JsonObject:
    return {name: value for name, value in activity.items() if address.get(name) != value}


def _plain(activity: Activity) -> JsonObject:
    response = activity.value
    if not isinstance(response, InvokeResponse):
        serialized: JsonObject = activity.serialize()
        return serialized
    body: Any = response.body
    if isinstance(body, Model):
        body = body.serialize()  # type: ignore[no-untyped-call]
    return {"type": activity.type, "value": {"status": int(response.status), "body": body}}


def _activity(plain: JsonObject) -> Activity:
    activity = Activity().deserialize(plain)
    if activity.type == ActivityTypes.invoke_response:
        activity.value = InvokeResponse(**plain["value"])
    return activity
