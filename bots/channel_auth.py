"""Who may call the bot: the SDK's checks of a caller's token, and those that it leaves out.

https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-authentication
"""

from __future__ import annotations

from typing import Any, Final

from botbuilder.integration.aiohttp import ConfigurationBotFrameworkAuthentication
from botbuilder.schema import Activity
from botframework.connector import Channels
from botframework.connector.auth import (
    AuthenticateRequestResult,
    AuthenticationConstants,
    ChannelValidation,
    ClaimsIdentity,
    JwtTokenExtractor,
    ServiceClientCredentialsFactory,
    UserTokenClient,
)
from botframework.connector.auth._built_in_bot_framework_authentication import _BuiltinBotFrameworkAuthentication

from bots.signing_keys import SigningKeys

_LOGIN_ENDPOINT: Final = AuthenticationConstants.TO_CHANNEL_FROM_BOT_LOGIN_URL_PREFIX
_CHANNELS: Final = AuthenticationConstants.TO_BOT_FROM_CHANNEL_TOKEN_ISSUER


class ChannelAuthentication(ConfigurationBotFrameworkAuthentication):
    """The SDK's authentication. What is added only ever refuses more.

    Args:
        configuration: the SDK's configuration object; without an `APP_ID` authentication is off.
        credentials: the bot's own, for its replies.
    """

    def __init__(self, configuration: Any, credentials: ServiceClientCredentialsFactory) -> None:
        super().__init__(configuration, credentials_factory=credentials)
        self._app_id: str | None = configuration.APP_ID
        self._credentials = credentials
        self._token_clients: dict[str, UserTokenClient] = {}  # by the app id, of which there is one
        channels = (
            ChannelValidation.open_id_metadata_endpoint
            or AuthenticationConstants.TO_BOT_FROM_CHANNEL_OPENID_METADATA_URL
        )
        emulator = AuthenticationConstants.TO_BOT_FROM_EMULATOR_OPENID_METADATA_URL
        JwtTokenExtractor.metadataCache[channels] = SigningKeys(channels, endorsing=True)
        JwtTokenExtractor.metadataCache[emulator] = SigningKeys(emulator, endorsing=False)

    async def authenticate_request(self, activity: Activity, auth_header: str) -> AuthenticateRequestResult:
        """Return who calls. Raises PermissionError or what the SDK does for a caller that is none of this bot's
        channels, and `KeysUnavailable` where that cannot be told now."""
        result = await super().authenticate_request(activity, auth_header)
        if self._app_id:
            self._check(result.claims_identity.claims, activity)
        return result

    async def create_user_token_client(self, claims_identity: ClaimsIdentity) -> UserTokenClient:
        """Return the client that OAuth prompts use: the SDK makes one for each turn, which takes milliseconds.

        Each turn signs in all the same: that renews the token that this client and the replies' bear, and a bot that
        gets none is told before the turn. Raises what the credentials raise.
        """
        app_id = _BuiltinBotFrameworkAuthentication.get_app_id(claims_identity) or ""
        if app_id in self._token_clients:
            scope = self.get_originating_audience()
            await self._credentials.create_credentials(app_id, scope, _LOGIN_ENDPOINT, validate_authority=True)
        else:
            self._token_clients[app_id] = await super().create_user_token_client(claims_identity)
        return self._token_clients[app_id]

    def _check(self, claims: dict[str, Any], activity: Activity) -> None:
        if "exp" not in claims:
            raise PermissionError("the token never expires")  # the SDK checks `exp` where there is one
        if claims.get("iss") == _CHANNELS:
            return
        # The Emulator's token. The SDK takes one for any audience: then whoever receives the bot's replies, and the
        # bot's token with them, could send that token back and speak as any user of any channel.
        if claims.get("aud") != self._app_id:
            raise PermissionError("the token is for another audience")
        if activity.channel_id != Channels.emulator:
            raise PermissionError("the Emulator's token, for another channel")
