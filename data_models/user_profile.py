"""What the bot remembers of a user, across all conversations on a channel."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class UserProfile:
    """The user's answers.

    Attributes:
        name: None until the user has given one.
        schema_version: of this class; storage/README.md says what to do when it changes.
    """

    name: str | None = None
    schema_version: int = 1
