"""Which documents the program can read, and bringing those of older versions up to date.

What is stored is decoded as the bot would, which applies the upgrade steps of its models, and encoded again; a
document that comes out differently is an old one. The record of the turns in it is copied forward as it is, as a
stock bot's write does: then the tag in it no longer fits the state, which gives the document a tag of its own
(`bots.turn.envelope`), and every turn under way notices. A document with an undo note waits: whether the note's
write counts is the bot's to decide, at the next turn that loads it.
"""

from __future__ import annotations

import dataclasses
import enum
import json
from collections import Counter
from collections.abc import AsyncIterable, Callable
from typing import Any, Final

from storage.base import StateStorage
from storage.cli.reading import Found, batches, each, read
from storage.cli.record import TURN, record_of
from storage.codec import Codec
from storage.contract import JsonObject, Write
from storage.errors import AmbiguousStateError, StateDecodeError, StateEncodeError, StorageConflict

_TRIES: Final = 10  # for one document, while turns change it


class State(enum.Enum):
    """What is to be said of a document."""

    CURRENT = "current"
    OLD = "old"
    BUSY = "busy"  # old, and with a turn's undo note
    BAD = "bad"
    AMBIGUOUS = "ambiguous"  # bad, by what STOCK_JSONPICKLE does not say
    UPGRADED = "upgraded"
    OVER = "over"  # its life is


@dataclasses.dataclass(slots=True)
class Tally:
    """How many documents are in which state; those that cannot be read, with the reason; those to be upgraded."""

    states: Counter[State] = dataclasses.field(default_factory=Counter)
    bad: list[StateDecodeError | StateEncodeError] = dataclasses.field(default_factory=list)
    busy: list[str] = dataclasses.field(default_factory=list)
    old: list[str] = dataclasses.field(default_factory=list)

    def add(self, verdict: Verdict) -> None:
        """Count one more document."""
        self.states[verdict.state] += 1
        if verdict.error:
            self.bad.append(verdict.error)
        if verdict.state is State.BUSY:
            self.busy.append(verdict.key)
        if verdict.state is State.OLD:
            self.old.append(verdict.key)


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """What was found out about a document; `write` brings an old one up to date."""

    key: str
    state: State
    write: Write | None = None
    error: StateDecodeError | StateEncodeError | None = None


def judge(codec: Codec, found: Found) -> Verdict:
    """Decode one document and encode it again."""
    if found.document is None:
        is_ambiguous = isinstance(found.error, AmbiguousStateError)
        return Verdict(found.key, State.AMBIGUOUS if is_ambiguous else State.BAD, error=found.error)
    key, value = found.key, found.document.value
    try:
        record = record_of(key, value)
        state = {name: item for name, item in value.items() if name != TURN}
        again: JsonObject = codec.encode(codec.decode(state, key), key)
    except (StateDecodeError, StateEncodeError) as error:
        return Verdict(key, State.BAD, error=error)
    if _text(again) == _text(state):
        return Verdict(key, State.CURRENT)
    if record and record.decider is not None:
        return Verdict(key, State.BUSY)
    kept = {TURN: value[TURN]} if record else {}
    return Verdict(key, State.OLD, Write({**again, **kept}, found.document.etag))


async def check(storage: StateStorage, keys: AsyncIterable[str], done: Callable[[], None]) -> Tally:
    """Judge every document; nothing is written. `done` is called for each."""
    tally = Tally()
    async for found in each(storage, keys):
        tally.add(judge(storage.codec, found))
        done()
    return tally


async def upgrade(storage: StateStorage, keys: AsyncIterable[str], done: Callable[[], None]) -> Tally:
    """Write every old document as the program would now, provided that it is still what was read.

    What cannot be decoded is left as it is. It may be stopped at any point and run again.
    """
    tally = Tally()
    async for batch in batches(keys):
        for verdict in await _upgrade_batch(storage, batch):
            tally.add(verdict)
            done()
    return tally


async def _upgrade_batch(storage: StateStorage, keys: list[str]) -> list[Verdict]:
    verdicts = {found.key: judge(storage.codec, found) for found in await read(storage, keys)}
    old = {key: verdict.write for key, verdict in verdicts.items() if verdict.write}
    upgraded = set(old)
    for _ in range(_TRIES + len(old)):
        try:
            await storage.save(old)
        except StateEncodeError as error:
            verdicts[error.key] = Verdict(error.key, State.BAD, error=error)
            failure: Exception = error
        except StorageConflict as conflict:
            failure = conflict
        else:
            return [_after(verdict, upgraded) for verdict in verdicts.values()]
        # Others of the batch may have been written, or not; what is still old is written again.
        waiting = [key for key in old if verdicts[key].state is not State.BAD]
        again = {found.key: judge(storage.codec, found) for found in await read(storage, waiting)}
        verdicts = {
            key: again.get(key, verdict) for key, verdict in verdicts.items() if key in again or key not in waiting
        }
        old = {key: verdict.write for key, verdict in again.items() if verdict.write}
    raise failure


def _after(verdict: Verdict, upgraded: set[str]) -> Verdict:
    done = verdict.key in upgraded and verdict.state in (State.OLD, State.CURRENT)
    return Verdict(verdict.key, State.UPGRADED) if done else verdict


def _text(value: JsonObject) -> str:
    return json.dumps(_plain(value), sort_keys=True)


def _plain(value: Any) -> Any:
    # A service that keeps numbers as doubles answers 70 for 70.0, so writing 70.0 would make no difference.
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
