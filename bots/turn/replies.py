"""A turn's replies, held back until it commits.

The SDK's `on_send_activities` handlers can look at an activity but not stop it, so the adapter itself is stood in for.
"""

from __future__ import annotations

import copy
import itertools
import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, Literal

from botbuilder.core import BotAdapter, TurnContext
from botbuilder.schema import Activity, ActivityTypes, ConversationReference, InputHints, ResourceResponse
from botframework.connector import Channels

from bots.turn.attempt import is_left_behind
from bots.turn.errors import RepliesNotDelivered
from bots.turn.outlet import Outlet

_log = logging.getLogger(__name__)
_AT_ONCE: ContextVar[bool] = ContextVar("at_once", default=False)
_INVOKE_RESPONSE: Final = BotAdapter._INVOKE_RESPONSE_KEY
_PROVISIONAL: Final = "held-"


Doing = Literal["send", "update", "delete"]


@dataclass(slots=True, eq=False)  # two that say the same are two
class Reply:
    """One thing to do at the channel: send an activity, or update or delete one that was sent before."""

    do: Doing
    activity: Activity


@contextmanager
def at_once() -> Iterator[None]:
    """Let what is sent inside the block leave at once, and again in each attempt of the turn.

    For what must not wait, as "this will take a minute", which arrives even if the turn then fails; and for a card
    that a later turn is to update, because the id that the channel gives it is known now.
    """
    token = _AT_ONCE.set(True)
    try:
        yield
    finally:
        _AT_ONCE.reset(token)


class HeldReplies:
    """Stands in for the adapter while a turn's logic runs, and keeps what it sends in `replies`."""

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self._held: dict[str, Reply] = {}
        attempt = f"{_PROVISIONAL}{secrets.token_hex(4)}"  # of no other attempt: ids may end up in the state
        self._ids = (f"{attempt}-{number}" for number in itertools.count(1))
        self._end: Literal["committed", "lost"] | None = None
        self.replies: list[Reply] = []

    # The SDK asks adapters for their class to learn what they can do.
    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self._outlet.adapter)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._outlet.adapter, name)

    def close(self, committed: bool) -> None:
        """Keep nothing more: what a task of the bot's sends from now on leaves at once; if the attempt lost, never."""
        self._end = "committed" if committed else "lost"

    async def send_activities(self, context: TurnContext, activities: list[Activity]) -> list[ResourceResponse]:
        """Keep the activities; each gets an id that update and delete understand until the turn ends.

        Raises `RepliesNotDelivered` where the channel does not take what has to leave at once.
        """
        if self._is_lost(context):
            return [ResourceResponse(id="") for _ in activities]
        if self._passing:
            try:
                return await self._outlet.send(activities)
            except Exception as error:  # the connector's client raises what its HTTP library does
                raise RepliesNotDelivered(f"not delivered at once: {type(error).__name__}: {error}") from error
        return [await self._hold(activity) for activity in activities]

    async def update_activity(self, context: TurnContext, activity: Activity) -> ResourceResponse | None:
        """Change a held activity, or note the change of one that is at the channel."""
        if self._is_lost(context):
            return None
        held = self._find(activity.id)
        if held:
            given, changed = activity.id, copy.deepcopy(activity)
            changed.id = None
            changed.type = changed.type or held.activity.type
            changed.input_hint = changed.input_hint or InputHints.accepting_input
            held.activity = changed
            return ResourceResponse(id=given)
        if self._passing:
            return await self._outlet.update(activity)
        self.replies.append(Reply("update", copy.deepcopy(activity)))
        return ResourceResponse(id=activity.id)

    async def delete_activity(self, context: TurnContext, reference: ConversationReference) -> None:
        """Take a held activity back, or note the deletion of one that is at the channel."""
        if self._is_lost(context):
            return
        held = self._find(reference.activity_id)
        if held:
            self.replies.remove(held)
            del self._held[reference.activity_id]
        elif self._passing:
            await self._outlet.delete(reference)
        else:
            gone = Activity(type=ActivityTypes.message_delete)
            TurnContext.apply_conversation_reference(gone, reference, is_incoming=True)
            self.replies.append(Reply("delete", gone))

    def _is_lost(self, context: TurnContext) -> bool:
        return self._end == "lost" or is_left_behind(context)

    @property
    def _passing(self) -> bool:
        return self._end is not None or _AT_ONCE.get()

    async def _hold(self, activity: Activity) -> ResourceResponse:
        if activity.type == ActivityTypes.typing and not self._outlet.expects_replies:
            return await self._show_typing(activity)
        if activity.type == ActivityTypes.trace and activity.channel_id != Channels.emulator:
            return ResourceResponse(id="")  # no other channel takes them, and the ledger is not for them
        if activity.type == ActivityTypes.invoke_response:
            self._outlet.context.turn_state[_INVOKE_RESPONSE] = activity  # the bot looks there for whether it answered
        reply = Reply("send", activity)
        given = next(self._ids)
        self._held[given] = reply
        self.replies.append(reply)
        return ResourceResponse(id=given)

    async def _show_typing(self, activity: Activity) -> ResourceResponse:
        try:
            return (await self._outlet.send([activity]))[0]
        except Exception as error:  # no turn is worth less for it
            _log.warning("typing was not shown: %s: %s", type(error).__name__, error)
            return ResourceResponse(id="")

    def _find(self, activity_id: str | None) -> Reply | None:
        held = self._held.get(activity_id or "")
        if held is None and activity_id and activity_id.startswith(_PROVISIONAL):
            raise ValueError(
                f"{activity_id!r} was the provisional id of an activity that is withdrawn, or was sent by an earlier "
                "turn: to have the id that the channel gives it, send it inside `bots.turn.replies.at_once()`"
            )
        return held
