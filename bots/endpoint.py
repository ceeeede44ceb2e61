"""`POST /api/messages`: a channel's request becomes a turn, or is refused with a reason.

https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-api-reference
"""

from __future__ import annotations

import json
import logging
import re
from http import HTTPStatus
from types import NoneType
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web
from azure.core.exceptions import DeserializationError  # what msrest raises
from botbuilder.core import Bot, InvokeResponse
from botbuilder.integration.aiohttp import CloudAdapter
from botbuilder.schema import Activity
from botframework.connector.auth import AuthenticateRequestResult
from msrest.serialization import Model
from requests import RequestException

from bots.turn.errors import RepliesNotDelivered, TryAgain
from bots.wire import from_json
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
        content type; with Retry-After 502 where the channel took no reply, and 503 where the state could not be
        read or saved or the caller's token could not be checked.
        """
        activity = await _activity(request)
        caller = await self._authenticated(request, activity)
        try:
            result = await self._adapter.process_activity(caller, activity, self._bot.on_turn)
        except RepliesNotDelivered as error:
            _log.error("no reply sent to %s: %s", activity.service_url, error)
            raise _http_error(web.HTTPBadGateway, "the serviceUrl does not take the bot's replies") from error
        except (StorageError, TryAgain) as error:
            _log.error("turn not saved: %s: %s", error, error.__cause__)
            raise _http_error(web.HTTPServiceUnavailable, "the state cannot be read or saved now") from error
        return _answer(result)

    async def _authenticated(self, request: web.Request, activity: Activity) -> AuthenticateRequestResult:
        try:
            return await self._adapter.bot_framework_authentication.authenticate_request(
                activity, request.headers.get("Authorization", "")
            )
        except RequestException as error:
            _log.error("the keys that sign the channels' tokens cannot be fetched: %s", error)
            raise _http_error(web.HTTPServiceUnavailable, "the caller's token cannot be checked now") from error
        except Exception as error:  # whatever the SDK trips over in a token, the caller is not known
            _log.warning("unauthenticated request: %s: %s", type(error).__name__, error)
            raise _http_error(web.HTTPUnauthorized, "no valid token of a channel for this bot") from error


def _answer(result: InvokeResponse | None) -> web.Response:
    if result is None:
        return web.Response(status=HTTPStatus.CREATED)
    if result.body is None:
        return web.Response(status=result.status)
    return web.json_response(result.body, status=result.status, dumps=_dumps)


def _dumps(body: object) -> str:
    return json.dumps(body, default=Model.serialize)  # an invoke's body may hold the SDK's models anywhere


async def _activity(request: web.Request) -> Activity:
    if request.content_type != "application/json":
        raise _http_error(web.HTTPUnsupportedMediaType, "expected Content-Type: application/json")
    try:
        body = json.loads(await request.read(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError, web.RequestPayloadError):
        raise _http_error(web.HTTPBadRequest, "the body is not JSON") from None
    if not isinstance(body, dict):
        raise _http_error(web.HTTPBadRequest, "the body is not an activity: expected a JSON object")
    if not isinstance(body.get("text"), (str, NoneType)):
        raise _http_error(web.HTTPBadRequest, "the body is not an activity: text must be text")
    wrong = [name for name, value in _required(body).items() if not _is_text(value)]
    if wrong:
        raise _http_error(web.HTTPBadRequest, f"the body is not an activity: {', '.join(wrong)} must be text")
    if not _is_http_url(body["serviceUrl"]):
        raise _http_error(web.HTTPBadRequest, "the body is not an activity: serviceUrl must be an http or https URL")
    try:
        return from_json(body)
    except (DeserializationError, AttributeError, TypeError, ValueError, RecursionError) as error:
        raise _http_error(web.HTTPBadRequest, "the body is not an activity: a field has the wrong type") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _required(body: dict[str, Any]) -> dict[str, object]:
    # Of the body, not of the activity: the SDK makes text of whatever it finds.
    accounts = {name: body[name] if isinstance(body.get(name), dict) else {} for name in ("conversation", "from")}
    return {
        **{name: body.get(name) for name in ("type", "id", "channelId", "serviceUrl")},
        **{f"{name}.id": account.get("id") for name, account in accounts.items()},
    }


def _is_text(value: object) -> bool:
    # Half a surrogate pair or a control character cannot be put into the reply's address.
    return isinstance(value, str) and value != "" and not re.search("[\x00-\x1f\ud800-\udfff]", value)


def _is_http_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _http_error(kind: type[web.HTTPError], reason: str) -> web.HTTPError:
    headers = {"Retry-After": str(RETRY_AFTER)} if issubclass(kind, web.HTTPServerError) else None
    return kind(text=json.dumps({"error": reason}), content_type="application/json", headers=headers)
