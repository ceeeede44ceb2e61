"""What is kept about one user of a channel, wherever it is.

A user's own documents are known by their keys, which are Bot Framework's: `{channel}/users/{id}`, and
`{channel}/conversations/{conversation}/users/{id}/` for private state. A conversation is theirs where its record
has them among those who took part, or names documents of theirs; theirs alone where that record is whole and has nobody
else. What was said in a conversation (`demos.page.transcript` keeps it, in development) goes with
it: `{channel}/transcripts/{conversation}/{number}`.
https://learn.microsoft.com/azure/bot-service/bot-builder-concept-state
"""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Final

from storage.cli.reading import Found, each
from storage.cli.record import Record, digest_of, record_of
from storage.contract import DocumentStore
from storage.errors import StateDecodeError

_USERS: Final = "/users/"


@dataclasses.dataclass(frozen=True, slots=True)
class Person:
    """A user as a channel names it; the same id on another channel is somebody else."""

    channel: str
    id: str

    def __str__(self) -> str:
        return f"{self.channel}{_USERS}{self.id}" if self.channel else self.id

    @property
    def conversations(self) -> str:
        """The start of the keys of the channel's conversations."""
        return f"{self.channel}/conversations/"

    @property
    def transcripts(self) -> str:
        """The start of the keys of what was said in them."""
        return f"{self.channel}/transcripts/"

    def transcript(self, conversation: str) -> str:
        """The start of the keys of what was said in the conversation with that key."""
        return self.transcripts + conversation.removeprefix(self.conversations) + "/"

    def owns(self, key: str) -> bool:
        """Whether the document is this user's own: user state or private conversation state."""
        private = key.startswith(self.conversations) and key.endswith((f"{_USERS}{self.id}", f"{_USERS}{self.id}/"))
        return key == str(self) or private

    def is_named_in(self, key: str) -> bool:
        """Whether the key has the id in it, between slashes."""
        return f"/{self.id}/" in f"/{key}/"

    def others(self, keys: Iterable[str]) -> list[str]:
        """Of these keys, those of other users' own documents."""
        return [key for key in keys if _USERS in key and not self.owns(key)]


def took_part(person: Person, record: Record) -> bool:
    """Whether a conversation's record has the person."""
    return digest_of(person.id) in record.members or any(map(person.owns, record.others))


def others_in(person: Person, record: Record) -> frozenset[str]:
    """The other users whom a conversation's record has, by their digests."""
    named = {digest_of(_user_of(person.channel, key)) for key in person.others(record.others)}
    return (record.members | named) - {digest_of(person.id)}


def _user_of(channel: str, key: str) -> str:
    if key.startswith(f"{channel}{_USERS}"):
        return key.removeprefix(f"{channel}{_USERS}")
    return key.rpartition(_USERS)[2].removesuffix("/")


@dataclasses.dataclass(slots=True)
class Kept:
    """What was found of a person.

    Attributes:
        own: the documents that are theirs by their keys, those that cannot be read among them.
        alone: conversations in which nobody else took part.
        said: the keys of what was said in those.
        shared: conversations with others, and how many others are recorded.
        uncertain: those of them in which others may have taken part that are not recorded.
        said_to_others: the keys of what was said in those, and the same number.
        named: other documents, whose keys have the id in them or that conversations of theirs alone have loaded;
            what they are is for a person to say.
        unreadable: conversations that cannot be read, so that nobody can say whose they are.
        unrecorded: how many conversations have no whole record of who took part, and not this person in it: a stock
            bot's, those of before such records, and those of very many users.
    """

    own: list[Found] = dataclasses.field(default_factory=list)
    alone: list[Found] = dataclasses.field(default_factory=list)
    said: list[str] = dataclasses.field(default_factory=list)
    shared: dict[str, int] = dataclasses.field(default_factory=dict)
    uncertain: set[str] = dataclasses.field(default_factory=set)
    said_to_others: dict[str, int] = dataclasses.field(default_factory=dict)
    named: list[str] = dataclasses.field(default_factory=list)
    unreadable: list[StateDecodeError] = dataclasses.field(default_factory=list)
    unrecorded: int = 0

    @property
    def found(self) -> bool:
        """Whether there is anything of theirs."""
        return bool(self.own or self.alone or self.shared)

    @property
    def is_all(self) -> bool:
        """Whether every document was looked into that may be theirs."""
        return not (self.unreadable or self.unrecorded)

    def add_unknown(self, other: Kept) -> None:
        """Add what nobody can know of another person."""
        self.named = list(dict.fromkeys([*self.named, *other.named]))
        self.unreadable += other.unreadable
        self.unrecorded += other.unrecorded


