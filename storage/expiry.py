"""How long documents live after they were last written, by the scope of state that their key names.

What is used lives on: a document is *due* once a quarter of its life is over, and whoever uses it then writes it
again as it is. So a document that is used at least once in three quarters of its life is kept.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Final, Self

DAY: Final = 86_400  # seconds
_DUE_AFTER: Final = 0.25  # of its life

# The keys of ConversationState, UserState and PrivateConversationState, and of the development page's transcripts;
# ids may have slashes.
_SCOPES: Final = {
    "private": re.compile(r"[^/]+/conversations/.+/users/.+/", re.DOTALL),
    "conversation": re.compile(r"[^/]+/(conversations|transcripts)/.+", re.DOTALL),
    "user": re.compile(r"[^/]+/users/.+", re.DOTALL),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Expiry:
    """The life of the documents of each scope in seconds, or None for those that live for ever, as all others do."""

    conversation: int | None = None
    user: int | None = None
    private: int | None = None

    @classmethod
    def of_days(cls, conversation: int | None = None, user: int | None = None, private: int | None = None) -> Self:
        """The same, in days."""
        return cls(*(None if days is None else days * DAY for days in (conversation, user, private)))

    def __bool__(self) -> bool:
        return (self.conversation, self.user, self.private) != (None, None, None)

    def life(self, key: str) -> int | None:
        """The life of the document `key` in seconds, or None."""
        if not self:
            return None
        scope = next((name for name, keys in _SCOPES.items() if keys.fullmatch(key)), None)
        life: int | None = getattr(self, scope) if scope else None
        return life


NEVER: Final = Expiry()


def is_over(life: int | None, age: float) -> bool:
    """Whether a document written `age` seconds ago is no more."""
    return life is not None and age >= life


def is_due(life: int | None, age: float) -> bool:
    """Whether such a document has to be written again if it is used."""
    return life is not None and age > life * _DUE_AFTER
