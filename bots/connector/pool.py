"""The connector clients: one for each service URL and audience, used by all turns."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from botframework.connector.aio import ConnectorClient
from botframework.connector.auth import ConnectorFactory
from msrest.pipeline.async_abc import AsyncPipeline
from msrest.pipeline.universal import RawDeserializer

from bots.connector.conversations import Conversations
from bots.connector.sender import ReplySender
from bots.connector.signing import Signed
from bots.turn.remembered import Remembered

LIFE: Final = 60.0  # seconds after which a client is made anew, with credentials of its own
ROOM: Final = 200  # clients; a channel has a few service URLs


class _Client(NamedTuple):
    made: float
    client: ConnectorClient


class ConnectorPool:
    """Makes and keeps the clients. The SDK makes one for each turn, which costs milliseconds and a sign-in.

    Args:
        timeout: seconds for one reply with its retries.
        clock: seconds, for the clients' age.
    """

    def __init__(self, timeout: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._sender = ReplySender(timeout)
        self._clock = clock
        self._clients: Remembered[tuple[str, str, str | None], _Client] = Remembered(ROOM)

    async def client(self, factory: ConnectorFactory, app_id: str, url: str, audience: str | None) -> ConnectorClient:
        """Return the client for `url`, made by the SDK's factory where there is no recent one.

        Raises what the factory raises where the bot gets no credentials.
        """
        key = app_id, url, audience
        known = self._clients.get(key)
        if known is None or self._clock() - known.made > LIFE:
            made = await factory.create(url, audience)
            made.config.pipeline = self._pipeline(made.config)
            made.conversations = Conversations(made, self._sender)
            known = self._clients[key] = _Client(self._clock(), made)
        return known.client

    async def aclose(self) -> None:
        """Close all connections to the channels."""
        await self._sender.aclose()

    def _pipeline(self, config: Any) -> AsyncPipeline[Any, Any]:
        """What the SDK's own has, `AsyncBfPipeline`, but for the sending and for how tokens are fetched."""
        policies = [config.user_agent_policy, Signed(config.credentials), RawDeserializer(), config.http_logger_policy]
        return AsyncPipeline(policies, self._sender)
