"""The hosts that a bot with an app id asks, played on this machine: whose keys sign tokens, and its own token.

The process under test is unchanged and uses the addresses of production; it reaches them through a proxy, over TLS.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.certificates import certificate
from tests.issuers import ENDORSED, Issuer
from tests.tunnels import tunnels

BOT_FRAMEWORK, ENTRA = "login.botframework.com", "login.microsoftonline.com"
BOTS_TOKEN = "the-token-that-the-bot-sends-with-its-replies"


class Internet:
    """What it takes to authenticate.

    Attributes:
        channels: signs the channels' tokens.
        entra: signs the Emulator's.
        sign_ins: the forms with which the bot asked for its own token, with the path that it asked at.
        sign_in_status: what these are answered with.
        is_up, may_answer: whether the issuers say their keys, and when.
        environment: the variables with which a process gets here.
    """

    def __init__(self) -> None:
        self.channels = Issuer("channels", ENDORSED)
        self.entra = Issuer("entra", None)
        self.sign_ins: list[dict[str, Any]] = []
        self.sign_in_status = 200
        self.is_up = True
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.environment: dict[str, str] = {}

    async def metadata(self, request: web.Request) -> web.Response:
        await self.may_answer.wait()
        if not self.is_up:
            return web.json_response({"error": "unavailable"}, status=503)
        return web.json_response({"jwks_uri": f"https://{request.host}/keys"})

    async def keys(self, request: web.Request) -> web.Response:
        return web.json_response((self.channels if request.host == BOT_FRAMEWORK else self.entra).jwks())

    async def sign_in(self, request: web.Request) -> web.Response:
        self.sign_ins.append({"path": request.path, **await request.post()})
        if self.sign_in_status != 200:
            return web.json_response({"error": "invalid_client"}, status=self.sign_in_status)
        return web.json_response({"token_type": "Bearer", "expires_in": 3600, "access_token": BOTS_TOKEN})


@contextlib.asynccontextmanager
async def internet(folder: Path) -> AsyncIterator[Internet]:
    """Run the hosts and the proxy until the block ends."""
    found = Internet()
    app = web.Application()
    app.router.add_get("/v1/.well-known/openidconfiguration", found.metadata)
    app.router.add_get("/common/v2.0/.well-known/openid-configuration", found.metadata)
    app.router.add_get("/keys", found.keys)
    app.router.add_post("/{tenant}/oauth2/v2.0/token", found.sign_in)
    public, private = certificate(folder, [BOT_FRAMEWORK, ENTRA])
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(public, private)
    server = TestServer(app, scheme="https")
    await server.start_server(ssl=tls)
    try:
        async with tunnels(server.port or 0, BOT_FRAMEWORK, ENTRA) as proxy:
            address = f"http://{proxy.address}"
            found.environment = {
                "HTTPS_PROXY": address,
                "https_proxy": address,
                "NO_PROXY": "127.0.0.1,localhost",
                "no_proxy": "127.0.0.1,localhost",
                "REQUESTS_CA_BUNDLE": str(public),
                "SSL_CERT_FILE": str(public),
            }
            try:
                yield found
            finally:
                found.may_answer.set()
    finally:
        await server.close()
