"""`POST /api/messages`: a channel's request becomes a turn, or is refused with a reason.

https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-api-reference
"""

from __future__ import annotations

import json
import logging
from http import HTTPStatus
from typing import Any

from aiohttp import web
from azure.core.exceptions import DeserializationError  # what msrest raises
from botbuilder.core import Bot, InvokeResponse
from botbuilder.integration.aiohttp import CloudAdapter
from botbuilder.schema import Activity
from msrest.serialization import Model

from storage.errors import StorageError

RETRY_AFTER = 1  # seconds

_log = logging.getLogger(__name__)


class MessagesEndpoint:
    """The handler of the route: give it the adapter and the bot."""

    def __init__(self, adapter: CloudAdapter, bot: Bot) -> None:
        self._adapter = adapter
        self._bot = bot

    async def post(self, request: web.Request) -> web.Response:
        """Run the turn. Answers 201, or what an invoke or `expectReplies` activity returns.

        400 for a body that is no activity, 401 for a caller that is not a channel of this bot, 415 for another
        content type, 503 with Retry-After where the state could not be read or saved.
        """
        activity = await _activity(request)
        try:
            result = await self._adapter.process_activity(
                request.headers.get("Authorization", ""), activity, self._bot.on_turn
            )
        except PermissionError:
            return _refusal(HTTPStatus.UNAUTHORIZED, "the request carries no valid token of a channel for this bot")
        except StorageError as error:
            _log.error("turn not saved: %s", error)
            refusal = _refusal(HTTPStatus.SERVICE_UNAVAILABLE, "the state cannot be read or saved now; deliver again")
            refusal.headers["Retry-After"] = str(RETRY_AFTER)
            return refusal
        return _answer(result)


def _answer(result: InvokeResponse | None) -> web.Response:
    if result is None:
        return web.Response(status=HTTPStatus.CREATED)
    body: Any = result.body
    if isinstance(body, Model):
        body = body.serialize()  # type: ignore[no-untyped-call]
    return web.json_response(body, status=result.status)


async def _activity(request: web.Request) -> Activity:
    if request.content_type != "application/json":
        raise _http_error(web.HTTPUnsupportedMediaType, "expected Content-Type: application/json")
    try:
        body = json.loads(await request.read())
    except (ValueError, RecursionError):
        raise _http_error(web.HTTPBadRequest, "the body is not JSON") from None
    if not isinstance(body, dict):
        raise _http_error(web.HTTPBadRequest, "the body is not an activity: expected a JSON object")
    try:
        activity = Activity().deserialize(body)
    except (DeserializationError, AttributeError, TypeError, ValueError) as error:
        raise _http_error(web.HTTPBadRequest, "the body is not an activity: a field has the wrong type") from error
    missing = [name for name, value in _required(activity).items() if not (isinstance(value, str) and value)]
    if missing:
        raise _http_error(web.HTTPBadRequest, f"the body is not an activity: {', '.join(missing)} must be text")
    return activity


def _required(activity: Activity) -> dict[str, Any]:
    return {
        "type": activity.type,
        "id": activity.id,
        "channelId": activity.channel_id,
        "serviceUrl": activity.service_url,
        "conversation.id": activity.conversation and activity.conversation.id,
        "from.id": activity.from_property and activity.from_property.id,
    }


def _http_error(kind: type[web.HTTPError], reason: str) -> web.HTTPError:
    return kind(text=json.dumps({"error": reason}), content_type="application/json")


def _refusal(status: HTTPStatus, reason: str) -> web.Response:
    return web.json_response({"error": reason}, status=status)
