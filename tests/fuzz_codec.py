"""Broken documents by the million: each is read as state that can be written again, or refused as what it is.

To run: python -m tests.fuzz_codec 1000000 [seed]
You should see: how many were read and how many refused. Anything else that is raised stops it, with the document.
"""

from __future__ import annotations

import json
import random
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import jsonpickle
from botbuilder.core import MessageFactory
from botbuilder.dialogs import DialogInstance, DialogState
from botbuilder.dialogs.choices import Choice
from botbuilder.dialogs.prompts import PromptOptions

from storage import Codec, StateDecodeError
from storage.codec import as_object, dumps, loads

_KEY: Final = "emulator/users/u1"


class Mood(Enum):
    GOOD = "good"


@dataclass
class Note:
    text: str = ""
    marks: list[int] = field(default_factory=list)
    mood: Mood = Mood.GOOD
    next: Note | None = None
    schema_version: int = 1


class Pair(NamedTuple):
    one: int
    two: Any = None


def seeds() -> list[bytes]:
    """Documents as stock bots write them."""
    shared, at = Note("x", [1, 2]), datetime(2026, 1, 2, tzinfo=UTC)
    prompt = PromptOptions(prompt=MessageFactory.text("name?"), choices=[Choice("red", synonyms=["rot"])])
    dialog = DialogState([DialogInstance("steps", {"options": prompt, "values": {"a": shared}, "stepIndex": 1})])
    states: list[dict[str, Any]] = [
        {"note": shared, "again": [shared, {"deep": shared}], "n": 1, "f": 1.5, "none": None},
        {"at": [at, at, at.astimezone(ZoneInfo("Europe/Berlin"))], "day": at.date(), "pair": (1, (2, [3]))},
        {"DialogState": dialog, "e_tag": "0x8D"},
        {"moods": [Mood.GOOD, Mood.GOOD], "set": {1, 2}, "bytes": b"abc", "wait": at - at},
        {"many": [OrderedDict(a=1), defaultdict(list, b=[2]), Counter("aab"), deque([1], 3), frozenset([1]), 1j]},
        {"pair": Pair(1, [2]), "pairs": [Pair(1), Pair(2)]},
        {"$turn": {"tag": "a.b", "undo": {"before": "{}", "tag": None, "decider": "c", "base": None}}, "x": "ü€😀"},
    ]
    return [str(jsonpickle.encode(state)).encode() for state in states]


_WORDS: Final = [
    *(
        "py/object",
        "py/id",
        "py/reduce",
        "py/type",
        "py/tuple",
        "py/set",
        "py/b64",
        "py/state",
        "py/function",
        "py/repr",
    ),
    *("py/seq", "py/newargs", "py/ref", "py/mod", "__reduce__", "__class__", "__dict__", "e_tag", "$turn", "json://1"),
    *("builtins.frozenset", "collections.Counter", "collections.deque", "collections.defaultdict", "default_factory"),
    *("os.system", "builtins.eval", "datetime.datetime", "datetime.timedelta", "uuid.UUID", "schema_version", ""),
    *(f"{__name__}.Note", f"{__name__}.Mood", "botbuilder.dialogs.dialog_state.DialogState"),
]
_VALUES: Final[list[Any]] = [None, True, 0, 1, -1, 2**53, 2**63, 10**40, 1e308, 0.5, "", "\ud800", "good", [], {}, [[]]]
_TEXTS: Final = [
    b"NaN",
    b"1e999",
    b"{",
    b"]",
    b'"',
    b"\\",
    b"\xff",
    b"\x00",
    b"[" * 300,
    b'"a":1,',
    b"9" * 5_000,
    b"\\ud800",
]


def broken_text(source: random.Random, text: bytes) -> bytes:
    """The text with a few places cut, doubled or replaced."""
    for _ in range(source.randint(1, 4)):
        start = source.randrange(len(text) + 1)
        end = min(len(text), start + source.choice((0, 1, 1, 2, 10, 100)))
        put = source.choice((b"", text[start:end] * 2, source.choice(_TEXTS), bytes([source.randrange(256)])))
        text = text[:start] + put + text[end:]
    return text


def broken_value(source: random.Random, value: Any) -> Any:
    """The JSON value with some members renamed, moved or replaced."""
    if source.random() < 0.04:
        return source.choice((*_VALUES, *_WORDS, {source.choice(_WORDS): source.choice((*_VALUES, *_WORDS, value))}))
    if isinstance(value, dict):
        return {
            source.choice(_WORDS) if source.random() < 0.03 else name: broken_value(source, item)
            for name, item in value.items()
            if source.random() > 0.02
        }
    if isinstance(value, list):
        return [
            broken_value(source, item)
            for item in value
            for _ in range(source.choice((0, 2)) if source.random() < 0.04 else 1)
        ]
    return value


def read(codec: Codec, document: bytes | dict[str, Any], release: int | None = 3) -> bool:
    """Read a document that this release of jsonpickle is said to have written. False where it is refused.

    Where it is not, what was read must be writable, and come back.
    """
    try:
        value = loads(document, _KEY, release) if isinstance(document, bytes) else as_object(document, _KEY, release)
        state = codec.decode(value, _KEY)
    except StateDecodeError:
        return False
    again = loads(dumps(codec.encode(state, _KEY), _KEY), _KEY)
    assert codec.encode(codec.decode(again, _KEY), _KEY) == again
    return True


def fuzz(cases: int, seed: int) -> Counter[bool]:
    """Read that many broken documents; return how many could be read and how many were refused."""
    source, codec, originals = random.Random(seed), Codec(), seeds()  # noqa: S311 - to be repeated, not to be secret
    codec.register(Note)
    codec.register(Pair)
    codec.register_dialogs()
    assert all(read(codec, original) for original in originals)
    outcome: Counter[bool] = Counter()
    for _ in range(cases):
        original = source.choice(originals)
        document = (
            broken_text(source, original) if source.random() < 0.5 else broken_value(source, json.loads(original))
        )
        if isinstance(document, list | str | int | float | None):
            document = {"top": document}
        shown = repr(document)
        try:
            outcome[read(codec, document, source.choice((None, 1, 3)))] += 1
        except BaseException:
            sys.stderr.write(f"seed {seed}: {shown}\n")
            raise
    return outcome


if __name__ == "__main__":
    found = fuzz(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    sys.stdout.write(f"{found[True]} read, {found[False]} refused\n")
