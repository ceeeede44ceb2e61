"""Replies through a proxy that wants a password, over TLS: what is the proxy's is the proxy's, and the rest is not."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from infra.local.channel import Channel
from tests.certificates import certificate
from tests.e2e.conftest import Environment, Start
from tests.tunnels import Tunnels, tunnels

HOST = "channel.example"
PASSWORD = "Basic dXNlcjpwYXNzQHdvcmQ="  # of user:pass@word


class FarChannel:
    """A channel's connector that is reached over TLS, and only through the proxy."""

    def __init__(self, folder: Path) -> None:
        self.replies: list[web.Request] = []
        self.certificate, self._key = certificate(folder, [HOST])

    async def listening(self) -> TestServer:
        """Start it."""
        app = web.Application()
        app.router.add_post("/{path:.*}", self._take)
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(self.certificate, self._key)
        server = TestServer(app, scheme="https")
        await server.start_server(ssl=tls)
        return server

    async def _take(self, request: web.Request) -> web.Response:
        self.replies.append(request)
        return web.json_response({"id": "1"})


@pytest.fixture
async def far(tmp_path: Path) -> AsyncIterator[tuple[FarChannel, Tunnels]]:
    """The channel, and the proxy to it."""
    channel = FarChannel(tmp_path)
    server = await channel.listening()
    async with tunnels(server.port or 0, HOST) as proxy:
        yield channel, proxy
    await server.close()


@pytest.mark.parametrize("scheme", ["http://", ""])
async def test_a_proxys_password_is_told_the_proxy_alone_and_nothing_of_a_reply(
    far: tuple[FarChannel, Tunnels], machine: Environment, channel: Channel, start: Start, scheme: str
) -> None:
    connector, proxy = far
    environment = machine | {"STATE_STORAGE": "memory", "ALLOW_UNAUTHENTICATED": "true"}
    environment["https_proxy"] = f"{scheme}user:pass%40word@{proxy.address}"
    environment["SSL_CERT_FILE"] = str(connector.certificate)
    async with start(environment) as bot:
        message = channel.conversation().message("hi", "u1") | {"serviceUrl": f"https://{HOST}/"}
        assert (await channel.deliver(message, bot.url)).status == 201
        await bot.stop()
    (head,), (reply,) = proxy.asked, connector.replies
    assert f"Proxy-Authorization: {PASSWORD}\r\n" in head
    assert "Proxy-Authorization" not in reply.headers
    assert reply.headers["x-ms-conversation-id"] not in head
    assert "pass" not in bot.log
