"""The bot's process and clients that mean it harm: a quick answer, one line in the log, no memory kept."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from infra.local.bot_process import APP, BotProcess
from infra.local.channel import Channel
from tests.e2e.conftest import Environment, Start

QUICK = 2.0  # seconds
POST = b"POST /api/messages HTTP/1.1\r\nHost: localhost\r\n"
GET = b"GET /api/messages HTTP/1.1\r\nHost: localhost\r\n"
GET_HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
JSON = b"Content-Type: application/json\r\n"
HEADS: dict[str, tuple[bytes, int]] = {
    "not HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
    "no method": (b" / HTTP/1.1\r\n\r\n", 400),
    "an unknown version": (b"POST /api/messages HTTP/9.9\r\nHost: localhost\r\n\r\n", 400),
    "no colon in a header": (POST + b"nonsense\r\n\r\n", 400),
    "a space before the colon": (b"POST /api/messages HTTP/1.1\r\nHost : localhost\r\n\r\n", 400),
    "a folded header": (POST + b"X: a\r\n b\r\n\r\n", 400),
    "a zero byte": (POST + b"X: \x00\r\n\r\n", 400),
    "a header of 20 KB": (POST + b"X: " + b"x" * 20_000 + b"\r\n\r\n", 400),
    "an address of 20 KB": (b"POST /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "two lengths": (
        POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n",
        400,
    ),
    "a length that is none": (POST + b"Content-Length: x\r\n\r\n", 400),
    "a length below zero": (POST + b"Content-Length: -1\r\n\r\n", 400),
    "a length and chunks": (
        POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "an unknown transfer encoding": (
        POST + JSON + b"Transfer-Encoding: gzip\r\n\r\n",
        400,
    ),
    "a length of 10 GB": (
        POST + JSON + b"Content-Length: 10000000000\r\n\r\n",
        413,
    ),
    "an upgrade": (
        GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        405,
    ),
    "another path": (b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
    "an expectation": (
        POST + b"Expect: \xf9\r\nContent-Length: 0\r\n\r\n",
        415,
    ),
}
UNSAID = ("not HTTP", "no method")  # anyone's port scan


@pytest.fixture
async def bot(machine: Environment, start: Start) -> AsyncIterator[BotProcess]:
    async with start(machine | {"STATE_STORAGE": "memory", "HOST": "127.0.0.1"}) as found:
        yield found


@pytest.mark.parametrize("kind", HEADS)
async def test_a_hostile_head_is_4xx_at_once_and_one_line(bot: BotProcess, kind: str) -> None:
    request, status = HEADS[kind]
    assert await _answer(bot, request) == status
    await bot.stop()
    if kind in UNSAID:
        assert not bot.log
        return
    (line,) = bot.log.splitlines()
    assert " WARNING " in line
    assert f" {status} " in line or f" {status}:" in line


async def test_a_hundred_stalled_clients_keep_nobody_waiting(bot: BotProcess, channel: Channel) -> None:
    stalled = [await _connect(bot) for _ in range(100)]
    for number, (_, writer) in enumerate(stalled):
        head = POST + JSON
        writer.write(head + (b"Content-Length: 999\r\n\r\n{" if number % 2 else b""))
    async with asyncio.timeout(QUICK):
        assert await channel.conversation().say("hi", "u1", bot.url) == ["What is your name?"]
    for _, writer in stalled:
        writer.close()


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize(
    "sent",
    [
        POST + JSON + b'Content-Length: 100\r\n\r\n{"text": "a secr',
        POST + JSON + b'Transfer-Encoding: chunked\r\n\r\n10\r\n{"text": ',
        POST + JSON + b"Expect: 100-continue\r\nContent-Length: 100\r\n\r\n{",
    ],
    ids=["length", "chunks", "expectation"],
)
async def test_who_hangs_up_in_the_middle_of_a_body_makes_one_line(bot: BotProcess, sent: bytes, reset: bool) -> None:
    for _ in range(5):
        _, writer = await _connect(bot)
        writer.write(sent)
        if reset:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.close()
    assert await _answer(bot, GET_HEALTH) == 200
    await bot.stop()
    lines = bot.log.splitlines()
    assert len(lines) <= 5  # whose connection was reset before its head was read makes none
    assert all(" WARNING " in line and " 400 /api/messages: the caller hung up" in line for line in lines)
    assert lines or reset


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
@pytest.mark.parametrize("descriptors", [60, 256])
async def test_idle_connections_up_to_the_limit_of_descriptors_keep_nobody_out_and_fill_no_log(
    machine: Environment, start: Start, channel: Channel, descriptors: int
) -> None:
    async with _with_descriptors(descriptors, machine, start) as bot:
        held = [await _connect(bot) for _ in range(2 * descriptors)]  # as fast as they are accepted, and faster
        for _, writer in held:
            writer.write(GET_HEALTH)
        for _ in range(10):
            assert await _answer(bot, GET_HEALTH, 5) == 200  # the event loop pauses for a second where it cannot accept
            await asyncio.sleep(0.2)
        assert await channel.conversation().say("hi", "u1", bot.url) == ["What is your name?"]
        assert _descriptors(bot) < descriptors
        for _, writer in held:
            writer.transport.abort()
        await bot.stop()
    assert len(bot.log.splitlines()) < 100


@pytest.mark.skipif(sys.platform != "linux", reason="other systems report it in other ways")
async def test_out_of_descriptors_the_bot_says_so_once_a_second_and_goes_on_as_soon_as_there_are_some(
    machine: Environment, start: Start
) -> None:
    async with _with_descriptors(20, machine, start) as bot:
        held = [await _connect(bot) for _ in range(60)]
        await asyncio.sleep(3.5)
        for _, writer in held:
            writer.transport.abort()
        assert await _answer(bot, GET_HEALTH, 10) == 200  # those before it, 13 a second, are accepted to be closed
        await bot.stop()
    told = [line for line in bot.log.splitlines() if "out of system resource" in line]
    assert 1 <= len(told) <= 15
    assert "more like it" in told[-1]


def _with_descriptors(count: int, machine: Environment, start: Start) -> AbstractAsyncContextManager[BotProcess]:
    code = "import resource, runpy, sys; limit = resource.RLIMIT_NOFILE; "
    code += f"resource.setrlimit(limit, ({count}, resource.getrlimit(limit)[1])); "
    code += f"sys.path.insert(0, {str(APP.parent)!r}); runpy.run_path({str(APP)!r}, run_name='__main__')"
    return start(machine | {"STATE_STORAGE": "memory", "HOST": "127.0.0.1"}, "-c", code)


SHORT_HEADS = """
import functools, app
app.HeaderDeadline = functools.partial(app.HeaderDeadline, 0.5)
app.main()
"""


async def test_the_process_closes_a_connection_whose_head_comes_slowly(machine: Environment, start: Start) -> None:
    here = machine | {"STATE_STORAGE": "memory", "HOST": "127.0.0.1", "PYTHONPATH": str(APP.parent)}
    async with start(here, "-c", SHORT_HEADS) as bot, asyncio.timeout(QUICK):
        reader, writer = await _connect(bot)
        writer.write(POST)
        assert await reader.read() == b""
        writer.close()


def large(number: int) -> bytes:
    return json.dumps({"type": "message", "number": number, "text": "x" * 900_000}).encode()


def too_large(number: int) -> bytes:
    return b"[" + b'"x",' * 500_000 + b"%d]" % number


def deep(number: int) -> bytes:
    return b'{"a":' * 100_000 + b"%d" % number


def many_names(number: int) -> bytes:
    return json.dumps({f"{number}-{name}": name for name in range(40_000)}).encode()


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
@pytest.mark.parametrize("body", [large, too_large, deep, many_names])
async def test_memory_is_flat_under_hostile_bodies(bot: BotProcess, body: Callable[[int], bytes]) -> None:
    await _post_many(bot, body, 30)
    before = _resident_mb(bot)
    await _post_many(bot, body, 120)
    assert _resident_mb(bot) - before < 16


def half_sent(number: int) -> bytes:
    return JSON + b"Content-Length: 1000009\r\n\r\n" + b"%d" % number + b"x" * 1_000_000


def badly_chunked(number: int) -> bytes:
    return JSON + b"Transfer-Encoding: chunked\r\n\r\nf4240\r\n" + b"x" * 1_000_000 + b"\r\nno %d\r\n" % number


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
@pytest.mark.parametrize("rest", [half_sent, badly_chunked])
async def test_memory_is_flat_under_bodies_that_never_end(bot: BotProcess, rest: Callable[[int], bytes]) -> None:
    await _leave_many(bot, rest, 30)
    before = _resident_mb(bot)
    await _leave_many(bot, rest, 120)
    assert _resident_mb(bot) - before < 16


async def _leave_many(bot: BotProcess, rest: Callable[[int], bytes], count: int) -> None:
    async def leave(number: int) -> None:
        reader, writer = await _connect(bot)
        writer.write(POST + rest(number))
        writer.write_eof()
        await reader.read()  # until the bot has closed it as well
        writer.close()

    for start in range(0, count, 10):
        await asyncio.gather(*(leave(start + number) for number in range(10)))


async def _post_many(bot: BotProcess, body: Callable[[int], bytes], count: int) -> None:
    async with aiohttp.ClientSession(headers={"Content-Type": "application/json"}) as http:

        async def post(number: int) -> None:
            try:
                async with http.post(bot.url, data=body(number)) as answer:
                    assert 400 <= answer.status < 500
            except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
                pass  # refused while it was still sending

        for start in range(0, count, 10):
            await asyncio.gather(*(post(start + number) for number in range(10)))


def _descriptors(bot: BotProcess) -> int:
    return len(list(Path(f"/proc/{bot.pid}/fd").iterdir()))


def _resident_mb(bot: BotProcess) -> int:
    lines = Path(f"/proc/{bot.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) // 1024


async def _connect(bot: BotProcess) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", urlsplit(bot.url).port, family=socket.AF_INET)


async def _answer(bot: BotProcess, request: bytes, seconds: float = QUICK) -> int:
    reader, writer = await _connect(bot)
    try:
        async with asyncio.timeout(seconds):
            writer.write(request)
            line: Any = await reader.readline()
            return int(line.split()[1])
    finally:
        writer.close()
