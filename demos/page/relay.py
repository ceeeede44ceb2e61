"""What a page asks of another replica goes through the one that served it: so the page talks to its own origin only."""

from __future__ import annotations

from aiohttp import ClientError, ClientSession, ClientTimeout, web

from demos.page.guard import refusal


async def relayed_post(url: str) -> web.Response:
    """Post there and return the answer. Raises 502 where nobody answers."""
    try:
        async with ClientSession() as http, http.post(url) as answer:
            return web.Response(status=answer.status, body=await answer.read(), content_type=answer.content_type)
    except ClientError as error:
        raise _no_answer(url) from error


async def relayed_events(request: web.Request, replica: str) -> web.StreamResponse:
    """Pass on the replica's server-sent events until it ends, or the page is closed."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    query = {"conversation": request.query.get("conversation", "")}
    last = {name: request.headers[name] for name in ("Last-Event-ID",) if name in request.headers}
    try:
        async with (
            ClientSession(timeout=ClientTimeout(None)) as http,
            http.get(f"{replica}/page/events", params=query, headers=last) as events,
        ):
            await response.prepare(request)
            async for chunk in events.content.iter_any():
                await response.write(chunk)
    except (ClientError, ConnectionError) as error:
        if not response.prepared:
            raise _no_answer(replica) from error
    return response


def _no_answer(url: str) -> web.HTTPError:
    return refusal(web.HTTPBadGateway, f"{url} does not answer", "BotError")
