"""Requests that are refused or fail: one answer in JSON with a reason, and one line in the log."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from bots.logs import fields

RETRY_AFTER: Final = 1  # seconds

_log = logging.getLogger(__name__)


def refusal(kind: Callable[..., web.HTTPError], reason: str, *, close: bool = False) -> web.HTTPError:
    """Return the error to raise, which `refusals` answers: `{"error": reason}`, on a server's error with Retry-After.

    Args:
        kind: one of aiohttp's errors.
        reason: fixed text: nothing of the request, nothing of another error.
        close: the connection afterwards; else the rest of a body would be awaited, to be thrown away.
    """
    error = kind(reason=reason)
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
            _report(request, error)
            return _answer(error)
        except Exception as error:
            if isinstance(error, ConnectionError) and request.transport is None:
                gone = refusal(web.HTTPBadRequest, "the caller hung up in the middle of the request", close=True)
                _report(request, gone)
                return _answer(gone)  # nobody gets it; aiohttp would show where an error was raised
            _log.exception("500 %s", _route(request))
            return web.json_response({"error": "the bot failed"}, status=HTTPStatus.INTERNAL_SERVER_ERROR)
        finally:
            # Why a body did not arrive is kept by its stream, with a traceback: the cycle of `_answer` again.
            if failure := request.content.exception():
                failure.__traceback__ = None


async def expectations(request: web.Request) -> None:
    """Let who asks for it send the body, and ignore what else is expected (RFC 9110, 10.1.1).

    In place of aiohttp's own, which answers 500 where the header is no ASCII.
    """
    if request.headers.get("Expect", "").lower() == "100-continue":
        with suppress(ConnectionError):  # who has gone is noticed when the body is read
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the answer itself is still to come


def _answer(error: web.HTTPError) -> web.Response:
    # Not the error itself: aiohttp would hold it, its traceback the frames, and these the request's body, in a cycle
    # that is freed only when the garbage collector comes to it. Large bodies would pile up.
    headers = {name: error.headers[name] for name in ("Allow", "Retry-After") if name in error.headers}
    answer = web.json_response({"error": error.reason}, status=error.status, headers=headers)
    if error.keep_alive is False:
        answer.force_close()
    return answer


def _report(request: web.Request, error: web.HTTPError) -> None:
    level = logging.ERROR if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR else logging.WARNING
    if error.__cause__:
        _log.log(level, "%d %s: %s: %s", error.status, _route(request), error.reason, error.__cause__)
    else:
        _log.log(level, "%d %s: %s", error.status, _route(request), error.reason)


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource else "no route"
