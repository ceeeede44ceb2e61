"""The bot of sample 45: asks for your name, remembers it, and tells what it knows of your messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botbuilder.core import ActivityHandler

from bots.local_time import received_at
from bots.message_text import said_name, shown
from data_models import ConversationData, UserProfile

if TYPE_CHECKING:
    from botbuilder.core import ConversationState, TurnContext, UserState
    from botbuilder.schema import ChannelAccount


class StateManagementBot(ActivityHandler):
    """An ordinary bot: `ConversationData` of the conversation, `UserProfile` of the user."""

    def __init__(self, conversation_state: ConversationState, user_state: UserState) -> None:
        self.conversation_state = conversation_state
        self.user_state = user_state
        self.conversation_data_accessor = conversation_state.create_property("ConversationData")
        self.user_profile_accessor = user_state.create_property("UserProfile")

    async def on_turn(self, turn_context: TurnContext) -> None:
        """Handle the activity, then save what the turn changed. Raises what the storage raises."""
        await super().on_turn(turn_context)
        await self.conversation_state.save_changes(turn_context)
        await self.user_state.save_changes(turn_context)

    async def on_members_added_activity(self, members_added: list[ChannelAccount], turn_context: TurnContext) -> None:
        """Welcome every member but the bot, once each."""
        recipient = turn_context.activity.recipient
        ids = dict.fromkeys(member.id for member in members_added if member and member.id)
        for member_id in ids:
            if recipient is None or member_id != recipient.id:
                await turn_context.send_activity("Welcome to State Bot Sample. Type anything to get started.")

    async def on_message_activity(self, turn_context: TurnContext) -> None:
        """Ask for the name, take the answer, and from then on show each message's details."""
        profile: UserProfile = await self.user_profile_accessor.get(turn_context, UserProfile)
        conversation: ConversationData = await self.conversation_data_accessor.get(turn_context, ConversationData)
        if profile.name:
            await self._show_message(turn_context, profile.name, conversation)
            return
        name = said_name(turn_context.activity) if conversation.prompted_for_user_name else ""
        if name:
            profile.name = name
            conversation.prompted_for_user_name = False
            await turn_context.send_activity(f"Thanks {name}. To see conversation data, type anything.")
        else:
            conversation.prompted_for_user_name = True
            await turn_context.send_activity("What is your name?")

    async def _show_message(self, turn_context: TurnContext, name: str, conversation: ConversationData) -> None:
        activity = turn_context.activity
        conversation.timestamp = received_at(activity)
        conversation.channel_id = activity.channel_id
        await turn_context.send_activity(f"{name} sent: {shown(activity)}")
        await turn_context.send_activity(f"Message received at: {conversation.timestamp}")
        await turn_context.send_activity(f"Message received from: {conversation.channel_id}")
