"""The client of OAuth prompts is made once, and every turn signs the bot in all the same."""

from __future__ import annotations

import pytest
from botframework.connector.auth import AppCredentials, AuthenticationConstants, ClaimsIdentity

from bots.channel_auth import ChannelAuthentication
from bots.credentials import BotCredentialsFactory, BotIdentity, NotSignedIn

APP_ID = "the-bot"
CALLER = ClaimsIdentity({AuthenticationConstants.AUDIENCE_CLAIM: APP_ID}, True)


class SigningIn(BotCredentialsFactory):
    """Counts the sign-ins; refuses them when `is_up` is False."""

    def __init__(self, identity: BotIdentity) -> None:
        super().__init__(identity)
        self.asked: list[tuple[str, str]] = []
        self.is_up = True

    async def create_credentials(
        self, app_id: str, oauth_scope: str, login_endpoint: str, validate_authority: bool
    ) -> AppCredentials:
        if not self.is_up:
            raise NotSignedIn("down")
        self.asked.append((app_id, oauth_scope))
        return AppCredentials(app_id=app_id, oauth_scope=oauth_scope)


async def test_turns_share_the_client_and_each_signs_in() -> None:
    identity = BotIdentity(APP_ID, "secret", "MultiTenant", None)
    credentials = SigningIn(identity)
    authentication = ChannelAuthentication(identity, credentials)
    clients = [await authentication.create_user_token_client(CALLER) for _ in range(3)]
    assert clients[0] is clients[1] is clients[2]
    assert credentials.asked == [(APP_ID, authentication.get_originating_audience())] * 3
    credentials.is_up = False
    with pytest.raises(NotSignedIn):
        await authentication.create_user_token_client(CALLER)


async def test_the_client_is_not_lent_to_another_app() -> None:
    identity = BotIdentity(APP_ID, "secret", "MultiTenant", None)
    authentication = ChannelAuthentication(identity, BotCredentialsFactory(identity))
    other = ClaimsIdentity({AuthenticationConstants.AUDIENCE_CLAIM: "another"}, True)
    with pytest.raises(PermissionError):
        await authentication.create_user_token_client(other)
