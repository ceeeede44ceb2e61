"""Without an app id the bot answers its own machine, called directly and by its own name, and calls nobody else."""

from __future__ import annotations

import asyncio
import json
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


FORWARDED = [
    *("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "X-Real-IP", "Via", "X-Original-Host"),
    *(
        "CF-Connecting-IP",
        "CF-Ray",
        "CDN-Loop",
        "True-Client-IP",
        "Fastly-Client-IP",
        "X-Azure-ClientIP",
        "X-ARR-LOG-ID",
    ),
    *("X-Client-IP", "X-Envoy-External-Address", "X-Amz-Cf-Id", "Tailscale-User-Login", "x-forwarded-for"),
]


@pytest.mark.parametrize("header", FORWARDED)
async def test_what_a_tunnel_or_proxy_brings_is_403_whoever_it_says_it_is_for(local: Channel, header: str) -> None:
    for value in ("203.0.113.9", "127.0.0.1", "localhost", ""):
        assert (await local.post(local.body(), **{header: value})).status == 403
    assert not local.turns


async def test_headers_of_the_channels_own_are_no_proxys(local: Channel) -> None:
    own = {"x-ms-conversation-id": "c", "X-MS-Bot-Agent": "WebChat", "X-Requested-With": "x", "Accept": "*/*"}
    assert (await local.post(local.body(), **own)).status == 201


@pytest.mark.parametrize("path", ["/api/messages", "/", "/healthz"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_a_proxy_that_calls_the_bot_localhost_and_adds_nothing_is_403_as_long_as_it_speaks_http_1_0(
    local: Channel, version: str, path: str
) -> None:
    body = json.dumps(local.body()).encode()
    method = "POST" if path == "/api/messages" else "GET"
    head = f"{method} {path} HTTP/{version}\r\nHost: localhost:{local.client.port}\r\nConnection: close\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    answer = await said_to(local, head.encode() + body)
    assert answer.startswith(b"HTTP/1.0 403 " if version == "1.0" else b"HTTP/1.1 20")
    assert len(local.turns) == (version == "1.1" and method == "POST")


async def said_to(local: Channel, request: bytes) -> bytes:
    """Send bytes as they are; return the first line of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", local.client.port)
    try:
        writer.write(request)
        return await reader.readline()
    finally:
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("path", ["/readyz", "/healthz", "/", "/api/messages"])
async def test_no_other_page_is_shown_to_strangers(local: Channel, path: str) -> None:
    assert (await local.client.get(path, headers={"Host": "example.com"})).status == 403


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_without_a_host_nobody_is_local(local: Channel, version: str) -> None:
    answer = await said_to(local, f"GET /healthz HTTP/{version}\r\n\r\n".encode())
    assert answer.split()[1] in (b"400", b"403")


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
