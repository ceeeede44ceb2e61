"""A bot whose conversation has a long history, of which a turn changes nothing."""

from __future__ import annotations

from typing import Any, Final

from botbuilder.core import ActivityHandler, ConversationState, TurnContext, UserState

_ENTRY: Final = 128  # bytes of an entry as compact JSON, with the comma
_BEGIN: Final = 1_767_225_600_000  # milliseconds since the epoch
_SAID: Final = "Could you look again whether my parcel has left Utrecht by now, please?"


def history(size: int) -> list[dict[str, Any]]:
    """Return entries that take `size` bytes as compact JSON; of the last one, none that does not fit."""
    return [{"from": "user", "text": _SAID, "read": True, "at": _BEGIN + number} for number in range(size // _ENTRY)]


class LadenBot(ActivityHandler):
    """Keeps a history of as many bytes as a message says, and counts the messages that say something else."""

    def __init__(self, conversation_state: ConversationState, user_state: UserState) -> None:
        self.states = conversation_state, user_state
        self.history = conversation_state.create_property("History")
        self.count = conversation_state.create_property("Count")

    async def on_turn(self, turn_context: TurnContext) -> None:
        """Handle the activity, then save, as the SDK's samples do."""
        await super().on_turn(turn_context)
        for state in self.states:
            await state.save_changes(turn_context)

    async def on_message_activity(self, turn_context: TurnContext) -> None:
        """Take up the history, or count."""
        text = turn_context.activity.text
        if text.isdecimal():
            await self.history.set(turn_context, history(int(text)))
        else:
            await self.count.set(turn_context, (await self.count.get(turn_context) or 0) + 1)
        await turn_context.send_activity(text)
