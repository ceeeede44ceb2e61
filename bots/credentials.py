"""The bot's own token, which goes with its replies: of an app registration with a password, or a managed identity.

The SDK's credentials sign in anew in every turn, with blocking calls in the event loop, and know no time limit for a
managed identity. These keep the token until shortly before it expires.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from botframework.connector.auth import (
    AppCredentials,
    AuthenticationConstants,
    MicrosoftAppCredentials,
    ServiceClientCredentialsFactory,
)

from bots.turn.deadline import time_to_decide
from bots.turn.errors import TryAgain

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential

PATIENCE: Final = 10.0  # seconds for signing in; the channel waits 15 for the turn


@dataclass(frozen=True, slots=True)
class BotIdentity:
    """Who the bot is to the channels, under the names that the SDK's configuration object has."""

    APP_ID: str | None  # None: authentication is off
    APP_PASSWORD: str | None = field(repr=False)
    APP_TYPE: str
    APP_TENANTID: str | None


class NotSignedIn(TryAgain):
    """Raised before the turn when the bot gets no token: it could not reply."""


class BotCredentials(AppCredentials):
    """What the SDK's clients sign their requests with: always the latest token of the scope."""

    def __init__(self, app_id: str, scope: str, latest: dict[str, str]) -> None:
        super().__init__(app_id=app_id, oauth_scope=scope)
        self._latest = latest

    def get_access_token(self, force_refresh: bool = False) -> str:
        """Return the token."""
        return self._latest[self.oauth_scope]


class BotCredentialsFactory(ServiceClientCredentialsFactory):
    """Signs the bot in.

    Args:
        identity: MultiTenant and SingleTenant with a password, UserAssignedMSI with the identity of the host.
    """

    def __init__(self, identity: BotIdentity) -> None:
        self._identity = identity
        self._credential: AsyncTokenCredential | None = None
        self._latest: dict[str, str] = {}

    async def is_valid_app_id(self, app_id: str) -> bool:
        return app_id == self._identity.APP_ID

    async def is_authentication_disabled(self) -> bool:
        return not self._identity.APP_ID

    async def create_credentials(
        self,
        app_id: str,
        oauth_scope: str,
        login_endpoint: str,
        validate_authority: bool,
    ) -> AppCredentials:
        """Return credentials that have a token.

        The sign-in endpoint is azure-identity's: AZURE_AUTHORITY_HOST, or that of the public cloud. Raises
        `NotSignedIn`, and PermissionError for another app's id.
        """
        if await self.is_authentication_disabled():
            return MicrosoftAppCredentials.empty()
        if app_id != self._identity.APP_ID:
            raise PermissionError("the app id is not this bot's")
        credentials = BotCredentials(app_id, oauth_scope, self._latest)
        self._credential = self._credential or _sign_in(self._identity)
        try:
            async with time_to_decide(PATIENCE):
                token = await self._credential.get_token(f"{credentials.oauth_scope}/.default")
        except Exception as error:  # azure-identity raises its own errors, azure-core's and its transport's
            raise NotSignedIn("the bot gets no token for its replies; check MicrosoftApp...") from error
        self._latest[credentials.oauth_scope] = token.token
        return credentials

    async def aclose(self) -> None:
        """Close the connections to the sign-in endpoint."""
        if self._credential:
            await self._credential.close()


def _sign_in(identity: BotIdentity) -> AsyncTokenCredential:
    # Imported here: a bot without an identity starts without it.
    from azure.identity.aio import ClientSecretCredential, ManagedIdentityCredential

    if identity.APP_TYPE == "UserAssignedMSI":
        return ManagedIdentityCredential(client_id=identity.APP_ID)
    tenant = identity.APP_TENANTID if identity.APP_TYPE == "SingleTenant" else None
    return ClientSecretCredential(
        tenant or AuthenticationConstants.DEFAULT_CHANNEL_AUTH_TENANT,
        identity.APP_ID or "",
        identity.APP_PASSWORD or "",
    )
