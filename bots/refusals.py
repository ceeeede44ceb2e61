"""Requests that are refused or fail: one answer in JSON with a reason, and one line in the log."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from bots.logs import fields

RETRY_AFTER: Final = 1  # seconds

_log = logging.getLogger(__name__)


def refusal(kind: Callable[..., web.HTTPError], reason: str, *, close: bool = False) -> web.HTTPError:
    """Return the answer to raise: `{"error": reason}`, on a server's error with Retry-After.

    Args:
        kind: one of aiohttp's errors.
        reason: fixed text: nothing of the request, nothing of another error.
        close: the connection afterwards; else the rest of a body would be awaited, to be thrown away.
    """
    error = _with_reason(kind(), reason)
    if isinstance(error, web.HTTPServerError):
        error.headers["Retry-After"] = str(RETRY_AFTER)
    if close:
        error.force_close()
    return error


@web.middleware
async def refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Make every error an answer in JSON, aiohttp's own (404, 405) and what nothing else catches (500) too.

    The line has no path, header or body of the request: they are the caller's to write.
    """
    with fields():
        try:
            return await handler(request)
        except web.HTTPError as error:
            if error.content_type != "application/json":
                _with_reason(error, error.reason)
            _report(request, error)
            raise
        except ConnectionError:
            raise  # the caller has gone
        except Exception:
            _log.exception("500 %s", _route(request))
            raise _with_reason(web.HTTPInternalServerError(), "the bot failed") from None


def _with_reason(error: web.HTTPError, reason: str) -> web.HTTPError:
    error.text = json.dumps({"error": reason})
    error.content_type = "application/json"
    return error


def _report(request: web.Request, error: web.HTTPError) -> None:
    level = logging.ERROR if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR else logging.WARNING
    reason = json.loads(error.text or "{}").get("error", error.reason)
    if error.__cause__:
        _log.log(level, "%d %s: %s: %s", error.status, _route(request), reason, error.__cause__)
    else:
        _log.log(level, "%d %s: %s", error.status, _route(request), reason)


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource else "no route"
