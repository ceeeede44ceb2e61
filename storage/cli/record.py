"""What turns leave in a document beside the bot's state, as far as it says whose the document is.

The layout is that of `bots.turn.envelope` and `bots.turn.conversation`, which own it; this package may not import
them. A conversation's record has in `members` digests of the ids of the users who took part, all of them unless it says
`more`, and names in `seen` and `last` some of the other documents that its turns have loaded. An undo
note in one of those says that the conversation's document, its *decider*, knows whether the write counts.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
from collections.abc import Callable
from typing import Any, Final

from storage.contract import JsonObject
from storage.errors import StateDecodeError

TURN: Final = "$turn"
_DIGEST: Final = 11  # characters


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """A document's record.

    Attributes:
        tag: the version of the state, or None for a conversation's document.
        decider: the key of the conversation that decides the undo note in it, or None without a note.
        seen: in a conversation's document, the tags of other documents by key; else None.
        last: the keys that the conversation's last turn loaded.
        members: digests of the users who took part in the conversation.
        is_whole: whether those are all.
        replies: how many turns' replies are kept.
    """

    tag: str | None
    decider: str | None
    seen: dict[str, str] | None
    last: list[str]
    members: frozenset[str]
    is_whole: bool
    replies: int

    @property
    def others(self) -> list[str]:
        """The keys of the other documents that turns of the conversation have loaded."""
        return list(dict.fromkeys([*(self.seen or ()), *self.last]))


def digest_of(user: str) -> str:
    """A user's id as a conversation's record has it."""
    digest = hashlib.blake2b(user.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return base64.urlsafe_b64encode(digest)[:_DIGEST].decode()


def _split(digests: str) -> list[str]:
    return [digests[at : at + _DIGEST] for at in range(0, len(digests), _DIGEST)]


def record_of(key: str, value: JsonObject) -> Record | None:
    """Return the document's record, None where no turn ever wrote it. Raises `StateDecodeError` for a broken one."""
    if TURN not in value:
        return None
    turn = _member(key, value, "", TURN, dict)
    ledger = _member(key, turn, TURN, "ledger", list, [])
    undo = _member(key, turn, TURN, "undo", dict, {})
    seen = _member(key, turn, TURN, "seen", dict, {})
    last = _member(key, turn, TURN, "last", list, [])
    members = _member(key, turn, TURN, "members", str, "")
    if len(members) % _DIGEST:
        raise StateDecodeError(key, f"{TURN}.members", f"has {len(members)} characters, not a multiple of {_DIGEST}")
    if not all(isinstance(text, str) for text in (*seen.values(), *last)):
        raise StateDecodeError(key, TURN, '"seen" and "last" hold something else than texts')
    if not all(isinstance(entry, dict) for entry in ledger):
        raise StateDecodeError(key, f"{TURN}.ledger", "holds something else than objects")
    return Record(
        tag=_member(key, turn, TURN, "tag", str, "") or None,
        decider=_member(key, undo, f"{TURN}.undo", "decider", str) if undo else None,
        seen=seen if "seen" in turn or "ledger" in turn else None,
        last=last,
        members=frozenset(_split(members)),
        is_whole="members" in turn and not _member(key, turn, TURN, "more", bool, False),
        replies=sum(entry.get("replies") is not None for entry in ledger),
    )


def without_note(value: JsonObject) -> JsonObject:
    """The document without its undo note: what it says once the note's turn is known to have committed."""
    return {**value, TURN: {name: item for name, item in value[TURN].items() if name != "undo"}}


def without_mention(value: JsonObject, member: str, theirs: Callable[[str], bool], *, replies: bool) -> JsonObject:
    """A conversation's document that no longer names the user with the digest `member`, nor documents of `theirs`;
    with `replies`, without any turn's replies.

    `last` stays, if empty: without it the conversation would say that none of its turns ever committed.
    """
    turn = dict(value[TURN])
    if "seen" in turn:
        turn["seen"] = {key: tag for key, tag in turn["seen"].items() if not theirs(key)}
    if "last" in turn:
        turn["last"] = [key for key in turn["last"] if not theirs(key)]
    if "members" in turn:
        turn["members"] = "".join(each for each in _split(turn["members"]) if each != member)
    if replies and "ledger" in turn:
        turn["ledger"] = [{name: item for name, item in entry.items() if name != "replies"} for entry in turn["ledger"]]
    return {**value, TURN: turn}


def _member(key: str, within: JsonObject, where: str, name: str, kind: type, default: Any = None) -> Any:
    value = within.get(name, default)
    if not isinstance(value, kind):
        place = f"{where}.{name}" if where else name
        raise StateDecodeError(key, place, f"is {type(value).__name__}, expected {kind.__name__}")
    return value
