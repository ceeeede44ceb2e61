"""The page itself, and what its buttons ask for."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final, Never

from aiohttp import web

from demos.page.body import json_object
from demos.page.channel import LocalChannel, NotTaken, Route
from demos.page.documents import stored_documents
from demos.page.feed import Feed
from demos.page.guard import Refused, guarded
from demos.page.relay import relayed_post, relayed_stream
from demos.page.replicas import Replicas
from storage.base import StateStorage

_STATIC: Final = Path(__file__).parent / "static"
_HEADERS: Final = {
    # No request leaves this machine, and nothing that a user or the bot says can run.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


class PageRoutes:
    """The handlers."""

    def __init__(self, channel: LocalChannel, feed: Feed, replicas: Replicas, storage: StateStorage) -> None:
        self._channel = channel
        self._feed = feed
        self._replicas = replicas
        self._storage = storage

    def mount(self, app: web.Application) -> None:
        """Add the routes."""
        for method, path, handler in (
            ("GET", "/", self._file),
            ("GET", "/page/static/{file}", self._file),
            ("GET", "/page/about", self._about),
            ("GET", "/page/replicas", self._list_replicas),
            ("GET", "/page/state", self._state),
            ("GET", "/page/events", self._events),
            ("POST", "/page/redeliver", self._redeliver),
            ("POST", "/page/restart", self._restart),
        ):
            app.router.add_route(method, path, guarded(handler))

    async def route_of(self, request: web.Request) -> Route:
        """Return the way to the replica that `replica` in the query names, without one to this process.

        Raises 400 for a URL at which none of them listens.
        """
        return Route(await self._other(request) or _own_url(request), _own_url(request))

    async def _file(self, request: web.Request) -> web.StreamResponse:
        file = _STATIC / request.match_info.get("file", "index.html")
        if file not in _STATIC.iterdir():
            raise Refused(web.HTTPNotFound, "no such file", "NotFound")
        return web.FileResponse(file, headers=_HEADERS)

    async def _about(self, _request: web.Request) -> web.Response:
        return web.json_response({**self._replicas.me, "storage": str(self._storage)})

    async def _list_replicas(self, request: web.Request) -> web.Response:
        return web.json_response(await self._replicas.alive() or [_own_url(request)])

    async def _state(self, request: web.Request) -> web.Response:
        conversation, user = (request.query.get(name, "") for name in ("conversation", "user"))
        return web.json_response(await stored_documents(self._storage, conversation, user))

    async def _redeliver(self, request: web.Request) -> web.Response:
        body = await json_object(request)
        conversation, activity = str(body.get("conversation")), str(body.get("activity"))
        try:
            await self._channel.deliver_again(conversation, activity, await self.route_of(request))
        except KeyError:
            raise Refused(web.HTTPNotFound, f"no activity {activity!r} of a user in that conversation") from None
        except NotTaken as error:
            raise Refused(web.HTTPBadGateway, str(error), "BotError") from error
        return web.json_response({"id": activity})

    async def _events(self, request: web.Request) -> web.StreamResponse:
        other = await self._other(request)
        return await (self._feed.stream(request) if other is None else relayed_stream(request, f"{other}/page/events"))

    async def _restart(self, request: web.Request) -> web.StreamResponse:
        other = await self._other(request)
        if other:
            return await relayed_post(f"{other}/page/restart")
        if self._replicas.me["url"] is None:
            raise Refused(web.HTTPNotImplemented, "only `python app.py` can start itself again", "NotRestartable")
        response = web.json_response(self._replicas.me)
        await response.prepare(request)
        await response.write_eof()
        return _become_a_new_process(_port(request))

    async def _other(self, request: web.Request) -> str | None:
        wanted = request.query.get("replica")
        if not wanted or wanted in (self._replicas.me["url"], _own_url(request)):
            return None
        if wanted not in await self._replicas.alive():
            raise Refused(web.HTTPBadRequest, f"no replica of this bot listens at {wanted!r}", "UnknownReplica")
        return wanted


def _become_a_new_process(port: int) -> Never:
    """Start the program again in place of this process, as after `kill -9`: nothing is finished, saved or closed."""
    os.execve(sys.executable, sys.orig_argv, {**os.environ, "PORT": str(port)})  # noqa: S606 - our own command line


def _own_url(request: web.Request) -> str:
    host = _socket_name(request)[0]
    return f"http://{f'[{host}]' if ':' in host else host}:{_port(request)}"


def _port(request: web.Request) -> int:
    return int(_socket_name(request)[1])


def _socket_name(request: web.Request) -> tuple[str, int]:
    assert request.transport is not None
    host, port, *_ = request.transport.get_extra_info("sockname")
    return host, port
