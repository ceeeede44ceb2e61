"""Who may use what is for development only: programs and pages of this machine, and no page of another site.

The bot listens on loopback, but any site that a developer visits can make the browser send requests there. `Origin`
gives it away; that it is no name of its own that resolves to 127.0.0.1 is `bots.local_only`'s to see.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable

from aiohttp import hdrs, web

from bots.local_only import is_loopback
from demos.page.channel import UnknownConversation
from storage.errors import StateEncodeError, StorageError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_ALLOWED_HEADERS = "Authorization, Content-Type, X-Requested-With, X-MS-Bot-Agent"


class Refused(Exception):
    """Raised for a request that is not served; `guarded` answers it as Direct Line words errors."""

    def __init__(self, kind: type[web.HTTPError], message: str, code: str = "BadArgument") -> None:
        super().__init__(message)
        self.status = kind.status_code
        self.code = code


def guarded(handler: Handler) -> Handler:
    """Wrap a handler: strangers get 403, an unknown conversation 404, what no store can keep 400, an outage 503."""

    @functools.wraps(handler)
    async def handle(request: web.Request) -> web.StreamResponse:
        headers: dict[str, str] = {}
        try:
            headers = _cross_origin_headers(request)
            response = await handler(request)
        except UnknownConversation as error:
            unknown = f"no conversation {str(error)!r} here: begin one with POST"
            response = _answer(Refused(web.HTTPNotFound, unknown, "UnknownConversation"))
        except StateEncodeError as error:
            response = _answer(Refused(web.HTTPBadRequest, f"this cannot be kept: {error}"))
        except StorageError as error:
            response = _answer(Refused(web.HTTPServiceUnavailable, str(error), "StorageError"))
        except Refused as refused:
            response = _answer(refused)
        if not response.prepared:
            response.headers.update(headers)
        return response

    return handle


def _answer(refused: Refused) -> web.StreamResponse:
    return web.json_response({"error": {"code": refused.code, "message": str(refused)}}, status=refused.status)


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
    if origin is not None and not is_loopback(origin):
        raise Refused(web.HTTPForbidden, "this is for programs and pages of this machine", "Forbidden")
    return {hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: origin, hdrs.VARY: hdrs.ORIGIN} if origin else {}
