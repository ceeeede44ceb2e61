"""What the bot remembers of a conversation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class ConversationData:
    """The last message's details and where the conversation stands.

    Attributes:
        timestamp: when the last message was received, as `2026-03-29 14:30:00+02:00`.
        channel_id: the channel it came from, as `emulator` or `msteams`.
        prompted_for_user_name: the bot has asked for the name and waits for the answer.
        schema_version: of this class; storage/README.md says what to do when it changes.
    """

    timestamp: str | None = None
    channel_id: str | None = None
    prompted_for_user_name: bool = False
    schema_version: int = 1
