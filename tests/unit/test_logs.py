"""The lines that are logged: one for each record, with the request's fields, without the texts of exceptions."""

from __future__ import annotations

import asyncio
import errno
import json
import logging

import pytest
from aiohttp.http_exceptions import BadStatusLine

from bots.logs import Discreet, DiscreetFormatter, DiscreetJsonFormatter, LoopErrors, fields, note, short_hash

FORMATTERS = [DiscreetFormatter("%(levelname)s %(message)s"), DiscreetJsonFormatter("%(levelname)s %(message)s")]
PRIVATE = "my PIN is 4711"


def record(message: str, *arguments: object, error: BaseException | None = None) -> logging.LogRecord:
    trace = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord("bots", logging.ERROR, __file__, 1, message, arguments, trace)


def raised() -> Exception:
    with pytest.raises(ConnectionResetError) as caught:
        _raise()
    return caught.value


def _raise() -> None:
    try:
        int(PRIVATE)
    except ValueError as error:
        raise ConnectionResetError(errno.ECONNRESET, PRIVATE) from error


@pytest.mark.parametrize("formatter", FORMATTERS)
def test_an_exception_is_its_type_its_code_and_where_it_was_raised(formatter: Discreet) -> None:
    line = formatter.format(record("failed", error=raised()))
    for told in ("ConnectionResetError (ECONNRESET)", "ValueError", "test_logs.py", "in _raise"):
        assert told in line
    assert PRIVATE not in line


@pytest.mark.parametrize("formatter", FORMATTERS)
def test_an_exception_among_the_arguments_is_its_type_and_those_before_it(formatter: Discreet) -> None:
    line = formatter.format(record("not sent: %s", raised()))
    assert "not sent: ConnectionResetError (ECONNRESET), after ValueError" in line
    assert PRIVATE not in line


def test_details_are_for_who_asks_for_them() -> None:
    line = DiscreetFormatter("%(message)s", details=True).format(record("failed", error=raised()))
    assert line.count(PRIVATE) == 2


@pytest.mark.parametrize("text", ["a\nERROR forged", "a\rb", "a\x1b[31mb", "a\u2028b", "half \ud83d", "\x00"])
@pytest.mark.parametrize("formatter", FORMATTERS)
def test_whatever_is_in_a_message_it_is_one_line_that_can_be_written(formatter: Discreet, text: str) -> None:
    line = formatter.format(record("said %s", text))
    assert len(line.splitlines()) == 1
    assert line.isprintable()
    line.encode()


@pytest.mark.parametrize("formatter", FORMATTERS)
def test_the_fields_of_a_request_are_in_its_lines_and_in_no_others(formatter: Discreet) -> None:
    with fields():
        note(conversation="abc", attempts=2)
        inside = formatter.format(record("turn"))
    outside = formatter.format(record("turn"))
    assert "abc" in inside
    assert "attempts" in inside
    assert "abc" not in outside
    if isinstance(formatter, DiscreetJsonFormatter):
        assert json.loads(inside) == {"levelname": "ERROR", "message": "turn", "conversation": "abc", "attempts": 2}


def test_other_handlers_get_the_record_as_it_was() -> None:
    error = raised()
    original = record("failed %s", error, error=error)
    FORMATTERS[0].format(original)
    assert original.args == (error,)
    assert original.exc_text is None


def test_a_request_that_is_not_http_is_one_line_without_its_bytes() -> None:
    line = FORMATTERS[0].format(record("Error handling request from %s", "1.2.3.4", error=BadStatusLine(PRIVATE)))
    assert line == "WARNING 400: the request is not HTTP"


async def test_a_task_that_fails_alone_is_told_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    context = {"message": "Task exception was never retrieved", "exception": raised(), "task": PRIVATE}
    LoopErrors()(asyncio.get_running_loop(), context)
    (found,) = caplog.records
    assert PRIVATE not in FORMATTERS[0].format(found)
    assert "ConnectionResetError" in FORMATTERS[0].format(found)


async def test_an_error_that_the_loop_repeats_is_told_once_a_second_with_how_often_it_was_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = 0.0
    loop, tell = asyncio.get_running_loop(), LoopErrors(lambda: now)
    full = {"message": "socket.accept() out of system resource", "exception": OSError(errno.EMFILE, "full")}
    for _ in range(1000):
        tell(loop, full)
    tell(loop, {"message": "Task exception was never retrieved", "exception": raised()})
    now += 1.5
    for _ in range(1000):
        tell(loop, full)
    assert [found.getMessage() for found in caplog.records] == [
        "socket.accept() out of system resource",
        "Task exception was never retrieved",
        "socket.accept() out of system resource (999 more like it)",
    ]


def test_the_hash_of_a_conversation_is_short_and_the_same_everywhere() -> None:
    assert short_hash("msteams", "19:a@thread.v2") == short_hash("msteams", "19:a@thread.v2")
    assert short_hash("a", "bc") != short_hash("ab", "c")
    assert len(short_hash("\ud800", "")) == 12
