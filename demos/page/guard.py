"""Who may use what is for development only: programs and pages of this machine, and no page of another site.

The bot listens on loopback, but any site that a developer visits can make the browser send requests there, also
under a name of its own that resolves to 127.0.0.1 (DNS rebinding). `Host` and `Origin` give both away.
"""

from __future__ import annotations

import functools
import ipaddress
import json
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from demos.page.channel import UnknownConversation
from storage.errors import StorageError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_ALLOWED_HEADERS = "Authorization, Content-Type, X-Requested-With, X-MS-Bot-Agent"


def refusal(kind: type[web.HTTPError], message: str, code: str = "BadArgument") -> web.HTTPError:
    """Return an error as Direct Line words it, to be raised."""
    body = json.dumps({"error": {"code": code, "message": message}})
    return kind(text=body, content_type="application/json")


def guarded(handler: Handler) -> Handler:
    """Wrap a handler: strangers get 403, an unknown conversation 404, a storage that does not answer 503."""

    @functools.wraps(handler)
    async def handle(request: web.Request) -> web.StreamResponse:
        cross_origin = _cross_origin_headers(request)
        try:
            response = await handler(request)
        except UnknownConversation as error:
            response = refusal(
                web.HTTPNotFound, f"no conversation {str(error)!r} here: begin one with POST", "UnknownConversation"
            )
        except StorageError as error:
            response = refusal(web.HTTPServiceUnavailable, str(error), "StorageError")
        except web.HTTPException as error:
            response = error
        if not response.prepared:
            response.headers.update(cross_origin)
        if isinstance(response, web.HTTPException):
            raise response
        return response

    return handle


async def preflight(_request: web.Request) -> web.StreamResponse:
    """Answer a browser that asks whether a page of another port may call."""
    return web.Response(
        status=204,
        headers={
            hdrs.ACCESS_CONTROL_ALLOW_METHODS: "GET, POST",
            hdrs.ACCESS_CONTROL_ALLOW_HEADERS: _ALLOWED_HEADERS,
            hdrs.ACCESS_CONTROL_MAX_AGE: "600",
        },
    )


def _cross_origin_headers(request: web.Request) -> dict[str, str]:
    origin = request.headers.get(hdrs.ORIGIN)
    if not _is_of_this_machine(f"//{request.host}") or not (origin is None or _is_of_this_machine(origin)):
        raise refusal(web.HTTPForbidden, "this is for programs and pages of this machine", "Forbidden")
    return {hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: origin, hdrs.VARY: hdrs.ORIGIN} if origin else {}


def _is_of_this_machine(url: str) -> bool:
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
