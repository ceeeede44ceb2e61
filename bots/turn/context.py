"""The SDK's turn context as the bot's logic found it, so that the logic can run again as if it never had."""

from __future__ import annotations

import copy

from botbuilder.core import TurnContext

from bots.turn.replies import HeldReplies


class TurnScene:
    """Sets the context up for each attempt of a turn, and clears it away.

    TurnContext has no way to undo what logic did to it, hence the access to its private attributes.
    """

    def __init__(self, context: TurnContext) -> None:
        self._context = context
        self._adapter = context.adapter
        self._activity = copy.deepcopy(context.activity)
        self._turn_state = dict(context.turn_state)
        self._services = dict(context.services)
        self._handlers = {name: getattr(context, name) for name in _HANDLERS}
        self._responded = context.responded

    def set(self) -> HeldReplies:
        """Make the context ready for an attempt; what the logic sends ends in the result."""
        self.clear()
        held = HeldReplies(self._adapter)
        self._context.adapter = held
        for name in _HANDLERS:  # those of other middleware are told when something is sent, see `deliver`
            setattr(self._context, name, [])
        return held

    def release(self) -> None:
        """Let the context send for real again; what the logic left in it stays."""
        self._context.adapter = self._adapter
        for name, handlers in self._handlers.items():
            setattr(self._context, name, handlers)

    def clear(self) -> None:
        """Make the context what it was before any attempt."""
        self.release()
        context = self._context
        context.activity = copy.deepcopy(self._activity)
        context._responded = self._responded
        for present, before in ((context.turn_state, self._turn_state), (context.services, self._services)):
            present.clear()
            present.update(before)
        context.buffered_reply_activities.clear()


_HANDLERS = ("_on_send_activities", "_on_update_activity", "_on_delete_activity")
