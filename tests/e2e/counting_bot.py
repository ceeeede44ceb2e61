"""A bot that counts, as a process: `python -m tests.e2e.counting_bot [a fault of planted.py]`.

Each message changes the conversation's and the user's document, so that a turn is only right if both are.
"""

from __future__ import annotations

import json
import sys
from typing import Final

from botbuilder.core import ActivityHandler, TurnContext

import app
from bots.state import ConversationState, UserState
from demos import stock
from tests.e2e.planted import FAULTS

KEPT: Final = 5000  # activity ids in a document; a run sends fewer
SCOPES: Final = ("conversation", "user")
PARTS: Final = 2  # replies to each message, to see that they come in order


class CountingBot(ActivityHandler):
    """Keeps, of each conversation and of each user, the number of messages and their ids in order; replies with it."""

    def __init__(self, conversation_state: ConversationState, user_state: UserState) -> None:
        self.states = dict(zip(SCOPES, (conversation_state, user_state), strict=True))
        self.counts = {scope: state.create_property("Count") for scope, state in self.states.items()}
        self.activities = {scope: state.create_property("Activities") for scope, state in self.states.items()}

    async def on_turn(self, turn_context: TurnContext) -> None:
        """Handle the activity and save, as the SDK's samples do."""
        await super().on_turn(turn_context)
        for state in self.states.values():
            await state.save_changes(turn_context)

    async def on_message_activity(self, turn_context: TurnContext) -> None:
        """Count the message in both documents and tell the numbers, twice."""
        numbers = {}
        for scope in SCOPES:
            numbers[scope] = (await self.counts[scope].get(turn_context) or 0) + 1
            activities = [*(await self.activities[scope].get(turn_context) or []), turn_context.activity.id]
            await self.counts[scope].set(turn_context, numbers[scope])
            await self.activities[scope].set(turn_context, activities[-KEPT:])
        for part in range(1, PARTS + 1):
            await turn_context.send_activity(json.dumps({"part": part, **numbers}))


def main() -> int:
    """Run the bot, healthy or with the fault that is named; return the exit code."""
    name = sys.argv[1] if len(sys.argv) > 1 else None
    if name == "stock_sdk":
        return stock.main(CountingBot)
    if name:
        FAULTS[name]()
    return app.main(CountingBot)


if __name__ == "__main__":
    sys.exit(main())
