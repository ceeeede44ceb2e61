"""What was said in a conversation, kept in the bot's own storage, so that a restart loses nothing of it.

An append-only log: entry n is the document `directline/transcripts/{conversation}/{n}`, created once (`ABSENT`) and
never changed again. Processes that share the storage share the log: who comes second takes the next number.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from storage.contract import ABSENT, Document, DocumentStore, JsonObject, Write
from storage.errors import StorageConflict

CHANNEL_ID: Final = "directline"
_AT_ONCE: Final = 64  # entries read in one call


class Transcript:
    """One conversation's activities, in the order in which the channel got them.

    Attributes:
        conversation: its id.
        entries: all that is known here; entry n, counted from 1, is `entries[n - 1]`.
        joining: held by the task that tells the bot who has come.
    """

    def __init__(self, store: DocumentStore, conversation: str) -> None:
        self.conversation = conversation
        self.entries: list[JsonObject] = []
        self.joining = asyncio.Lock()
        self._store = store
        self._writing = asyncio.Lock()
        self._longer = asyncio.Condition()

    async def read(self) -> None:
        """Read what other processes, or an earlier one, have added. Raises what the storage raises."""
        at_once = 1  # there is mostly nothing new, and a key may be a request
        while True:
            first = len(self.entries) + 1
            keys = [self._key(number) for number in range(first, first + at_once)]
            found = await self._store.load(keys)
            await self._renew(found)
            at_once = _AT_ONCE
            for number, key in enumerate(keys, first):
                if key not in found:
                    return
                await self._add(number, found[key].value)

    async def append(self, activity: JsonObject) -> JsonObject:
        """Add the activity under an id of its own, and return it. Raises what the storage raises."""
        async with self._writing:
            while True:
                number = len(self.entries) + 1
                entry = {**activity, "id": f"{self.conversation}|{number:07}"}
                try:
                    await self._store.save({self._key(number): Write(entry, ABSENT)})
                except StorageConflict:
                    await self.read()
                else:
                    await self._add(number, entry)
                    return entry

    def entry(self, activity_id: str) -> JsonObject | None:
        """Return the activity of that id, if it is one of this conversation's."""
        return next((entry for entry in self.entries if entry["id"] == activity_id), None)

    async def longer_than(self, length: int) -> None:
        """Wait until there are more entries than that."""
        async with self._longer:
            await self._longer.wait_for(lambda: len(self.entries) > length)

    async def _renew(self, found: dict[str, Document]) -> None:
        """Write again what would otherwise expire while the conversation goes on."""
        due = {key: Write(document.value, document.etag) for key, document in found.items() if document.due}
        if due:
            with suppress(StorageConflict):  # another process has done it
                await self._store.save(due)

    def _key(self, number: int) -> str:
        return f"{CHANNEL_ID}/transcripts/{self.conversation}/{number}"

    async def _add(self, number: int, entry: JsonObject) -> None:
        if number == len(self.entries) + 1:  # otherwise a task that read, or wrote, was faster
            self.entries.append(entry)
        async with self._longer:
            self._longer.notify_all()
