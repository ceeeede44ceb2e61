"""What is told to OpenTelemetry, through its API alone: nothing happens until the process is given an SDK.

https://opentelemetry.io/docs/specs/otel/ . Names of people and keys are no attributes; of an error only the type is.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final, ParamSpec, TypeVar

from opentelemetry import metrics, trace
from opentelemetry.trace import Status, StatusCode

P = ParamSpec("P")
T = TypeVar("T")
Function = Callable[P, Coroutine[Any, Any, T]]

SCOPE: Final = "state-bot"
_tracer: Final = trace.get_tracer(SCOPE)
_meter: Final = metrics.get_meter(SCOPE)
_duration: Final = _meter.create_histogram("bot.storage.operation.duration", "s", "Of a load or a save, with retries")
_size: Final = _meter.create_histogram("bot.storage.document.size", "By", "Of a document as it is written")


def spanned(name: str) -> Callable[[Function[P, T]], Function[P, T]]:
    """Run each call of a function as a span of that name."""

    def decorate(function: Function[P, T]) -> Function[P, T]:
        @functools.wraps(function)
        async def run(*args: P.args, **kwargs: P.kwargs) -> T:
            if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):  # there is no SDK
                return await function(*args, **kwargs)
            # Neither recorded nor described by the API: an error's text may hold what people wrote.
            with _tracer.start_as_current_span(name, record_exception=False, set_status_on_exception=False) as span:
                try:
                    return await function(*args, **kwargs)
                except Exception as error:
                    span.set_status(Status(StatusCode.ERROR, type(error).__name__))
                    raise

        return run

    return decorate


def measured(operation: str) -> Callable[[Function[P, T]], Function[P, T]]:
    """Run each call of a storage's method as a span, and record its duration."""

    def decorate(function: Function[P, T]) -> Function[P, T]:
        @spanned(f"storage.{operation}")
        @functools.wraps(function)
        async def run(*args: P.args, **kwargs: P.kwargs) -> T:
            begun = time.perf_counter()
            try:
                return await function(*args, **kwargs)
            finally:
                attributes = {"operation": operation, "storage": type(args[0]).__name__}
                _duration.record(time.perf_counter() - begun, attributes)

        return run

    return decorate


def record_size(size: int) -> None:
    """Record the size of a document that is about to be written, in bytes."""
    _size.record(size)
