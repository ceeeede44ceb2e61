"""What the bot remembers of a user, across all conversations on a channel."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class UserProfile:
    """The user's answers. `name` is None until the user has given one."""

    name: str | None = None
