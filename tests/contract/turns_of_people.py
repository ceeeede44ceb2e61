"""Turns of people in conversations, by the protocol that the bot uses, and a store on which others come between."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Any

from bots.turn.protocol import Aborted, Committed, Runtime, Snapshot, begin, commit, tidy
from storage import Document, DocumentStore, StateStorage, Write

ADA, BOB = "test/users/ada", "test/users/bob"
ALONE, GROUP, BOBS = "test/conversations/alone", "test/conversations/group", "test/conversations/bobs"
PRIVATE = f"{GROUP}/users/ada/"


async def start(storage: DocumentStore, conversation: str, *keys: str) -> Snapshot:
    """Begin a turn of the conversation with these other documents."""
    found = await begin(storage, conversation, keys, None, received=0.0, runtime=Runtime(monotonic=lambda: 1.0))
    assert isinstance(found, Snapshot)
    return found


async def finish(
    snapshot: Snapshot, changes: Mapping[str, Any], *, tidied: bool = True, users: Iterable[str] | None = None
) -> Committed | Aborted:
    """Commit it with the changes and a reply, as a turn of the users whose documents it has, or of these."""
    if users is None:
        users = {key.rstrip("/").rpartition("/users/")[2] for key in snapshot.view.held if "/users/" in key}
    replies = [{"do": "send", "activity": {"text": "Ada sent: hi"}}]
    outcome = await commit(snapshot, changes, replies, users=list(users))
    if isinstance(outcome, Committed) and tidied:
        await tidy(outcome)
    return outcome


async def turn(
    storage: DocumentStore,
    conversation: str,
    *keys: str,
    tidied: bool = True,
    state: Mapping[str, Any] | None = None,
    users: Iterable[str] | None = None,
) -> Committed | Aborted:
    """A whole turn that changes the conversation and every other document."""
    snapshot = await start(storage, conversation, *keys)
    changes = {key: state or {"n": 1} for key in (conversation, *keys)}
    return await finish(snapshot, changes, tidied=tidied, users=users)


async def documents(storage: DocumentStore) -> set[str]:
    """The keys of all documents."""
    return {key async for key in storage.keys("")}


class Interrupted(DocumentStore):
    """A storage on which `meanwhile` happens just before the next save of a document, or before `every` one."""

    def __init__(
        self, storage: StateStorage, key: str, meanwhile: Callable[[], Awaitable[object]], *, every: bool = False
    ) -> None:
        self._storage = storage
        self._key: str | None = key
        self._every = every
        self._meanwhile = meanwhile
        self.codec = storage.codec

    async def open(self) -> None: ...

    async def aclose(self) -> None: ...

    async def ping(self) -> None: ...

    async def load(self, keys: Iterable[str]) -> dict[str, Document]:
        return await self._storage.load(keys)

    def keys(self, prefix: str = "") -> AsyncIterator[str]:
        return self._storage.keys(prefix)

    async def save(self, writes: Mapping[str, Write]) -> dict[str, str]:
        if self._key in writes:
            self._key = self._key if self._every else None
            await self._meanwhile()
        return await self._storage.save(writes)
