"""Without an app id the bot answers its own machine, called directly and by its own name, and calls nobody else."""

from __future__ import annotations

import asyncio
import logging

import pytest

from bots.local_only import is_loopback
from config import Settings
from tests.unit.http_channel import Channel, channel

OPEN = Settings(state_storage="memory", allow_unauthenticated=True)
LOCAL_NAMES = ["localhost", "localhost:3978", "LOCALHOST", "127.0.0.1", "127.0.0.1:80", "127.8.8.8", "[::1]", "[::1]:5"]
EVERYWHERE = "0.0.0.0"  # noqa: S104 - no name of this machine, though some systems take it for one
FOREIGN_NAMES = [
    *("example.com", "localhost.example.com", "127.0.0.1.nip.io", "example.com:3978", "192.168.1.10", "[::2]"),
    *("localhost@example.com", "a b", "[::1", "2130706433", "127.1", "", EVERYWHERE),
]


@pytest.mark.parametrize("host", LOCAL_NAMES)
async def test_a_name_of_this_machine_is_answered(local: Channel, host: str) -> None:
    assert (await local.post(local.body(), Host=host)).status == 201


@pytest.mark.parametrize("host", FOREIGN_NAMES)
async def test_a_web_page_whose_name_was_pointed_at_this_machine_is_403(local: Channel, host: str) -> None:
    answer = await local.post(local.body(), Host=host)
    assert answer.status == 403
    said = (await answer.json())["error"]
    assert "MicrosoftAppId" in said
    assert "ALLOW_UNAUTHENTICATED=true" in said
    assert not local.turns


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Forwarded-Host", "Forwarded", "X-Real-IP"])
async def test_what_a_tunnel_or_proxy_brings_is_403_whoever_it_says_it_is_for(local: Channel, header: str) -> None:
    for value in ("203.0.113.9", "127.0.0.1", "localhost", ""):
        assert (await local.post(local.body(), **{header: value})).status == 403
    assert not local.turns


@pytest.mark.parametrize("path", ["/readyz", "/healthz", "/", "/api/messages"])
async def test_no_other_page_is_shown_to_strangers(local: Channel, path: str) -> None:
    assert (await local.client.get(path, headers={"Host": "example.com"})).status == 403


async def test_without_a_host_nobody_is_local(local: Channel) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", local.client.port)
    writer.write(b"GET /healthz HTTP/1.0\r\n\r\n")
    assert b"403" in await reader.readline()
    writer.close()
    await writer.wait_closed()


FOREIGN_URLS = [
    *(
        "https://smba.trafficmanager.net/emea/",
        "http://example.com",
        "http://169.254.169.254/metadata",
        "http://[::2]/",
    ),
    *(
        "http://localhost.example.com",
        "http://127.0.0.1.nip.io",
        "http://0.0.0.0:1",
        "http://2130706433",
        "http://host",
    ),
]


@pytest.mark.parametrize("url", FOREIGN_URLS)
async def test_a_service_url_elsewhere_is_403_and_nothing_is_sent_or_stored(local: Channel, url: str) -> None:
    answer = await local.post(local.body(serviceUrl=url))
    assert answer.status == 403
    assert "serviceUrl" in (await answer.json())["error"]
    assert "ALLOW_UNAUTHENTICATED=true" in (await answer.json())["error"]
    assert not local.turns
    assert not local.storage._documents


async def test_who_trusts_everyone_is_answered_by_any_name_and_through_any_proxy() -> None:
    async with channel(using=OPEN) as local:
        through = {"Host": "bot.example.com", "X-Forwarded-For": "203.0.113.9"}
        assert (await local.post(local.body(), **through)).status == 201


@pytest.mark.parametrize(
    "url", ["http://localhost", "https://LOCALHOST:1/x", "http://127.0.0.9:5/", "http://[::1]:5", "//localhost"]
)
def test_these_are_on_this_machine(url: str) -> None:
    assert is_loopback(url)


async def test_one_line_is_logged_that_says_nothing_of_the_caller(
    local: Channel, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        await local.post(local.body(), Host="evil.example.com")
    (line,) = [record for record in caplog.records if record.name.startswith("bots")]
    assert "evil" not in line.getMessage()
