"""Direct Line 3.0 for clients on this machine: what `botframework-directlinejs` and Web Chat speak.

The routes are those of the service, under `/v3/directline`:
https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-direct-line-3-0-api-reference
Any secret will do, for there is nothing to protect from programs of this machine; a token names its conversation.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final
from urllib.parse import quote

from aiohttp import WSMsgType, web

from demos.page.body import json_object
from demos.page.channel import LocalChannel, NotTaken, Route, UnknownConversation, new_conversation
from demos.page.guard import Refused, guarded, preflight
from demos.page.transcript import Transcript
from storage.contract import JsonObject
from storage.errors import StorageError

ROOT: Final = "/v3/directline"
EXPIRES_SECONDS: Final = 1800  # as the service has it; here they do not
_TICKET: Final = "local."
_LOOK_EVERY: Final = 1.0  # seconds, for what was said at another replica
_MOST_DIGITS: Final = 9  # of a watermark


class DirectLine:
    """The handlers of the routes. `route_of` says to which bot a request's activity goes."""

    def __init__(self, channel: LocalChannel, route_of: Callable[[web.Request], Awaitable[Route]]) -> None:
        self._channel = channel
        self._route_of = route_of
        self._sockets: set[web.WebSocketResponse] = set()

    def mount(self, app: web.Application) -> None:
        """Add the routes."""
        conversation = f"{ROOT}/conversations/{{conversation}}"
        for method, path, handler in (
            ("POST", f"{ROOT}/tokens/generate", self._generate),
            ("POST", f"{ROOT}/tokens/refresh", self._refresh),
            ("POST", f"{ROOT}/conversations", self._begin),
            ("GET", conversation, self._reconnect),
            ("GET", f"{conversation}/activities", self._activities),
            ("POST", f"{conversation}/activities", self._say),
            ("GET", f"{conversation}/stream", self._stream),
            ("OPTIONS", f"{ROOT}/{{any:.*}}", preflight),
        ):
            app.router.add_route(method, path, guarded(handler))
        app.on_shutdown.append(self._close_streams)

    async def _generate(self, request: web.Request) -> web.Response:
        user = _user(await json_object(request))
        return web.json_response(_ticket(_granted(request).get("conversation") or new_conversation(), user))

    async def _refresh(self, request: web.Request) -> web.Response:
        granted = _granted(request)
        if not granted:
            raise Refused(web.HTTPForbidden, "only a token can be refreshed, and this is none", "BadArgument")
        return web.json_response(_ticket(granted["conversation"], granted["user"]))

    async def _begin(self, request: web.Request) -> web.Response:
        granted = _granted(request)
        user = granted.get("user") or _user(await json_object(request))
        conversation = granted.get("conversation") or new_conversation()
        try:
            transcript, status = await self._channel.transcript(conversation), 200
        except UnknownConversation:
            transcript, status = await self._channel.begin(conversation, user, await self._route_of(request)), 201
        return web.json_response(_connection(request, transcript, user), status=status)

    async def _reconnect(self, request: web.Request) -> web.Response:
        transcript = await self._transcript(request)
        _watermark(request, transcript)
        return web.json_response(_connection(request, transcript, _granted(request).get("user")))

    async def _activities(self, request: web.Request) -> web.Response:
        transcript = await self._transcript(request)
        await transcript.read()
        return web.json_response(_since(transcript, _watermark(request, transcript)))

    async def _say(self, request: web.Request) -> web.Response:
        transcript, activity = await self._transcript(request), await json_object(request)
        user, sender = _granted(request).get("user") or {}, activity.get("from") or {}
        if isinstance(sender, dict):
            activity = {**activity, "from": {**sender, **user}}
        kind = activity.get("type")
        if not (kind and isinstance(kind, str) and _user({"user": activity.get("from")})):
            raise Refused(web.HTTPBadRequest, "expected an activity: a JSON object with type and from.id")
        try:
            said = await self._channel.say(transcript.conversation, activity, await self._route_of(request))
        except NotTaken as error:
            raise Refused(web.HTTPBadGateway, str(error), "BotError") from error
        return web.json_response({"id": said})

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        transcript = await self._transcript(request)
        watermark = _watermark(request, transcript)
        socket = web.WebSocketResponse(heartbeat=30.0)
        await socket.prepare(request)
        self._sockets.add(socket)
        sending = asyncio.create_task(_send(socket, transcript, watermark))
        try:
            async for message in socket:  # clients send empty texts to see whether we are still there
                if message.type == WSMsgType.ERROR:
                    break
        finally:
            sending.cancel()
            self._sockets.discard(socket)
        return socket

    async def _transcript(self, request: web.Request) -> Transcript:
        conversation = request.match_info["conversation"]
        granted = _granted(request).get("conversation", conversation)
        if granted != conversation:
            raise Refused(web.HTTPForbidden, f"the token is for conversation {granted!r}", "BadArgument")
        return await self._channel.transcript(conversation)

    async def _close_streams(self, _app: web.Application) -> None:
        for socket in tuple(self._sockets):
            await socket.close(code=1001, message=b"the bot stops")


