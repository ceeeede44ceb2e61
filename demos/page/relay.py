"""What a page asks of another replica goes through the one that served it: so the page talks to its own origin only."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from aiohttp import ClientError, ClientSession, ClientWebSocketResponse, WSMsgType, web

from demos.page.guard import Refused


async def relayed_post(url: str) -> web.Response:
    """Post there and return the answer. Raises 502 where nobody answers."""
    try:
        async with ClientSession() as http, http.post(url) as answer:
            return web.Response(status=answer.status, body=await answer.read(), content_type=answer.content_type)
    except ClientError as error:
        raise _no_answer(url) from error


async def relayed_stream(request: web.Request, url: str) -> web.WebSocketResponse:
    """Pass on the texts of the WebSocket there until one of the two sides ends. Raises 502 where nobody answers."""
    socket = web.WebSocketResponse(heartbeat=30.0)
    async with ClientSession() as http:
        try:
            source = await http.ws_connect(url, params=dict(request.query), heartbeat=30.0)
        except ClientError as error:
            raise _no_answer(url) from error
        await socket.prepare(request)
        passing = asyncio.create_task(_pass(source, socket))
        try:
            async for _message in socket:
                pass
        finally:
            passing.cancel()
            await source.close()
    return socket


async def _pass(source: ClientWebSocketResponse, socket: web.WebSocketResponse) -> None:
    with suppress(ConnectionError):
        async for message in source:
            if message.type == WSMsgType.TEXT:
                await socket.send_str(message.data)
    await socket.close(code=1001, message=b"the replica stops")


def _no_answer(url: str) -> Refused:
    return Refused(web.HTTPBadGateway, f"{url} does not answer", "BotError")
