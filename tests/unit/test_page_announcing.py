"""The page tells the other replicas of its process, and its process lives whatever becomes of that."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

import demos.page
from demos.page import Page
from demos.page.replicas import KEY
from storage import Document, StorageUnavailable
from storage.memory import MemoryStorage


class AwayAtFirst(MemoryStorage):
    """Does not answer the first two loads."""

    def __init__(self) -> None:
        super().__init__()
        self.refused = 0

    async def load(self, keys: Iterable[str]) -> dict[str, Document]:
        if self.refused < 2:
            self.refused += 1
            raise StorageUnavailable("away")
        return await super().load(keys)


async def test_a_storage_that_is_away_when_the_process_listens_is_told_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demos.page, "AGAIN", 0.01)
    told: asyncio.Event = asyncio.Event()
    storage = AwayAtFirst()
    save = storage.save

    async def telling(writes: Any) -> Any:
        etags = await save(writes)
        told.set()
        return etags

    monkeypatch.setattr(storage, "save", telling)
    app, page = web.Application(), Page(storage)
    page.mount(app)
    async with TestServer(app) as server, asyncio.timeout(10):
        page.listens(str(server.make_url("")))
        await told.wait()
        assert list((await storage.load([KEY]))[KEY].value["replicas"]) == [str(server.make_url(""))]
    assert storage.refused == 2
