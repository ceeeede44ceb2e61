"""A bot whose messages say what they change: it lists their ids in the documents that their text names."""

from __future__ import annotations

import json
from collections import Counter
from typing import ClassVar, Final

from botbuilder.core import ActivityHandler, TurnContext

from bots.state import ConversationState, UserState

ONE: Final = "conversation"
BOTH: Final = "conversation user"
TELL: Final = "tell"


class TallyBot(ActivityHandler):
    """Replies with the length of each list it has added to, or when asked with the lists themselves.

    Attributes:
        runs: how often each message was handled in this process, attempts that lost included.
    """

    runs: ClassVar[Counter[str]] = Counter()

    def __init__(self, conversation_state: ConversationState, user_state: UserState) -> None:
        super().__init__()
        states = {"conversation": conversation_state, "user": user_state}
        self._lists = {scope: state.create_property("Activities") for scope, state in states.items()}

    async def on_message_activity(self, turn_context: TurnContext) -> None:
        """Handle the message."""
        text = turn_context.activity.text
        self.runs[turn_context.activity.id] += 1
        found = {scope: await each.get(turn_context, list) for scope, each in self._lists.items()}
        if text == TELL:
            await turn_context.send_activity(json.dumps(found))
            return
        for scope in text.split():
            found[scope] = [*found[scope], turn_context.activity.id]
            await self._lists[scope].set(turn_context, found[scope])
        await turn_context.send_activity(json.dumps({scope: len(found[scope]) for scope in text.split()}))
