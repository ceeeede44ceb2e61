"""Turns of one user in one conversation, and a storage that tells what it was asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from botbuilder.core import TurnContext
from botbuilder.core.adapters import TestAdapter
from botbuilder.schema import Activity, ChannelAccount, ConversationAccount

from storage import Document, Write
from storage.memory import MemoryStorage

CONVERSATION = "test/conversations/c1"
USER = "test/users/u1"


class CountingStorage(MemoryStorage):
    """Memory, with the calls it got: `load` and `save`."""

    def __init__(self, documents: dict[str, Any] | None = None) -> None:
        super().__init__(documents)
        self.calls: list[str] = []

    async def load(self, keys: Iterable[str]) -> dict[str, Document]:
        self.calls.append("load")
        return await super().load(keys)

    async def save(self, writes: Mapping[str, Write]) -> dict[str, str]:
        self.calls.append("save")
        return await super().save(writes)


def new_turn(text: str = "hi", adapter: TestAdapter | None = None) -> TurnContext:
    """Return a fresh turn; what its bot sends is in the adapter's `activity_buffer`."""
    activity = Activity(
        type="message",
        id="a1",
        text=text,
        locale="en-US",
        channel_id="test",
        service_url="https://test",
        conversation=ConversationAccount(id="c1"),
        from_property=ChannelAccount(id="u1"),
        recipient=ChannelAccount(id="bot"),
    )
    return TurnContext(adapter or TestAdapter(), activity)
