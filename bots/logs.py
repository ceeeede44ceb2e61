"""What the process logs, and what it never does: texts that users wrote, who they are, keys and tokens.

Where an exception is logged, its type is told, the status that a service answered, and where it was raised. Its text is
not, unless it is asked for: it may hold what a user wrote (`ValueError: could not convert string to float: '...'`), a
document's key, or an answer of a service.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import errno
import hashlib
import logging
import math
import re
import time
import traceback
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Final

from aiohttp.http_exceptions import HttpProcessingError
from pythonjsonlogger.json import JsonFormatter

from bots.turn.runtime import new_txn
from storage.addresses import without_secrets

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]

_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_JSON_NAMES: Final = {"levelname": "level", "name": "logger", "exc_info": "exception"}
_UNPRINTABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_CHAIN: Final = 5  # causes that are named
_AGAIN: Final = 1.0  # seconds until an error of the event loop is told again
_KINDS: Final = 100  # of such errors, that are remembered
_FIELDS: ContextVar[dict[str, object]] = ContextVar("fields")
_NOT_OURS: Final = {  # they log requests with their addresses, and what is raised anyway
    "azure": logging.ERROR,
    "msal": logging.ERROR,
    "urllib3": logging.ERROR,
}


def set_up(form: str, *, details: bool) -> None:
    """Log to stderr from now on.

    Args:
        form: `text` for people, or `json`: an object a line.
        details: show the texts of exceptions, for development.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(
        DiscreetJsonFormatter(_FORMAT, details=details, timestamp=True, rename_fields=_JSON_NAMES)
        if form == "json"
        else DiscreetFormatter(_FORMAT, details=details)
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for name, level in _NOT_OURS.items():
        logging.getLogger(name).setLevel(level)


def short_hash(*parts: str) -> str:
    """Return 12 hex digits that are the same for the same texts, on every replica. It hides, it does not anonymise."""
    return hashlib.sha256("\0".join(parts).encode(errors="replace")).hexdigest()[:12]


@contextlib.contextmanager
def fields() -> Iterator[None]:
    """Give every line that is logged in the block the fields of `note`, and none from outside."""
    token = _FIELDS.set({})
    try:
        yield
    finally:
        _FIELDS.reset(token)


def note(**more: object) -> None:
    """Give the later lines of the request these fields too."""
    _FIELDS.get({}).update(more)


def is_noted(name: str) -> bool:
    """Whether the request's later lines have a field of that name."""
    return name in _FIELDS.get({})


def noted_txn() -> str:
    """Name an attempt, as `bots.turn.runtime.new_txn` does, so that the lines of the turn have the name of its last."""
    txn = new_txn()
    note(txn=txn)
    return txn


class LoopErrors:
    """Handles what the event loop reports, in place of its own handler, which shows the tasks and texts of exceptions.

    What is reported again within a second is counted only: out of descriptors, the loop says so without end.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told: dict[tuple[str, type | None], tuple[float, int]] = {}  # when, and how often it was not since

    def __call__(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        message, error = context["message"], context.get("exception")
        kind = message, type(error) if error else None
        when, untold = self._told.get(kind, (-math.inf, 0))
        if self._clock() - when < _AGAIN:
            self._told[kind] = when, untold + 1
            return
        if len(self._told) > _KINDS:
            self._told.clear()
        self._told[kind] = self._clock(), 0
        more = f" ({untold} more like it)" if untold else ""
        logging.getLogger("asyncio").error("%s%s", message, more, exc_info=error)


class Discreet(logging.Formatter):
    """Makes one line of a message, and leaves out the texts of exceptions."""

    def __init__(self, *arguments: Any, details: bool = False, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._details = details

    def format(self, record: logging.LogRecord) -> str:
        """Format a copy: other handlers get the record as it is."""
        record = copy.copy(record)
        record.exc_text = None  # another formatter's
        if record.exc_info and isinstance(record.exc_info[1], HttpProcessingError):  # aiohttp shows the request
            record.levelno, record.levelname = logging.WARNING, "WARNING"
            record.msg, record.args, record.exc_info = "400: the request is not HTTP", (), None
        if isinstance(record.args, tuple):
            record.args = tuple(self._said(each) if isinstance(each, BaseException) else each for each in record.args)
        record.msg, record.args = record.getMessage(), ()
        record.__dict__.update(_FIELDS.get({}))
        return super().format(record)

    def formatException(self, ei: ExcInfo) -> str:  # noqa: N802 - logging's name
        """Return where it was raised, and each exception that led to it."""
        parts: list[str] = []
        error = ei[1]
        while error and len(parts) < _CHAIN:
            text = self._text(error)
            parts.append("".join([*traceback.format_tb(error.__traceback__), text]))
            error = _before(error)
        return "\nafter:\n".join(parts)

    def _said(self, error: BaseException) -> str:
        parts: list[str] = []
        before: BaseException | None = error
        while before and len(parts) < _CHAIN:
            parts.append(self._text(before))
            before = _before(before)
        return ", after ".join(parts)

    def _text(self, error: BaseException) -> str:
        name = f"{type(error).__name__}{_code(error)}"
        return f"{name}: {without_secrets(str(error))}" if self._details else name


class DiscreetFormatter(Discreet):
    """For people: the turn's fields follow the message."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """One line, whatever is in the message."""
        fields = "".join(f" {name}={value}" for name, value in _FIELDS.get({}).items())
        return _UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], super().formatMessage(record) + fields)


class DiscreetJsonFormatter(Discreet, JsonFormatter):
    """For machines: an object a line, of which the turn's fields are members."""


def _before(error: BaseException) -> BaseException | None:
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _code(error: BaseException) -> str:
    """What a service or the system answered."""
    number = getattr(error, "status_code", None) or getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, OSError) and error.errno:
        number = errno.errorcode.get(error.errno, number)
    return f" ({number})" if number else ""
