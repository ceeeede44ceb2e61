"""A Direct Line channel inside the bot's process: it takes what users say to the bot, and what the bot says to them.

The bot is reached as any channel reaches it, by `POST /api/messages`, and answers to the `serviceUrl` it is given.
https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-direct-line-3-0-concepts
"""

from __future__ import annotations

import logging
import uuid
from datetime import UTC, datetime
from typing import Final, NamedTuple

from aiohttp import ClientError, ClientSession, ClientTimeout

from demos.page.transcript import CHANNEL_ID, Transcript
from storage.contract import DocumentStore, JsonObject

BOT: Final = {"id": "bot", "name": "State Bot", "role": "bot"}
ANSWER_SECONDS: Final = 60.0  # a real channel waits 15 and delivers again; here a debugger may be at a breakpoint

_log = logging.getLogger(__name__)


class Route(NamedTuple):
    """Where a bot listens, and where it finds this channel: URLs of scheme, host and port."""

    bot_url: str
    service_url: str


class UnknownConversation(Exception):
    """Raised for a conversation that was never begun here, or whose storage has forgotten it."""


class NotTaken(Exception):
    """Raised when the bot did not take an activity: it may be delivered again. The text is the bot's reason."""


class LocalChannel:
    """The conversations of one process."""

    def __init__(self, store: DocumentStore) -> None:
        self._store = store
        self._transcripts: dict[str, Transcript] = {}
        self._http: ClientSession | None = None

    async def aclose(self) -> None:
        """Close the connections to the bot."""
        if self._http:
            await self._http.close()

    async def begin(self, conversation: str, user: JsonObject | None, route: Route) -> Transcript:
        """Begin a conversation under an id that is new, and tell the bot who is there."""
        transcript = Transcript(self._store, conversation)
        await transcript.append(_addressed(transcript, _joined(BOT)))
        self._transcripts[conversation] = transcript
        if user:
            await self._join(transcript, user, route)
        return transcript

    async def transcript(self, conversation: str) -> Transcript:
        """Return a conversation that was begun. Raises `UnknownConversation`, and what the storage raises."""
        found = self._transcripts.get(conversation)
        if found is None:
            found = Transcript(self._store, conversation)
            await found.read()
            if not found.entries:
                raise UnknownConversation(conversation)
            found = self._transcripts.setdefault(conversation, found)
        return found

    async def say(self, conversation: str, activity: JsonObject, route: Route) -> str:
        """Take a user's activity and deliver it; return its id. Raises `UnknownConversation`, `NotTaken`."""
        transcript = await self.transcript(conversation)
        user = {**activity["from"], "role": "user"}
        activity = {name: value for name, value in activity.items() if name != "membersAdded"}  # ours to say
        await self._join(transcript, user, route)
        entry = await transcript.append(_addressed(transcript, {**activity, "from": user, "recipient": BOT}))
        await self._deliver(transcript, entry, route)
        return str(entry["id"])

    async def deliver_again(self, conversation: str, activity_id: str, route: Route) -> None:
        """Deliver an activity once more, as a channel does that has no answer. Raises as `say`, and KeyError."""
        transcript = await self.transcript(conversation)
        entry = transcript.entry(activity_id)
        if entry is None or entry["from"]["id"] == BOT["id"]:
            raise KeyError(activity_id)
        await self._deliver(transcript, entry, route)

    async def reply(self, conversation: str, activity: JsonObject) -> str:
        """Take an activity of the bot's and return the id that it has now. Raises `UnknownConversation`."""
        transcript = await self.transcript(conversation)
        entry = await transcript.append(_addressed(transcript, {**activity, "from": BOT}))
        return str(entry["id"])

    async def _join(self, transcript: Transcript, user: JsonObject, route: Route) -> None:
        async with transcript.joining:  # until the bot knows: what the user says comes after that
            if user["id"] in _people(transcript):
                return
            entry = await transcript.append(_addressed(transcript, _joined(user)))
            try:
                await self._deliver(transcript, entry, route)
            except NotTaken as error:  # its messages will get the same answer, and show it
                _log.warning("the bot did not take that %s is here: %s", user["id"], error)

    async def _deliver(self, transcript: Transcript, entry: JsonObject, route: Route) -> None:
        try:
            async with self._client().post(
                f"{route.bot_url}/api/messages", json={**entry, "serviceUrl": route.service_url}
            ) as answer:
                status, text = answer.status, await answer.text()
                body = await answer.json() if answer.content_type == "application/json" and text else {}
        except (ClientError, TimeoutError, ValueError) as error:
            raise NotTaken(f"{route.bot_url} does not answer: {type(error).__name__}") from error
        if status >= 300:
            raise NotTaken(f"the bot answered {status}: {body.get('error', text) if isinstance(body, dict) else text}")
        for reply in body.get("activities", ()) if entry.get("deliveryMode") == "expectReplies" else ():
            await self.reply(transcript.conversation, reply)

    def _client(self) -> ClientSession:
        if self._http is None:
            self._http = ClientSession(timeout=ClientTimeout(ANSWER_SECONDS))
        return self._http


def new_conversation() -> str:
    """A conversation's id. It has a `|`, as the Emulator's have."""
    return f"{uuid.uuid4()}|local"


def _addressed(transcript: Transcript, activity: JsonObject) -> JsonObject:
    group = {"isGroup": True} if len(_people(transcript)) > 2 else {}  # the bot is one of them
    return {
        **{name: value for name, value in activity.items() if name != "serviceUrl"},
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "channelId": CHANNEL_ID,
        "conversation": {"id": transcript.conversation, **group},
    }


def _people(transcript: Transcript) -> set[str]:
    return {member["id"] for entry in transcript.entries for member in entry.get("membersAdded", ())}


def _joined(user: JsonObject) -> JsonObject:
    return {"type": "conversationUpdate", "from": user, "recipient": BOT, "membersAdded": [user]}
