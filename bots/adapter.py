"""The SDK's adapter, with an answer for a turn that fails."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any, Final

from botbuilder.core import InvokeResponse, TurnContext
from botbuilder.integration.aiohttp import CloudAdapter
from botbuilder.schema import Activity, ActivityTypes

from bots.channel_auth import ChannelAuthentication
from bots.connector.authentication import PooledAuthentication
from bots.connector.pool import ConnectorPool
from bots.credentials import BotCredentialsFactory, BotIdentity
from bots.logs import note, short_hash
from bots.reply_context import ReplyContext
from bots.turn.deadline import time_to_reply
from bots.turn.errors import RepliesNotDelivered, for_bugs_only
from storage.errors import StateDecodeError

APOLOGY = ("The bot encountered an error or bug.", "To continue to run this bot, please fix the bot source code.")

_PLACE: Final = 200  # characters of it that are logged
_log = logging.getLogger(__name__)


def create_adapter(
    identity: BotIdentity, credentials: BotCredentialsFactory, connectors: ConnectorPool
) -> CloudAdapter:
    """Return the adapter that authenticates the channels' requests and sends the replies through `connectors`."""
    adapter = _Adapter(PooledAuthentication(ChannelAuthentication(identity, credentials), connectors))
    adapter.on_turn_error = for_bugs_only(_apologise)
    return adapter


class _Adapter(CloudAdapter):
    def _create_turn_context(self, activity: Activity, *more: Any) -> TurnContext:
        context = ReplyContext(self, activity)
        context.turn_state.update(super()._create_turn_context(activity, *more).turn_state)
        return context


async def _apologise(turn_context: TurnContext, error: Exception) -> None:
    """Log and apologise. State is left alone: what was stored before the turn is still right."""
    if isinstance(error, StateDecodeError):
        note(document=short_hash(error.key))
        _log.error("a document cannot be read%s: %s", f" at {error.where[:_PLACE]}" if error.where else "", error.told)
    else:
        _log.error("the bot's code failed in a turn", exc_info=error)
    if turn_context.activity.type == ActivityTypes.invoke:
        failed = InvokeResponse(status=HTTPStatus.INTERNAL_SERVER_ERROR)
        await turn_context.send_activity(Activity(type=ActivityTypes.invoke_response, value=failed))
    try:
        async with time_to_reply():
            for text in APOLOGY:
                await turn_context.send_activity(text)
    except Exception as unsent:  # the connector's client raises what its HTTP library does
        raise RepliesNotDelivered(f"the apology was not delivered: {unsent}") from unsent
