"""Whether the process lives, whether its storage answers, and what it says when it does not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from aiohttp.test_utils import TestClient, TestServer, unused_port

from app import create_app, serve
from bots import readiness
from bots.readiness import Readiness
from config import ConfigError, Settings
from storage import StorageUnavailable
from storage.blob import BlobStorage
from storage.cosmos import CosmosStorage
from storage.memory import MemoryStorage
from tests.unit.http_channel import Channel


async def test_a_ready_process_names_its_storage_and_a_living_one_says_ok(local: Channel) -> None:
    assert (await local.client.get("/readyz")).status == 200
    health = await local.client.get("/healthz")
    assert (health.status, await health.json()) == (200, {"status": "ok"})


async def test_while_the_storage_is_away_the_process_lives_and_is_not_ready(
    local: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail() -> None:
        raise StorageUnavailable("the service is away")

    monkeypatch.setattr(readiness, "GOOD_FOR", 0.0)
    with monkeypatch.context() as away:
        away.setattr(local.storage, "ping", fail)
        assert (await local.client.get("/readyz")).status == 503
        assert (await local.client.get("/healthz")).status == 200
    assert (await local.client.get("/readyz")).status == 200


class Asked(MemoryStorage):
    """Counts how often it is asked whether it answers."""

    def __init__(self, *answers: StorageUnavailable | None) -> None:
        super().__init__()
        self.answers = list(answers)
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def ping(self) -> None:
        answer = self.answers.pop(0)
        await self.may_answer.wait()
        if answer:
            raise answer


async def test_however_many_ask_whether_the_process_is_ready_the_storage_is_asked_once() -> None:
    storage = Asked(None)
    storage.may_answer.clear()
    ready = Readiness(storage)
    asking = [asyncio.create_task(ready.failure()) for _ in range(50)]
    await asyncio.sleep(0)
    asking.pop(0).cancel()  # who leaves does not take the answer away from the others
    storage.may_answer.set()
    assert await asyncio.gather(*asking) == [None] * 49


async def test_what_the_storage_answers_is_good_for_a_second() -> None:
    now = 0.0
    ready = Readiness(Asked(StorageUnavailable("away"), None), lambda: now)
    assert str(await ready.failure()) == "away"
    now = 0.9
    assert str(await ready.failure()) == "away"
    now = 1.0
    assert await ready.failure() is None


async def test_readiness_asked_for_over_and_over_costs_the_storage_one_question(
    local: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Asked(None)
    monkeypatch.setattr(local.storage, "ping", asked.ping)
    assert [(await local.client.get("/readyz")).status for _ in range(20)] == [200] * 20


KEY = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"


def _blob_away() -> Settings:
    address = f"http://127.0.0.1:{unused_port()}/ada"
    return Settings(
        state_storage="blob",
        blob_connection_string=f"AccountName=ada;AccountKey={KEY};BlobEndpoint={address}?sig={KEY}",
    )


def _cosmos_away() -> Settings:
    return Settings(state_storage="cosmos", cosmos_endpoint=f"https://127.0.0.1:{unused_port()}", cosmos_key=KEY)


@pytest.mark.parametrize(("kind", "away"), [(BlobStorage, _blob_away), (CosmosStorage, _cosmos_away)])
async def test_why_the_process_is_not_ready_is_told_without_the_secrets(
    monkeypatch: pytest.MonkeyPatch, kind: type, away: Callable[[], Settings]
) -> None:
    async def opened(_self: object) -> None:
        """The service was there when the process started."""

    monkeypatch.setattr(kind, "open", opened)
    async with TestClient(TestServer(create_app(away()))) as client:
        answer = await client.get("/readyz")
        told = await answer.text()
        assert answer.status == 503
        assert "cannot be reached" in told
        assert KEY not in told
        assert (await client.get("/healthz")).status == 200


async def test_settings_that_the_sdk_cannot_use_stop_the_start_with_one_line_and_no_secret() -> None:
    broken = Settings(state_storage="blob", blob_connection_string=f"AccountKey={KEY};=;nothing")
    with pytest.raises(ConfigError, match="STATE_STORAGE=blob") as caught:
        await serve(broken)
    assert KEY not in str(caught.value)
