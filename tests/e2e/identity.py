"""Entra on this machine: the endpoint that gives a container its tokens, and services that look at them."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jwt
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

HEADER = "the header that only this machine's processes know"
Trouble = Literal["", "400", "403", "down", "slow"]


@dataclass
class Place:
    """Where a production keeps its state: a service with TLS, the container made by whoever has the key.

    Attributes:
        environment: of the bot, as the templates set it but for the addresses, and a free port.
        service: the URL of the service's root.
        trusted: the certificate and its key.
    """

    environment: dict[str, str]
    service: str
    trusted: tuple[Path, Path]

    def at(self, service: str) -> dict[str, str]:
        """The environment of a bot that finds the service elsewhere."""
        return {name: value.replace(self.service, service) for name, value in self.environment.items()}

    @property
    def local(self) -> dict[str, str]:
        """Without the registration: a channel of this machine cannot sign as Microsoft's do."""
        kept = {name: value for name, value in self.environment.items() if not name.startswith("MicrosoftApp")}
        return kept | {"ALLOW_UNAUTHENTICATED": "true"}


class IdentityEndpoint:
    """What App Service and Container Apps give a process with a managed identity.

    Attributes:
        asked: the queries it got.
        trouble: what is wrong with it: an HTTP status; "down", it drops the connection; "slow", it never answers.
        lifetime: of the tokens, in seconds. The SDKs fetch a new one when less than 300 are left.
    """

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.trouble: Trouble = ""
        self.lifetime = 3600
        self._ended = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[dict[str, str]]:
        """Run it until the block ends; yield the variables that tell a process where it is."""
        app = web.Application()
        app.router.add_get("/token", self._token)
        async with TestServer(app) as server:
            yield {"IDENTITY_ENDPOINT": str(server.make_url("/token")), "IDENTITY_HEADER": HEADER}
            self._ended.set()

    async def _token(self, request: web.Request) -> web.Response:
        if request.headers.get("X-IDENTITY-HEADER") != HEADER:
            return web.json_response({"error": "unauthorized"}, status=401)
        self.asked.append(dict(request.query))
        if self.trouble == "slow":
            await self._ended.wait()
        if self.trouble == "down" and request.transport:
            request.transport.abort()
        if self.trouble.isdigit():
            return web.json_response({"error": "no such identity"}, status=int(self.trouble))
        resource, expires = request.query["resource"], int(time.time()) + self.lifetime
        token = {"access_token": _token(resource, expires), "token_type": "Bearer"}
        return web.json_response({**token, "resource": resource, "expires_on": expires})


class RoleCheck:
    """Stands before a service, as the service's own check of roles does: without one a request is 403.

    Attributes:
        assigned: whether the role for the data is.
        metadata: whether the role that only reads what an account and a container are is; Cosmos DB alone has it.
    """

    def __init__(self, certificate: Path, private_key: Path) -> None:
        self.assigned = True
        self.metadata = True
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._tls.load_cert_chain(certificate, private_key)

    @asynccontextmanager
    async def before(self, service: str) -> AsyncIterator[str]:
        """Pass on to the service at this URL until the block ends; yield the URL that does so."""
        app = web.Application(client_max_size=2**24)
        async with ClientSession(auto_decompress=False) as session:

            async def answer(request: web.Request) -> web.StreamResponse:
                may = self.assigned if _is_about_data(request) else self.metadata
                return await self._passed_on(request, session, service) if may else _forbidden(request)

            app.router.add_route("*", "/{path:.*}", answer)
            server = TestServer(app)
            await server.start_server(ssl=self._tls)
            try:
                yield f"https://127.0.0.1:{server.port}"
            finally:
                await server.close()

    async def _passed_on(self, request: web.Request, session: ClientSession, service: str) -> web.Response:
        headers = {name: value for name, value in request.headers.items() if name not in ("Host", "Transfer-Encoding")}
        url = service + request.raw_path
        async with session.request(
            request.method,
            url,
            data=await request.read(),
            headers=headers,
            ssl=False,
            skip_auto_headers=["Content-Type"],
        ) as answer:
            kept = {
                name: value
                for name, value in answer.headers.items()
                if name not in ("Transfer-Encoding", "Content-Length")
            }
            # An account of Cosmos DB says where it is, and the SDK goes on there.
            body = (await answer.read()).replace(service.encode(), f"https://{request.host}".encode())
            return web.Response(status=answer.status, headers=kept, body=body)


def _is_about_data(request: web.Request) -> bool:
    return request.path.startswith("/devstoreaccount1") or "/docs" in request.path


def _forbidden(request: web.Request) -> web.Response:
    """The answers of the two services: https://aka.ms/cosmos-native-rbac, and Blob Storage's error codes."""
    if request.path.startswith("/devstoreaccount1"):
        code = "AuthorizationPermissionMismatch"
        said = "This request is not authorized to perform this operation using this permission."
        body = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>{said}</Message></Error>'
        return web.Response(status=403, text=body, content_type="application/xml", headers={"x-ms-error-code": code})
    said = "Request is blocked because principal [p] does not have required RBAC permissions to perform action [a]."
    return web.json_response({"code": "Forbidden", "message": said}, status=403, headers={"x-ms-substatus": "5301"})


def _token(audience: str, expires: int) -> str:
    claims: dict[str, Any] = {
        "aud": audience,
        "iss": "https://sts.windows.net/00000000-0000-0000-0000-000000000001/",
        "iat": expires - 3700,
        "nbf": expires - 3700,
        "exp": expires,
    }
    return jwt.encode(claims, "nobody checks this signature here, it is long enough", algorithm="HS256")
