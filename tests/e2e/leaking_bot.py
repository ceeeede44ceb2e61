"""The bot as a process, of a bot whose errors hold what the user wrote: in a turn, behind another, in a task."""

from __future__ import annotations

import asyncio
import sys

from botbuilder.core import ActivityHandler, TurnContext

from app import main
from bots.state import ConversationState, UserState


class LeakingBot(ActivityHandler):
    """Fails as the first word of the text says; else it repeats the text."""

    def __init__(self, conversation_state: ConversationState, _user_state: UserState) -> None:
        self._said = conversation_state.create_property("said")

    async def on_message_activity(self, turn_context: TurnContext) -> None:
        text = turn_context.activity.text
        await self._said.set(turn_context, text)
        if text.startswith("fail"):
            raise ValueError(f"cannot understand {text!r}")
        if text.startswith("chain"):
            try:
                int(text)
            except ValueError as error:
                raise KeyError(text) from error
        if text.startswith("task"):
            task = asyncio.create_task(_fail(text))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            del task  # nobody awaits it: the event loop reports it
        await turn_context.send_activity(text)


async def _fail(text: str) -> None:
    raise RuntimeError(text)


if __name__ == "__main__":
    sys.exit(main(LeakingBot))
