"""An account whose reads may be outdated is not used by accident: a replica would take what it misses for undone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from azure.cosmos.exceptions import CosmosHttpResponseError

from storage import StorageUnavailable
from storage.cosmos import CosmosStorage


class Account:
    """The few things that a client tells of its account and container."""

    def __init__(self, endpoint: str, level: str) -> None:
        self.client_connection = SimpleNamespace(url_connection=endpoint)
        self._level = level

    async def _get_database_account(self) -> Any:
        return SimpleNamespace(ConsistencyPolicy={"defaultConsistencyLevel": self._level})

    def get_database_client(self, _name: str) -> Account:
        return self

    get_container_client = get_database_client

    async def read(self) -> dict[str, Any]:
        return {"partitionKey": {"paths": ["/id"]}}

    def query_items(self, _query: str) -> Any:
        async def nothing() -> AsyncIterator[Any]:
            return
            yield

        return SimpleNamespace(by_page=nothing)

    async def close(self) -> None:
        """Nothing is open."""


def storage(endpoint: str, level: str, *, stale_reads: bool = False) -> CosmosStorage:
    client: Any = Account(endpoint, level)
    return CosmosStorage(client, "bot-state", "state", stale_reads=stale_reads)


@pytest.mark.parametrize("level", ["Session", "ConsistentPrefix", "Eventual"])
async def test_an_account_that_may_answer_old_versions_is_refused_with_what_to_do(level: str) -> None:
    with pytest.raises(StorageUnavailable, match=f"{level}.*Strong.*COSMOS_STALE_READS"):
        await storage("https://ada.documents.azure.com:443/", level).open()


@pytest.mark.parametrize(
    ("endpoint", "level", "stale_reads"),
    [
        ("https://ada.documents.azure.com:443/", "Strong", False),
        ("https://ada.documents.azure.com:443/", "BoundedStaleness", False),
        ("https://ada.documents.azure.com:443/", "Session", True),
        ("https://localhost:8081/", "Session", False),
        ("https://cosmos:8081/", "Session", False),
    ],
)
async def test_an_account_that_answers_the_last_version_is_used_and_an_emulator_and_what_is_asked_for(
    endpoint: str, level: str, stale_reads: bool
) -> None:
    async with storage(endpoint, level, stale_reads=stale_reads):
        pass


async def test_an_identity_that_may_not_query_starts_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused() -> AsyncIterator[Any]:
        raise CosmosHttpResponseError(status_code=403, message="no right to query")  # type: ignore[no-untyped-call]
        yield

    monkeypatch.setattr(Account, "query_items", lambda *_: SimpleNamespace(by_page=refused))
    await storage("https://ada.documents.azure.com:443/", "Strong").open()
