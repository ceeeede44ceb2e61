"""The replicas: processes of this machine that keep their state in one storage, which is where they find each other.

Each says in the document `directline/replicas` where it listens. It cannot take that back when it is killed, so
whether one lives is asked of itself.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from typing import Final

from aiohttp import ClientError, ClientSession, ClientTimeout

from demos.page.transcript import CHANNEL_ID
from storage.contract import ABSENT, DocumentStore, JsonObject, Write
from storage.errors import StorageConflict

KEY: Final = f"{CHANNEL_ID}/replicas"
_ANSWER: Final = ClientTimeout(1.0)  # seconds, of a process on this machine


class Replicas:
    """Who they are.

    Attributes:
        me: this process, `process` being a name that no other has, and `url` None until it is known.
    """

    def __init__(self, store: DocumentStore) -> None:
        self._store = store
        self.me: JsonObject = {"process": uuid.uuid4().hex, "pid": os.getpid(), "url": None}

    async def announce(self) -> None:
        """Let the others know where this process listens. Raises what the storage raises."""
        url = self.me["url"]
        while True:
            document = (await self._store.load([KEY])).get(KEY)
            known = document.value["replicas"] if document else {}
            alive = {other: process for other, process in known.items() if await _answers(other, process)}
            write = Write({"replicas": {**alive, url: self.me["process"]}}, document.etag if document else ABSENT)
            try:
                await self._store.save({KEY: write})
            except StorageConflict:
                continue
            return

    async def alive(self) -> list[str]:
        """Return the URLs at which one answers, this process's first. Raises what the storage raises."""
        document = (await self._store.load([KEY])).get(KEY)
        known = document.value["replicas"] if document else {}
        others = [(url, process) for url, process in known.items() if process != self.me["process"]]
        answers = await asyncio.gather(*(_answers(url, process) for url, process in others))
        mine = [self.me["url"]] if self.me["url"] else []
        return mine + sorted(url for (url, _), there in zip(others, answers, strict=True) if there)


async def _answers(url: str, process: str) -> bool:
    try:
        async with ClientSession(timeout=_ANSWER) as http, http.get(f"{url}/page/about") as answer:
            return bool((await answer.json())["process"] == process)
    except (ClientError, TimeoutError, ValueError, KeyError, TypeError):
        return False