async def _send(socket: web.WebSocketResponse, transcript: Transcript, watermark: int) -> None:
    with suppress(ConnectionError):
        while not socket.closed:
            if len(transcript.entries) > watermark:
                activities = _since(transcript, watermark)
                watermark = len(transcript.entries)
                await socket.send_json(activities)
            try:
                async with asyncio.timeout(_LOOK_EVERY):
                    await transcript.longer_than(watermark)
            except TimeoutError:
                with suppress(StorageError):  # it may be back at the next look
                    await transcript.read()


def _since(transcript: Transcript, watermark: int) -> JsonObject:
    # What the channel told the bot is not for the users.
    entries = [entry for entry in transcript.entries[watermark:] if entry["type"] != "conversationUpdate"]
    return {"activities": entries, "watermark": str(len(transcript.entries))}


def _watermark(request: web.Request, transcript: Transcript) -> int:
    text = request.query.get("watermark", "")
    if text in ("", "null", "undefined", "-"):  # what JavaScript clients make of none
        return 0
    known = len(transcript.entries)
    if not (text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS and int(text) <= known):
        shown = text[: 2 * _MOST_DIGITS]
        raise Refused(web.HTTPBadRequest, f"watermark {shown!r} is none of this conversation's; expected 0 to {known}")
    return int(text)


def _connection(request: web.Request, transcript: Transcript, user: JsonObject | None) -> JsonObject:
    ticket = _ticket(transcript.conversation, user)
    watermark = request.query.get("watermark", "")
    path = f"{ROOT}/conversations/{quote(transcript.conversation, safe='')}/stream"
    return {**ticket, "streamUrl": f"ws://{request.host}{path}?watermark={watermark}&t={ticket['token']}"}


def _ticket(conversation: str, user: JsonObject | None) -> JsonObject:
    grant = json.dumps({"conversation": conversation, "user": user}).encode()
    token = _TICKET + base64.urlsafe_b64encode(grant).decode().rstrip("=")
    return {"conversationId": conversation, "token": token, "expires_in": EXPIRES_SECONDS}


def _granted(request: web.Request) -> JsonObject:
    """What the caller's token grants; nothing for a secret or none."""
    bearer = request.headers.get("Authorization", "").removeprefix("Bearer ").strip() or request.query.get("t", "")
    if not bearer.startswith(_TICKET):
        return {}
    try:
        grant = json.loads(base64.urlsafe_b64decode(bearer.removeprefix(_TICKET) + "=="))
        return {"conversation": str(grant["conversation"]), "user": _user(grant)}
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Refused(web.HTTPForbidden, "the token is none of this bot's", "BadArgument") from None


def _user(body: JsonObject) -> JsonObject | None:
    """The user that `body` names, as an account of id and name, or None."""
    user = body.get("user")
    if not (isinstance(user, dict) and isinstance(user.get("id"), str) and user["id"]):
        return None
    return {name: user[name] for name in ("id", "name") if isinstance(user.get(name), str)}
