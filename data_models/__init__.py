"""The bot's state, as dataclasses."""

from data_models.conversation_data import ConversationData
from data_models.user_profile import UserProfile

__all__ = ["ConversationData", "UserProfile"]
