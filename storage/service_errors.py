"""What the failures of a service mean: the reason for a person, and whether the request may be sent again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aiohttp import ClientError, ClientResponseError
from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError

from storage.addresses import without_secrets
from storage.retries import seconds_asked

TOO_MANY_REQUESTS: Final = 429
# Request timeout, Cosmos DB's "retry with", and what a service or a gateway before it says of itself.
_PASSING: Final = {408, 449, TOO_MANY_REQUESTS, 500, 502, 503, 504}
_HINTS: Final = {
    401: "the credentials are refused",
    403: "the credentials are refused, or their role is missing",
    404: "it does not exist; create it, or set STORAGE_CREATE=true",
}


def status_of(error: BaseException | None) -> int:
    """The HTTP status of the answer that `error` stands for, or 0 where there was none."""
    status = getattr(error, "status_code", None)
    return status if isinstance(status, int) else 0


def reason(error: Exception) -> str:
    """What the service says, in one line, with a hint where the status tells what to do.

    Where it is not the service that speaks, the error's type and text. No URL in either has its query.
    """
    hint = _HINTS.get(status_of(error))
    said = _first_line(error)
    return f"{hint} ({said})" if hint else said


def _first_line(error: Exception) -> str:
    name = type(error).__name__
    if isinstance(error, HttpResponseError):
        return _discreet(error.message) or name
    if isinstance(error, ClientResponseError) or isinstance(
        getattr(error, "inner_exception", None), ClientResponseError
    ):
        return f"{name}: the answer is not HTTP"  # its text is the request's URL and what came instead of an answer
    text = _discreet(str(error))
    return f"{name}: {text}" if text else name


def _discreet(text: str) -> str:
    return without_secrets(next(iter(text.splitlines()), ""))


def retry_after(error: BaseException | None) -> float | None:
    """Seconds after which the request may be sent again (0: at once), or None where that would not help.

    No answer, half an answer and an answer of nobody's count as passing; an answer that refuses the request does not.
    """
    status = status_of(error)
    if status in _PASSING:
        return _asked(getattr(error, "headers", None) or getattr(getattr(error, "response", None), "headers", None))
    if status >= 400 or isinstance(error, ClientAuthenticationError):
        return None
    return 0.0 if isinstance(error, (AzureError, ClientError, OSError)) else None  # TimeoutError is an OSError


def _asked(headers: Mapping[str, str] | None) -> float:
    """https://learn.microsoft.com/azure/architecture/best-practices/retry-service-specific; 0 where it says nothing."""
    for name in ("x-ms-retry-after-ms", "retry-after-ms"):
        try:
            return max(0.0, float((headers or {})[name]) / 1000)
        except (KeyError, ValueError):
            continue
    return seconds_asked((headers or {}).get("Retry-After", ""))