async def find(store: DocumentStore, person: Person, done: Callable[[], None] = lambda: None) -> Kept:
    """Read every conversation of the person's channel, and list all keys. `done` is called for each document read."""
    kept = Kept()
    said: dict[str, list[str]] = {}
    async for found in each(store, _candidates(store, person, kept, said)):
        done()
        if person.owns(found.key):
            kept.own.append(found)
        else:
            _sort_in(kept, person, found)
    for conversation in kept.alone:
        kept.said += said.get(person.transcript(conversation.key), ())
    for shared, others in kept.shared.items():
        theirs = said.get(person.transcript(shared), ())
        kept.said_to_others |= dict.fromkeys(theirs, others)
        if shared in kept.uncertain:
            kept.uncertain.update(theirs)
    return kept


async def _candidates(
    store: DocumentStore, person: Person, kept: Kept, said: dict[str, list[str]]
) -> AsyncIterator[str]:
    async for key in store.keys():
        if person.owns(key) or key.startswith(person.conversations):
            yield key
        elif key.startswith(person.transcripts):
            said.setdefault(key[: key.rindex("/") + 1], []).append(key)
        elif person.is_named_in(key):
            kept.named.append(key)


def _sort_in(kept: Kept, person: Person, found: Found) -> None:
    try:
        record = _record(found)
    except StateDecodeError as error:
        kept.unreadable.append(error)
        return
    if record and took_part(person, record):
        others = others_in(person, record)
        if others or not record.is_whole:
            kept.shared[found.key] = len(others)
        else:
            kept.alone.append(found)
            kept.named += [key for key in record.others if not person.owns(key)]
        if not record.is_whole:
            kept.uncertain.add(found.key)
    elif _USERS not in found.key and not (record and (record.is_whole or record.seen is None)):
        kept.unrecorded += 1
    elif record and person.is_named_in(found.key):
        kept.named.append(found.key)


def _record(found: Found) -> Record | None:
    if found.document is None:
        raise found.error or AssertionError
    return record_of(found.key, found.document.value)


async def look_up(store: DocumentStore, name: str, done: Callable[[], None] = lambda: None) -> dict[Person, Kept]:
    """Return the persons that `name` may mean, with what `find` finds of them.

    `{channel}/users/{id}` is that one person, known or not; an id is a person of each channel that knows it. Where none
    does, what nobody can know comes with a person of no channel.
    """
    channel, is_full, user = name.partition(_USERS)
    if is_full:
        person = Person(channel, user)
        return {person: await find(store, person, done)}
    every = {Person(channel, name): Kept() for channel in sorted(await _channels(store))}
    unknown = Kept()
    for person in tuple(every):
        every[person] = kept = await find(store, person, done)
        if not kept.found:
            unknown.add_unknown(every.pop(person))
    return every or {Person("", name): unknown}


async def _channels(store: DocumentStore) -> set[str]:
    """The channels that have documents of users or conversations."""
    channels = set()
    async for key in store.keys(""):
        channel, _, rest = key.partition("/")
        if rest.startswith(("users/", "conversations/")):
            channels.add(channel)
    return channels
