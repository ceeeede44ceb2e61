"""With an app id, only the channels of this bot reach it."""

from __future__ import annotations

import jwt
import pytest
import requests

from config import Settings
from tests.unit.http_channel import channel

PASSWORD = "ab~secret"
GUARDED = Settings(state_storage="memory", app_id="4d0f2c1e-0000-0000-0000-000000000001", app_password=PASSWORD)
TOKEN = jwt.encode({"iss": "https://api.botframework.com"}, "k" * 40, headers={"kid": "unknown"})
FOREIGN = jwt.encode({"iss": "https://example.com"}, "k" * 40)


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer x", "Bearer a.b.c", "Basic YTpi", f"Bearer {FOREIGN}"])
async def test_with_an_app_id_a_request_without_a_valid_token_is_401_and_the_bot_does_not_run(
    header: str | None,
) -> None:
    async with channel(using=GUARDED) as local:
        headers = {} if header is None else {"Authorization": header}
        answer = await local.post(local.body(), **headers)
        assert answer.status == 401
        assert PASSWORD not in await answer.text()
        assert not local.turns


async def test_while_the_channels_keys_cannot_be_fetched_a_token_is_503_and_the_bot_does_not_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def offline(*_arguments: object, **_options: object) -> None:
        raise requests.ConnectionError("no network")

    monkeypatch.setattr(requests, "get", offline)
    async with channel(using=GUARDED) as local:
        answer = await local.post(local.body(), Authorization=f"Bearer {TOKEN}")
        assert answer.status == 503
        assert "Retry-After" in answer.headers
        assert not local.turns
