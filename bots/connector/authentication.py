"""The SDK's authentication with the pool's connector clients in place of its own; nothing else differs."""

from __future__ import annotations

from botbuilder.schema import Activity
from botframework.connector.aio import ConnectorClient
from botframework.connector.auth import (
    AuthenticateRequestResult,
    BotFrameworkAuthentication,
    ClaimsIdentity,
    ConnectorFactory,
    UserTokenClient,
)
from botframework.connector.auth._built_in_bot_framework_authentication import _BuiltinBotFrameworkAuthentication
from botframework.connector.skills import BotFrameworkClient

from bots.connector.pool import ConnectorPool


class PooledAuthentication(BotFrameworkAuthentication):
    """Asks `inner` for everything."""

    def __init__(self, inner: BotFrameworkAuthentication, pool: ConnectorPool) -> None:
        self._inner = inner
        self._pool = pool

    async def authenticate_request(self, activity: Activity, auth_header: str) -> AuthenticateRequestResult:
        return self._pooled(await self._inner.authenticate_request(activity, auth_header))

    async def authenticate_streaming_request(
        self, auth_header: str, channel_id_header: str
    ) -> AuthenticateRequestResult:
        return self._pooled(await self._inner.authenticate_streaming_request(auth_header, channel_id_header))

    def create_connector_factory(self, claims_identity: ClaimsIdentity) -> ConnectorFactory:
        inner = self._inner.create_connector_factory(claims_identity)
        return _PooledFactory(inner, _app_id(claims_identity), self._pool)

    async def create_user_token_client(self, claims_identity: ClaimsIdentity) -> UserTokenClient:
        return await self._inner.create_user_token_client(claims_identity)

    def create_bot_framework_client(self) -> BotFrameworkClient:
        return self._inner.create_bot_framework_client()

    def get_originating_audience(self) -> str:
        audience: str = self._inner.get_originating_audience()
        return audience

    async def authenticate_channel_request(self, auth_header: str) -> ClaimsIdentity:
        return await self._inner.authenticate_channel_request(auth_header)

    def _pooled(self, result: AuthenticateRequestResult) -> AuthenticateRequestResult:
        if result.connector_factory:
            app_id = _app_id(result.claims_identity)
            result.connector_factory = _PooledFactory(result.connector_factory, app_id, self._pool)
        return result


class _PooledFactory(ConnectorFactory):
    def __init__(self, inner: ConnectorFactory, app_id: str, pool: ConnectorPool) -> None:
        self._inner = inner
        self._app_id = app_id
        self._pool = pool

    async def create(self, service_url: str, audience: str | None = None) -> ConnectorClient:
        return await self._pool.client(self._inner, self._app_id, service_url, audience)


def _app_id(identity: ClaimsIdentity) -> str:
    return _BuiltinBotFrameworkAuthentication.get_app_id(identity) or ""
