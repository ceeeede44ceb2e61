"""The storages reach their service through the environment's proxy, where there is one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from config import Settings
from storage import StorageUnavailable, create_storage

KEY = "c2VjcmV0"
ELSEWHERE = {
    "GET http://account.example/": Settings(
        state_storage="blob",
        blob_connection_string=f"AccountName=account;AccountKey={KEY};BlobEndpoint=http://account.example",
    ),
    "CONNECT account.example:443 ": Settings(
        state_storage="cosmos", cosmos_endpoint="https://account.example", cosmos_key=KEY
    ),
}


@pytest.fixture
async def asked(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[str]]:
    """What a proxy that refuses everything is asked for."""
    found: list[str] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    proxy = await asyncio.start_server(refuse, "127.0.0.1", 0)
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    yield found
    proxy.close()


@pytest.mark.parametrize("request_line", ELSEWHERE)
async def test_a_service_is_asked_through_the_environments_proxy(asked: list[str], request_line: str) -> None:
    async with aclosing(create_storage(ELSEWHERE[request_line])) as storage:
        with pytest.raises(StorageUnavailable):
            await storage.open()
    assert asked
    assert all(head.startswith(request_line) for head in asked)
