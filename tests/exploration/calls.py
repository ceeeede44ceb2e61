"""The storage, and every step that a call of it can take next.

It is the contract: each key of a load or a save is a step of its own, in any order, unless the storage is
transactional. What can go wrong: a load is not answered; a write is not answered, and lands at any later time or
never; a write lands and is answered with a conflict (an SDK that retried its own success).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tests.exploration.actors import CONFLICT, UNAVAILABLE, Answer, Change, Operation

Stored = tuple[int, str | None]  # how often the key was written, and its text (None: absent)
Store = tuple[Stored, ...]
Done = tuple[tuple[str, object], ...]  # by key, what a call has read or been told so far


class Taken(NamedTuple):
    """A step of a call, and what is so after it.

    Attributes:
        done: what the call has done so far.
        answer: what it is answered, or None where it goes on.
        flying: a write that nobody waits for any more.
        fault: whether something went wrong.
    """

    what: str
    keys: str
    store: Store
    done: Done
    answer: Answer | None
    flying: tuple[Change, ...] = ()
    fault: bool = False


class Storage:
    """The rules of a storage of these keys."""

    def __init__(self, keys: tuple[str, ...], transactional: bool) -> None:
        self.keys = keys
        self._transactional = transactional
        self._place = {key: at for at, key in enumerate(keys)}

    def steps(self, call: Operation, done: Done, store: Store, may_fail: bool) -> Iterator[Taken]:
        """Every step that the call can take next, having done so much."""
        if call.keys:
            if may_fail and not done:
                yield Taken("loads, and gets no answer", "", store, (), UNAVAILABLE, fault=True)
            yield from self._load_all(call, store) if self._transactional else self._load(call, done, store)
        elif self._transactional:
            yield from self._save_all(call, store, may_fail)
        else:
            yield from self._save(call, done, store, may_fail)

    def orphaned(self, call: Operation, done: Done, store: Store) -> Iterator[tuple[Store, tuple[Change, ...]]]:
        """What may become of a call whose process is killed: the storage, and the writes that may still land."""
        if self._transactional:
            yield store, ()
            after, landed = self._apply_all(store, call.changes)
            if landed and call.changes:
                yield after, ()
        else:
            yield store, self._left(call, done)

    @staticmethod
    def _left(call: Operation, done: Done) -> tuple[Change, ...]:
        finished = dict(done)
        return tuple(change for change in call.changes if change[0] not in finished)

    def _apply_all(self, store: Store, changes: tuple[Change, ...]) -> tuple[Store, bool]:
        after, landed = store, True
        for change in changes:
            after, one = self.apply(after, change)
            landed = landed and one
        return (after if landed else store), landed

    def apply(self, store: Store, change: Change) -> tuple[Store, bool]:
        """What a write makes of the storage, and whether it is accepted."""
        key, expected, text = change
        at = self._place[key]
        version, present = store[at]
        found = None if present is None else etag_of(key, store[at])
        if expected not in ("*", found):
            return store, False
        return (*store[:at], (version + 1, text), *store[at + 1 :]), True

    def flying(self, store: Store, changes: Iterable[Change]) -> tuple[Change, ...]:
        """Those of the writes that may still land: an ETag that is no more never comes back."""
        return tuple(
            sorted((change for change in changes if change[1] in (None, "*", self._etag(store, change[0]))), key=str)
        )

    def _etag(self, store: Store, key: str) -> str:
        return etag_of(key, self._at(store, key))

    def _at(self, store: Store, key: str) -> Stored:
        return store[self._place[key]]

    def _load(self, call: Operation, done: Done, store: Store) -> Iterator[Taken]:
        read = dict(done)
        for key in call.keys:
            if key not in read:
                now = tuple(sorted((*done, (key, self._at(store, key)))))
                yield Taken("loads", key, store, now, _found(now) if len(now) == len(call.keys) else None)

    def _load_all(self, call: Operation, store: Store) -> Iterator[Taken]:
        every = tuple((key, self._at(store, key)) for key in call.keys)
        yield Taken("loads", " ".join(call.keys), store, (), _found(every))

    def _save(self, call: Operation, done: Done, store: Store, may_fail: bool) -> Iterator[Taken]:
        for change in self._left(call, done):
            key, _, text = change
            after, landed = self.apply(store, change)
            said = ("ok" if text is None else self._etag(after, key)) if landed else "conflict"
            yield self._saved(call, done, key, said, f"saves ({'ok' if landed else 'conflict'})", after)
            if may_fail:
                lost = self._saved(call, done, key, "lost", "saves, and gets no answer", store)
                yield lost._replace(flying=(change,), fault=True)
                if landed:
                    wrong = self._saved(call, done, key, "conflict", "saves, and is told of a conflict", after)
                    yield wrong._replace(fault=True)

    @staticmethod
    def _saved(call: Operation, done: Done, key: str, said: str, what: str, store: Store) -> Taken:
        now = tuple(sorted((*done, (key, said))))
        if len(now) < len(call.changes):
            return Taken(what, key, store, now, None)
        outcomes = {outcome for _, outcome in now}
        answer: Answer = UNAVAILABLE if "lost" in outcomes else CONFLICT if "conflict" in outcomes else now
        return Taken(what, key, store, now, answer)

    def _save_all(self, call: Operation, store: Store, may_fail: bool) -> Iterator[Taken]:
        after, landed = self._apply_all(store, call.changes)
        keys = " ".join(change[0] for change in call.changes)
        if landed:
            etags = tuple((change[0], self._etag(after, change[0])) for change in call.changes)
            yield Taken("saves", keys, after, (), etags)
        else:
            yield Taken("saves (conflict)", keys, store, (), CONFLICT)
        if may_fail:
            for said, answer in (("gets no answer", UNAVAILABLE), ("is told of a conflict", CONFLICT)):
                for then in {store, after}:
                    yield Taken(f"saves, and {said}", keys, then, (), answer, fault=True)


def etag_of(key: str, stored: Stored) -> str:
    """The ETag of a version: never used twice."""
    return f"{key}.{stored[0]}"


def _found(read: Done) -> Answer:
    return tuple((key, etag_of(key, stored), stored[1]) for key, stored in read)  # type: ignore[arg-type,index]
