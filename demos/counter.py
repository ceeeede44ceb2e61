"""An ordinary bot that counts messages, as a process on our turns or on the stock storages.

`python -m demos.counter ours` and `python -m demos.counter stock`; the environment says the rest, as for `app.py`.
"""

from __future__ import annotations

import sys

from botbuilder.core import ActivityHandler, ConversationState, TurnContext, UserState

import app
from demos import stock

ASK = "How many?"


class CounterBot(ActivityHandler):
    """Counts the messages of the conversation and of the user; says how many when asked, which does not count."""

    def __init__(self, conversation_state: ConversationState, user_state: UserState) -> None:
        self.states = conversation_state, user_state
        self.counts = [state.create_property("Count") for state in self.states]

    async def on_turn(self, turn_context: TurnContext) -> None:
        """Handle the activity, then save, as the SDK's samples do."""
        await super().on_turn(turn_context)
        for state in self.states:
            await state.save_changes(turn_context)

    async def on_message_activity(self, turn_context: TurnContext) -> None:
        """Count, or tell the numbers: first the conversation's, then the user's."""
        numbers = [await count.get(turn_context) or 0 for count in self.counts]
        if turn_context.activity.text != ASK:
            numbers = [number + 1 for number in numbers]
            for count, number in zip(self.counts, numbers, strict=True):
                await count.set(turn_context, number)
        await turn_context.send_activity("{} {}".format(*numbers))


if __name__ == "__main__":
    sys.exit({"ours": app, "stock": stock}[sys.argv[1]].main(CounterBot))
