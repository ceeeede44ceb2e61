"""The SDK's adapter, with an answer for a turn that fails."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from http import HTTPStatus

from botbuilder.core import InvokeResponse, TurnContext
from botbuilder.integration.aiohttp import CloudAdapter, ConfigurationBotFrameworkAuthentication
from botbuilder.schema import Activity, ActivityTypes

from bots.connector.authentication import PooledAuthentication
from bots.connector.pool import ConnectorPool
from bots.turn.errors import RepliesNotDelivered, for_bugs_only

APOLOGY = ("The bot encountered an error or bug.", "To continue to run this bot, please fix the bot source code.")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BotIdentity:
    """Who the bot is to the channels, under the names that the SDK's configuration object has."""

    APP_ID: str | None  # None: authentication is off
    APP_PASSWORD: str | None
    APP_TYPE: str
    APP_TENANTID: str | None


def create_adapter(identity: BotIdentity, connectors: ConnectorPool) -> CloudAdapter:
    """Return the adapter that authenticates the channels' requests and sends the replies through `connectors`."""
    adapter = CloudAdapter(PooledAuthentication(ConfigurationBotFrameworkAuthentication(identity), connectors))
    adapter.on_turn_error = for_bugs_only(_apologise)
    return adapter


async def _apologise(turn_context: TurnContext, error: Exception) -> None:
    """Log and apologise. State is left alone: what was stored before the turn is still right."""
    _log.error("the bot's code failed in a turn", exc_info=error)
    if turn_context.activity.type == ActivityTypes.invoke:
        failed = InvokeResponse(status=HTTPStatus.INTERNAL_SERVER_ERROR)
        await turn_context.send_activity(Activity(type=ActivityTypes.invoke_response, value=failed))
    try:
        for text in APOLOGY:
            await turn_context.send_activity(text)
    except Exception as unsent:  # the connector's client raises what its HTTP library does
        raise RepliesNotDelivered(f"the apology was not delivered: {unsent}") from unsent
