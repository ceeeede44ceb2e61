"""A client of the bot's local Direct Line. Each call is a request of its own, so it outlives the bot's process."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, urlencode

from aiohttp import ClientError, ClientSession, ContentTypeError, InvalidURL, NonHttpUrlClientError

RESTART_SECONDS: Final = 30.0  # for a new process to listen
_ROOT: Final = "/v3/directline/conversations"


class BotAwayError(Exception):
    """Raised when nobody listens; the message says what to do."""


class RefusedError(Exception):
    """Raised when the bot answers that it cannot; the message is its reason."""


class LineClient:
    """One user's conversation.

    Attributes:
        user: the user's id.
        conversation: the conversation's id, once it has begun.
    """

    def __init__(self, http: ClientSession, url: str, user: str) -> None:
        self.user = user
        self.conversation = ""
        self._http = http
        self._url = url
        self._watermark = ""

    async def begin(self) -> None:
        """Begin a conversation. Raises `BotAwayError` and `RefusedError`, as the other methods do."""
        begun = await self._ask("POST", _ROOT, {"user": self._account})
        self.conversation, self._watermark = begun["conversationId"], ""

    async def say(self, text: str) -> str:
        """Send a message; when this returns, the bot has answered. Returns the message's id."""
        message = {"type": "message", "textFormat": "plain", "text": text, "from": self._account}
        said: str = (await self._ask("POST", f"{self._path}/activities", message))["id"]
        return said

    async def new_activities(self) -> list[dict[str, Any]]:
        """Return what has been said in the conversation since the last call."""
        found = await self._ask("GET", f"{self._path}/activities?watermark={self._watermark}")
        self._watermark = found["watermark"]
        activities: list[dict[str, Any]] = found["activities"]
        return activities

    async def redeliver(self, activity_id: str) -> None:
        """Have a message delivered once more."""
        await self._ask("POST", "/page/redeliver", {"conversation": self.conversation, "activity": activity_id})

    async def state(self) -> list[dict[str, Any]]:
        """Return the stored documents of the conversation and the user."""
        query = urlencode({"conversation": self.conversation, "user": self.user})
        found: list[dict[str, Any]] = await self._ask("GET", f"/page/state?{query}")
        return [document for document in found if "etag" in document or "error" in document]

    async def restart(self) -> str:
        """Have the process replaced by a new one, and return that one's name when it listens."""
        before = (await self._ask("POST", "/page/restart", {}))["process"]
        try:
            async with asyncio.timeout(RESTART_SECONDS):
                while True:
                    with suppress(BotAwayError):
                        process: str = (await self._ask("GET", "/page/about"))["process"]
                        if process != before:
                            return process[:8]
                    await asyncio.sleep(0.1)
        except TimeoutError as error:
            away = f"no new process listens at {self._url} after {RESTART_SECONDS:.0f} s: see what the bot has printed"
            raise BotAwayError(away) from error

    @property
    def _account(self) -> dict[str, str]:
        return {"id": self.user, "name": self.user}

    @property
    def _path(self) -> str:
        return f"{_ROOT}/{quote(self.conversation, safe='')}"

    async def _ask(self, method: str, path: str, body: object = None) -> Any:
        try:
            async with self._http.request(method, self._url + path, json=body) as answer:
                content = await answer.json()
        except ContentTypeError as error:
            raise self._no_direct_line() from error
        except (InvalidURL, NonHttpUrlClientError) as error:
            usual = "http://localhost:3978"
            raise RefusedError(f"{self._url!r} is no URL of a bot: expected one like {usual}") from error
        except (ClientError, TimeoutError) as error:
            raise BotAwayError(f"no bot at {self._url}: start it with `make run`") from error
        except ValueError as error:
            raise self._no_direct_line() from error
        if answer.status < 300:
            return content
        reason = content.get("error") if isinstance(content, dict) else None
        if isinstance(reason, dict):  # Direct Line's words
            raise RefusedError(reason.get("message") or answer.reason)
        if answer.status == HTTPStatus.NOT_FOUND or not isinstance(reason, str):
            raise self._no_direct_line()
        raise RefusedError(reason)  # the edge's

    def _no_direct_line(self) -> RefusedError:
        return RefusedError(
            f"{self._url} has no local Direct Line: it is no state bot, or one with an app id or open to others than "
            "this machine"
        )
