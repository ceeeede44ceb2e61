"""The turns of this process as server-sent events, so that a page can show them as they happen.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections import deque
from contextlib import suppress
from typing import Any, Final

from aiohttp import web

from bots.turn.events import TurnEvent
from demos.page.transcript import CHANNEL_ID
from storage.contract import JsonObject

_REMEMBERED: Final = 500  # events, for a page that is opened later


class Feed:
    """What happened lately, and what happens now."""

    def __init__(self) -> None:
        self._process = uuid.uuid4().hex[:8]
        self._number = 0
        self._events: deque[tuple[int, str]] = deque(maxlen=_REMEMBERED)
        self._wake: set[asyncio.Event] = set()
        self._closing = False

    def observe(self, event: TurnEvent) -> None:
        """Add what happened in a turn."""
        self._add(event.what, event.conversation, event.activity_id, dict(event.facts))

    def replied(self, conversation: str, activity: JsonObject) -> None:
        """Add that a reply has arrived at the channel."""
        facts = {"type": activity["type"], "text": activity.get("text")}
        self._add("reply", f"{CHANNEL_ID}/conversations/{conversation}", activity.get("replyToId"), facts)

    def close(self) -> None:
        """End the streams."""
        self._closing = True
        self._wake_all()

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Answer with the events of one conversation, `conversation` in the query being its id."""
        wanted = f"{CHANNEL_ID}/conversations/{request.query.get('conversation', '')}"
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await response.prepare(request)
        wake, last = asyncio.Event(), self._last_seen(request.headers.get("Last-Event-ID", ""))
        self._wake.add(wake)
        try:
            with suppress(ConnectionError):
                await response.write(b"retry: 1000\n\n")
                while not self._closing:
                    wake.clear()
                    for number, text in [each for each in self._events if each[0] > last]:
                        last = number
                        if json.loads(text)["conversation"] == wanted:
                            await response.write(f"id: {self._process}.{number}\ndata: {text}\n\n".encode())
                    await wake.wait()
        finally:
            self._wake.discard(wake)
        return response

    def _add(self, what: str, conversation: str, activity_id: str | None, facts: dict[str, Any]) -> None:
        self._number += 1
        event = {"what": what, "at": time.time(), "conversation": conversation, "activity": activity_id, **facts}
        self._events.append((self._number, json.dumps(event)))
        self._wake_all()

    def _wake_all(self) -> None:
        for wake in self._wake:
            wake.set()

    def _last_seen(self, event_id: str) -> int:
        process, _, number = event_id.partition(".")
        return int(number) if process == self._process and number.isdecimal() else 0
