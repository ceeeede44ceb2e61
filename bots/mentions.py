"""Mentions in a message's text: the bot's own go, other people's become their names.

In a group chat a message reaches the bot because it names the bot: `<at>State Bot</at> Ada`, with an entity
`{"type": "mention", "mentioned": {"id", "name"}, "text": "<at>State Bot</at>"}` for each mention. Any part of
an entity may be missing: Teams leaves out `text` for names with "&" (microsoft/botbuilder-js issue 2083).
Other channels put plain text there, as `@bot`.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botbuilder.schema import Activity

# The content stops at the next tag, so a long text of opening tags alone is scanned once, not once for each.
_AT = re.compile(r"<at(?:\s[^<>]*)?>((?:(?!</?at[\s>]).)*)</at\s*>", re.IGNORECASE | re.DOTALL)


class _Mention(NamedTuple):
    own: bool
    name: str
    text: str

    @property
    def key(self) -> str:
        tag = _AT.fullmatch(self.text.strip())
        return _key(tag[1] if tag else self.name)


def text_without_own_mention(activity: Activity) -> str:
    """Return the text of `activity` with the recipient's mentions removed and all others readable as names.

    Teams' `&nbsp;` becomes the character. The activity is left as it is; one without text gives "".
    """
    mentions = list(_mentions(activity))
    text = _text(activity.text).replace("&nbsp;", "\N{NO-BREAK SPACE}")
    text = _without_tags(text, mentions, _text(_field(activity.recipient, "name")))
    for mention in mentions:
        if mention.text and not _AT.search(mention.text):
            head, found, tail = text.partition(mention.text)
            if found:
                text = head + (_closed_up(tail, head) if mention.own else (mention.name or found) + tail)
    return text


def _without_tags(text: str, mentions: list[_Mention], recipient_name: str) -> str:
    own_keys = {_key(recipient_name), *(mention.key for mention in mentions if mention.own)} - {""}
    expected: dict[str, list[_Mention]] = {}
    for mention in reversed(mentions):
        expected.setdefault(mention.key, []).append(mention)

    pieces: list[str] = []
    end, own = 0, False
    for tag in _AT.finditer(text):
        _append(pieces, text[end : tag.start()], own)
        end, key = tag.end(), _key(tag[1])
        # People may share the bot's name: the mentions of one name stand in the order of their entities.
        known = expected[key].pop() if expected.get(key) else None
        own = known.own if known else key in own_keys
        if not own:
            _append(pieces, html.unescape(tag[1]), after_own=False)
    _append(pieces, text[end:], own)
    return "".join(pieces)


def _append(pieces: list[str], piece: str, after_own: bool) -> None:
    if after_own:
        piece = _closed_up(piece, pieces[-1] if pieces else "")
    if piece:
        pieces.append(piece)


def _closed_up(after: str, before: str) -> str:
    """Return what followed a removed mention, without a second blank after the one before it."""
    return after.lstrip() if not before or before[-1].isspace() else after


def _mentions(activity: Activity) -> Iterator[_Mention]:
    """Yield the mentions that say whom they mean."""
    recipient_id = _field(activity.recipient, "id")
    for entity in activity.entities or []:
        account = _field(entity, "mentioned")
        account_id = _field(account, "id")
        if _text(_field(entity, "type")).casefold() == "mention" and account_id:
            name, text = _text(_field(account, "name")), _text(_field(entity, "text"))
            yield _Mention(account_id == recipient_id, name, text)


def _field(thing: Any, name: str) -> Any:
    """Return a field of an entity or account: deserialised entities keep all but `type` aside, as JSON."""
    if isinstance(thing, Mapping):
        return thing.get(name)
    value = getattr(thing, name, None)
    return _field(getattr(thing, "additional_properties", None), name) if value is None and thing else value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _key(name: str) -> str:
    return " ".join(html.unescape(name).casefold().split())
