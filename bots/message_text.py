"""What a message says, in words that can be stored as a name or shown."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from bots.mentions import text_without_own_mention

if TYPE_CHECKING:
    from botbuilder.schema import Activity

_INVISIBLE = frozenset({"Cc", "Cf", "Zl", "Zp", "Zs"})
_NAME_LENGTH = 1_000  # characters; longer ones would push every later reply towards the channel's size limit


def said(activity: Activity) -> str:
    """Return the text of a message without the bot's mention and the blanks around it.

    Where nothing of it can be seen it is "". What stands between the first and the last word stays as it is.
    """
    text = _well_formed(text_without_own_mention(activity)).strip()
    return text if any(unicodedata.category(char) not in _INVISIBLE for char in text) else ""


def said_name(activity: Activity) -> str:
    """Return `said` on one line, with single blanks, cut to 1,000 characters."""
    name = " ".join(said(activity).split())
    return name if len(name) <= _NAME_LENGTH else f"{name[: _NAME_LENGTH - 1]}…"


def shown(activity: Activity) -> str:
    """Return `said`, or for a message without text the names or types of its attachments; never ""."""
    return said(activity) or _attached(activity) or "(no text)"


def _attached(activity: Activity) -> str:
    attachments = [attachment for attachment in activity.attachments or [] if attachment]
    # Teams adds the message's own HTML beside what the user has attached.
    others = [attachment for attachment in attachments if attachment.content_type != "text/html"]
    labels = [attachment.name or attachment.content_type for attachment in others or attachments]
    return _well_formed(", ".join(label for label in labels if label))


def _well_formed(text: str) -> str:
    # Half an emoji (one surrogate), left by a client that cut a long text, cannot be stored as UTF-8.
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
