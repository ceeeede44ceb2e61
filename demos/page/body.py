"""The body of a request to the channel: strict JSON, as the bot itself reads it."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from demos.page.guard import Refused
from storage.contract import JsonObject


async def json_object(request: web.Request) -> JsonObject:
    """Return the body, {} where there is none.

    Raises 400 for what is no JSON object in UTF-8, of finite numbers and whole characters, no name twice; 413 for one
    that the bot would not take for its size.
    """
    try:
        body = _parsed(await request.read() or b"{}")
    except web.HTTPRequestEntityTooLarge:
        limit = request.client_max_size
        raise Refused(web.HTTPRequestEntityTooLarge, f"the body has more than {limit} bytes") from None
    except (ValueError, RecursionError):
        wanted = "JSON (in UTF-8, no name twice, finite numbers, whole characters)"
        raise Refused(web.HTTPBadRequest, f"the body is not {wanted}") from None
    if not isinstance(body, dict):
        raise Refused(web.HTTPBadRequest, "the body is not a JSON object")
    return body


def _parsed(text: bytes) -> Any:
    body = json.loads(text, object_pairs_hook=_object)
    # What the parser lets through and no store takes: NaN, 1e999, half a surrogate pair.
    json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    return body


def _object(pairs: list[tuple[str, Any]]) -> JsonObject:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is there twice")
    return found
