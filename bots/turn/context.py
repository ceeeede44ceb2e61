"""The SDK's turn context as the bot's logic found it, so that the logic can run again as if it never had."""

from __future__ import annotations

from botbuilder.core import ConversationState, TurnContext
from botbuilder.schema import Activity

from bots.copies import copy_of
from bots.turn.attempt import Attempt
from bots.turn.outlet import HANDLERS, Outlet
from bots.turn.replies import HeldReplies


class TurnScene:
    """Sets the context up for each attempt of a turn, and clears it away.

    TurnContext has no way to undo what logic did to it, hence the access to its private attributes.

    Attributes:
        context: the turn's context.
        conversation: the key of the conversation's document.
        received: the activity as it arrived; the logic gets copies.
        outlet: where replies leave.
        attempt: the latest one.
    """

    def __init__(self, context: TurnContext) -> None:
        self.conversation: str = ConversationState(None).get_storage_key(context)
        self.received: Activity = context.activity
        self.outlet = Outlet(context)
        self.context = context
        self.attempt = Attempt(context)
        self._held: HeldReplies | None = None
        self._turn_state = dict(context.turn_state)
        self._services = dict(context.services)
        self._buffered = list(context.buffered_reply_activities)
        self._responded = context.responded

    def set(self) -> HeldReplies:
        """Make the context ready for an attempt; what the logic sends ends in the result."""
        self.clear()
        self.attempt = Attempt(self.context)
        self._held = self.context.adapter = HeldReplies(self.outlet)
        for name in HANDLERS:  # those of other middleware are told when something is sent
            setattr(self.context, name, [])
        # Where replies are expected in the HTTP response, the SDK would keep them from the adapter and give no ids.
        self.context.activity.delivery_mode = None
        return self._held

    def release(self, committed: bool) -> None:
        """Let the context send for real again; what the logic left in it stays."""
        if self._held:
            self._held.close(committed)
        self.context.adapter = self.outlet.adapter
        self.context.activity.delivery_mode = self.received.delivery_mode
        for name, handlers in self.outlet.handlers.items():
            setattr(self.context, name, handlers)

    def clear(self) -> None:
        """Make the context what it was before any attempt."""
        self.attempt.lost = True
        self.release(committed=False)
        context = self.context
        context.buffered_reply_activities[:] = self._buffered
        context.activity = copy_of(self.received)
        context._responded = self._responded
        for present, before in ((context.turn_state, self._turn_state), (context.services, self._services)):
            present.clear()
            present.update(before)
