"""`POST /api/messages`: a channel's request becomes a turn, or is refused with a reason.

https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-api-reference
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from http import HTTPStatus
from urllib.parse import urlsplit

from aiohttp import web
from botbuilder.core import Bot, InvokeResponse, TurnContext
from botbuilder.integration.aiohttp import CloudAdapter
from botbuilder.schema import Activity
from botframework.connector.auth import AuthenticateRequestResult
from msrest.serialization import Model

from bots.activity_body import read_activity
from bots.admission import Arrivals, TooMany, Turns
from bots.credentials import NotSignedIn
from bots.local_only import HOW, is_loopback
from bots.logs import is_noted, note, short_hash
from bots.refusals import refusal
from bots.signing_keys import KeysUnavailable
from bots.turn.deadline import delivery, time_to_decide
from bots.turn.errors import RepliesNotDelivered, TryAgain
from storage.errors import StorageError

_log = logging.getLogger(__name__)


class MessagesEndpoint:
    """The handler of the route.

    Args:
        adapter: what authenticates the caller and runs the turn.
        bot: what is run.
        local_only: whether the bot sends its replies to this machine only: nobody vouches for the `serviceUrl`.
        seconds: until a turn is decided; see `bots.turn.deadline`.
    """

    def __init__(self, adapter: CloudAdapter, bot: Bot, *, local_only: bool, seconds: float) -> None:
        self._adapter = adapter
        self._bot = bot
        self._local_only = local_only
        self._seconds = seconds
        self._arrivals = Arrivals()
        self._turns = Turns()

    async def post(self, request: web.Request) -> web.Response:
        """Run the turn. Answers 201, or what an invoke or `expectReplies` activity returns.

        4xx for a body that is no activity (`read_activity`), 401 for a caller that is not a channel of this bot, 403
        for a serviceUrl that nobody vouches for; with Retry-After 502 where the channel took not all replies in time,
        and 503 where the state could not be read or saved, the caller's token not be checked, the bot's own not be had,
        or where there are too many requests.
        """
        with delivery(self._seconds):
            try:
                async with self._arrivals.one(request.remote or ""):
                    caller, activity = await self._known(request)
                with self._turns.one(urlsplit(activity.service_url).netloc):
                    # Those that came at the same time are counted before any is handled: turns that hardly wait would
                    # otherwise follow each other, and the last of thousands start a minute after it came.
                    await asyncio.sleep(0)
                    return _answer(await self._turn(caller, activity))
            except TooMany as error:
                raise refusal(web.HTTPServiceUnavailable, "too many requests at once", close=True) from error

    async def _known(self, request: web.Request) -> tuple[AuthenticateRequestResult, Activity]:
        activity = await read_activity(request)
        note(conversation=short_hash(activity.channel_id, activity.conversation.id))
        caller = await self._authenticated(request, activity)
        if self._local_only and not is_loopback(activity.service_url):
            raise refusal(web.HTTPForbidden, f"without an app id the serviceUrl must be on this machine: {HOW}")
        return caller, activity

    async def _turn(self, caller: AuthenticateRequestResult, activity: Activity) -> InvokeResponse | None:
        began, attempts = time.monotonic(), 0

        async def attempt(context: TurnContext) -> None:
            nonlocal attempts
            attempts += 1
            await self._bot.on_turn(context)

        try:
            result: InvokeResponse | None = await self._adapter.process_activity(caller, activity, attempt)
        except RepliesNotDelivered as error:
            raise refusal(web.HTTPBadGateway, "the serviceUrl does not take the bot's replies") from error
        except NotSignedIn as error:
            raise refusal(web.HTTPServiceUnavailable, "the bot cannot sign in for its replies now") from error
        except (StorageError, TryAgain) as error:
            raise refusal(web.HTTPServiceUnavailable, "the state cannot be read or saved now") from error
        finally:
            note(attempts=attempts, conflicts=max(0, attempts - 1), ms=round(1000 * (time.monotonic() - began)))
        _log.info("turn" if attempts or is_noted("document") else "delivered again")
        return result

    async def _authenticated(self, request: web.Request, activity: Activity) -> AuthenticateRequestResult:
        try:
            async with time_to_decide():
                return await self._adapter.bot_framework_authentication.authenticate_request(
                    activity, request.headers.get("Authorization", "")
                )
        except (KeysUnavailable, TimeoutError) as error:
            raise refusal(web.HTTPServiceUnavailable, "the caller's token cannot be checked now") from error
        except Exception as error:  # whatever the SDK trips over in a token, the caller is not known
            if isinstance(error, PermissionError):
                note(why=error.args[0])  # a fixed text, of ours or of the SDK
            raise refusal(web.HTTPUnauthorized, "no valid token of a channel for this bot") from error


def _answer(result: InvokeResponse | None) -> web.Response:
    if result is None:
        return web.Response(status=HTTPStatus.CREATED)
    if result.body is None:
        return web.Response(status=result.status)
    return web.json_response(result.body, status=result.status, dumps=_dumps)


def _dumps(body: object) -> str:
    return json.dumps(body, default=Model.serialize)  # an invoke's body may hold the SDK's models anywhere
