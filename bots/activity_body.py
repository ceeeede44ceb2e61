"""The body of a request: read within bounds of time and size, parsed as strict JSON, checked to be an activity.

Strict, because what two parsers read differently is what attacks are made of: UTF-8 only, no name twice, no NaN, no
number beyond a double (RFC 7493). What an activity is:
https://github.com/microsoft/botframework-sdk/blob/main/specs/botframework-activity/botframework-activity.md
"""

from __future__ import annotations

import functools
import json
import math
import re
from contextlib import nullcontext
from types import NoneType
from typing import Any, Final
from urllib.parse import urlsplit

from aiohttp import web
from azure.core.exceptions import DeserializationError  # what msrest raises
from botbuilder.schema import Activity

from bots.refusals import refusal
from bots.turn.deadline import time_to_decide
from bots.wire import from_json

READ_SECONDS: Final = 10.0  # for the whole body
MAX_DEPTH: Final = 100  # of arrays and objects in each other; an Adaptive Card has 30 or so
MAX_VALUES: Final = 50_000  # in arrays and objects; a megabyte of them takes 30 MB, and the caller is not known yet
MAX_ID: Final = 2_000  # characters; the longest ids of channels have about 300
_REQUIRED: Final = ("type", "id", "channelId", "serviceUrl")
_ACCOUNTS: Final = ("conversation", "from")  # of which the id is required
_NOT_IN_ADDRESSES: Final = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


async def read_activity(request: web.Request) -> Activity:
    """Return the activity in the request's body.

    Raises the answers 400 for what is no activity, 408 for a body that does not arrive in time, 413 for one that is too
    large, 415 for another content type or encoding.
    """
    return _activity(_parse(await _read(request)))


async def _read(request: web.Request) -> bytes:
    if request.content_type != "application/json":
        raise refusal(web.HTTPUnsupportedMediaType, "expected Content-Type: application/json")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise refusal(web.HTTPUnsupportedMediaType, "expected a body without Content-Encoding")
    limit = request.client_max_size
    too_large = functools.partial(web.HTTPRequestEntityTooLarge, limit), f"the body has more than {limit} bytes"
    if (request.content_length or 0) > limit:
        raise refusal(*too_large, close=True)
    try:
        # What came together with the head, as small ones do, is not waited for.
        async with nullcontext() if request.content.is_eof() else time_to_decide(READ_SECONDS):
            return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise refusal(*too_large, close=True) from None
    except TimeoutError:
        raise refusal(web.HTTPRequestTimeout, "the body did not arrive in time", close=True) from None
    except web.RequestPayloadError:
        raise refusal(web.HTTPBadRequest, "the body is not what its headers say") from None


def _parse(body: bytes) -> dict[str, Any]:
    try:
        parsed = _STRICT.decode(body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise refusal(web.HTTPBadRequest, "the body is not JSON (in UTF-8, no name twice, finite numbers)") from None
    if not isinstance(parsed, dict):
        raise refusal(web.HTTPBadRequest, "the body is not an activity: expected a JSON object")
    if excess := _excess(parsed):
        raise refusal(web.HTTPBadRequest, f"the body is not an activity: {excess}")
    return parsed


def _activity(body: dict[str, Any]) -> Activity:
    if not isinstance(body.get("text"), (str, NoneType)):
        raise refusal(web.HTTPBadRequest, "the body is not an activity: text must be text")
    # Of the body, not of the activity: the SDK makes text of whatever it finds.
    wrong = [name for name in _REQUIRED if not _is_name(body.get(name))]
    wrong += [f"{name}.id" for name in _ACCOUNTS if not _is_name(_id_of(body.get(name)))]
    if wrong:
        raise refusal(
            web.HTTPBadRequest,
            f"the body is not an activity: {', '.join(wrong)} must be text of 1 to {MAX_ID} characters",
        )
    if not _is_service_url(body["serviceUrl"]):
        raise refusal(
            web.HTTPBadRequest, "the body is not an activity: serviceUrl must be an http or https URL of a host"
        )
    try:
        return from_json(body)
    except (DeserializationError, AttributeError, TypeError, ValueError, RecursionError) as error:
        raise refusal(web.HTTPBadRequest, "the body is not an activity: a field has the wrong type") from error


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("beyond a double")
    return number


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is there twice")
    return found


_STRICT: Final = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_object)


def _excess(value: object) -> str | None:
    """What is too much of it, if anything."""
    level, count = [value], 0
    for _ in range(MAX_DEPTH):
        count += sum(map(len, level))  # type: ignore[arg-type]
        if count > MAX_VALUES:
            return f"it has more than {MAX_VALUES} values"
        level = [
            child
            for each in level
            for child in (each.values() if isinstance(each, dict) else each)  # type: ignore[attr-defined]
            if type(child) is dict or type(child) is list
        ]
        if not level:
            return None
    return f"it is nested more than {MAX_DEPTH} deep"


def _id_of(account: object) -> object:
    return account.get("id") if isinstance(account, dict) else None


def _is_name(value: object) -> bool:
    # Half a surrogate pair, a control character or a dot segment cannot be put into the reply's address.
    if not isinstance(value, str) or not 0 < len(value) <= MAX_ID:
        return False
    return value not in (".", "..") and not _NOT_IN_ADDRESSES.search(value)


@functools.lru_cache  # channels have a few
def _is_service_url(value: str) -> bool:
    # No user part and no backslash: parsers differ about the host. No braces: the SDK takes it for a template.
    if re.search(r"[\s@\\{}]", value):
        return False
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
