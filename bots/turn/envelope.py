"""How the transaction's data sits in a document: one reserved top-level property, "$turn", beside the state.

A user's, private or other document D::

    {...state, "$turn": {"tag": "txn.digest", "absent"?: true, "undo"?: {"before", "tag", "decider", "base", "at"}}}

A tag names a version of the state: the attempt that wrote it, and a digest of what it wrote. A stock bot that
reads the document sees one property more and copies it forward when it writes; the digest then no longer
fits, which gives the document a tag of its own and makes an undo note void: what the stock bot wrote is
neither undone nor taken for what somebody else saw. "before" is JSON *text*, so that no other program's
decoder rebuilds what is in it; a long one is compressed (`texts`).

A deleted document stays as `{"$turn": {"tag", "absent": true}}`, about 70 bytes. Removing it would make
"absent" a version that comes back, and a turn could not tell that it was there meanwhile.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any, Final

from bots.turn.fields import Fields
from bots.turn.texts import pack
from storage.contract import ABSENT, Document, Expect, JsonObject

TURN: Final = "$turn"


@dataclasses.dataclass(frozen=True, slots=True)
class Note:
    """How to undo a write whose turn may not have committed.

    Attributes:
        before: the state before it, or None where there was none.
        tag: the tag of that state, or None.
        decider: the key of the conversation's document whose next version says whether the turn committed.
        base: the ETag of that document on which the commit is conditional, or None where it must be absent.
        at: when it was written, in seconds since the epoch, by the clock of the replica that did.
    """

    before: JsonObject | None
    tag: str | None
    decider: str
    base: str | None
    at: float


@dataclasses.dataclass(frozen=True, slots=True)
class Held:
    """What a document holds. All None: there is no such document. `etag` is None for one not yet written."""

    state: JsonObject | None
    tag: str | None
    note: Note | None = None
    etag: str | None = None

    @property
    def expect(self) -> str | Expect:
        """What a write that replaces exactly this version expects."""
        return expect(self.etag)


def expect(etag: str | None) -> str | Expect:
    """What a write expects that replaces the version `etag`, None being the absence of the document."""
    return ABSENT if etag is None else etag


def tag_of(txn: str, state: JsonObject | None) -> str:
    """The tag of `state` as written by the attempt `txn`, which has no dot."""
    text = json.dumps(_plain(state), sort_keys=True, separators=(",", ":"))
    return f"{txn}.{hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}"


def parse_document(key: str, document: Document | None) -> Held:
    """Read a document other than the conversation's. Raises `StateDecodeError` where "$turn" is malformed."""
    if document is None:
        return Held(None, None)
    state = {name: value for name, value in document.value.items() if name != TURN}
    if TURN not in document.value:
        return Held(state, None, None, document.etag)  # a stock bot's
    fields = Fields(key, TURN, document.value[TURN])
    if "ledger" in fields:
        raise fields.error("ledger", "is that of a conversation, whose document a state of another scope cannot share")
    tag, kept = fields.text("tag"), None if fields.flag("absent") and not state else state
    note = _parse_note(fields.inner("undo")) if "undo" in fields else None
    found = tag_of("", kept)
    if not tag.endswith(found):
        return Held(state, found, None, document.etag)
    return Held(kept, tag, note, document.etag)


def build_document(held: Held) -> JsonObject | None:
    """Return the value to store; None: the document is to be removed, it never had a tag."""
    if held.tag is None:
        return held.state
    turn: JsonObject = {"tag": held.tag}
    if held.state is None:
        turn["absent"] = True
    if held.note is not None:
        turn["undo"] = {
            "before": None
            if held.note.before is None
            else pack(json.dumps(held.note.before, ensure_ascii=False, separators=(",", ":"))),
            "tag": held.note.tag,
            "decider": held.note.decider,
            "base": held.note.base,
            "at": held.note.at,
        }
    return {**(held.state or {}), TURN: turn}


def _parse_note(fields: Fields) -> Note:
    text = fields.optional_long_text("before")
    before = None if text is None else fields.json("before", text, dict)
    base = fields.optional_text("base")
    return Note(before, fields.optional_text("tag"), fields.text("decider"), base, fields.number("at"))


def _plain(value: Any) -> Any:
    # A service that keeps numbers as doubles answers 1 for 1.0; both must have one digest.
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
