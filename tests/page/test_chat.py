"""The console client, `python -m demos.chat`, as a process: piped, and in a terminal."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import subprocess
import sys
import termios

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from demos import line_client
from infra.local.bot_process import APP, BotProcess
from tests.page.conftest import Run

pytestmark = pytest.mark.asyncio(loop_scope="module")

THANKS = "Thanks Ada. To see conversation data, type anything."


CHAT = ("-m", "demos.chat")
WITHOUT_PROMPT_TOOLKIT = (  # as where only requirements.txt is installed
    "-c",
    "import runpy, sys; sys.modules['prompt_toolkit'] = None; runpy.run_module('demos.chat', run_name='__main__')",
)


async def piped(url: str, *lines: str, user: str, program: tuple[str, ...] = CHAT) -> tuple[int | None, str, str]:
    command = [sys.executable, *program, "--url", url, "--user", user]
    pipe = subprocess.PIPE
    chat = await asyncio.create_subprocess_exec(*command, cwd=APP.parent, stdin=pipe, stdout=pipe, stderr=pipe)
    async with asyncio.timeout(60):
        output, errors = await chat.communicate("".join(f"{line}\n" for line in lines).encode())
    return chat.returncode, output.decode(), errors.decode()


def origin(bot: BotProcess) -> str:
    return bot.url.removesuffix("/api/messages")


async def test_lines_from_a_pipe_hold_a_conversation_over_a_restart_and_a_redelivery(bot: BotProcess) -> None:
    lines = ["hi", "Ada", "/resend", "/restart", "Do you know me?"]
    code, output, errors = await piped(origin(bot), *lines, user="piped")
    assert (code, errors) == (0, "")
    assert output.count(f"bot: {THANKS}") == 1  # delivered twice, answered once
    assert "-- delivered again" in output
    assert "-- a new process: " in output
    assert "bot: Ada sent: Do you know me?" in output


async def test_the_state_is_shown_as_stored(bot: BotProcess) -> None:
    _, output, _ = await piped(origin(bot), "hi", "Ada", "/state", user="shown")
    documents = output[output.index("{") :]
    user = json.JSONDecoder().raw_decode(documents, documents.index('{\n  "scope": "user"'))[0]
    assert user["value"]["UserProfile"]["name"] == "Ada"
    assert user["etag"]


async def test_a_new_conversation_keeps_the_user(bot: BotProcess) -> None:
    _, output, _ = await piped(origin(bot), "hi", "Ada", "/new", "And now?", user="moving")
    assert output.count("Welcome to State Bot Sample.") == 2
    assert "Ada sent: And now?" in output


async def test_what_a_terminal_would_obey_is_not_printed(bot: BotProcess) -> None:
    _, output, _ = await piped(origin(bot), "hi", "\x1b[31mred\x1b]0;title\x07", user="rude")
    assert "Thanks" in output
    answer = output[output.index("Thanks") :]
    assert "\x1b" not in answer
    assert "\x07" not in answer


async def test_an_unknown_command_and_nothing_to_resend_say_so(bot: BotProcess) -> None:
    code, output, _ = await piped(origin(bot), "/resend", "/wat", "", "/quit", "never said", user="lost")
    assert code == 0
    assert "-- nothing was said yet" in output
    assert "-- commands: /restart /resend /state /new /quit" in output
    assert "never said" not in output


async def test_after_new_there_is_nothing_to_resend(bot: BotProcess) -> None:
    code, output, _ = await piped(origin(bot), "hi", "/new", "/resend", user="forgetful")
    assert code == 0
    assert "-- nothing was said yet" in output


async def test_nobody_is_no_user() -> None:
    code, output, errors = await piped("http://127.0.0.1:1", "hi", user="")
    assert (code, output) == (2, "")
    assert "argument --user: expected an id" in errors


async def test_a_pipe_needs_no_package_for_terminals(bot: BotProcess) -> None:
    code, output, errors = await piped(origin(bot), "hi", user="bare", program=WITHOUT_PROMPT_TOOLKIT)
    assert (code, errors) == (0, "")
    assert "bot: What is your name?" in output


async def test_a_terminal_without_the_package_is_told_what_to_install() -> None:
    ours, its = pty.openpty()
    try:
        chat = await asyncio.create_subprocess_exec(
            sys.executable, *WITHOUT_PROMPT_TOOLKIT, cwd=APP.parent, stdin=its, stderr=subprocess.PIPE
        )
        _, errors = await asyncio.wait_for(chat.communicate(), 30)
    finally:
        os.close(ours)
        os.close(its)
    expected = (
        b"chat: typing needs prompt_toolkit: `pip install prompt_toolkit`, or `make chat`, or pipe the lines in\n"
    )
    assert (chat.returncode, errors) == (2, expected)


async def test_without_a_bot_it_says_how_to_start_one() -> None:
    code, output, errors = await piped("http://127.0.0.1:1", "hi", user="alone")
    assert (code, output) == (2, "")
    assert errors == "chat: no bot at http://127.0.0.1:1: start it with `make run`\n"


@pytest.mark.parametrize("url", ["localhost:3978", "http://localhost:99999", "http://[::1", "ftp://localhost", "bot"])
async def test_what_is_no_url_is_one_line_of_advice(url: str) -> None:
    code, output, errors = await piped(url, "hi", user="lost")
    assert (code, output) == (2, "")
    assert errors == f"chat: {url!r} is no URL of a bot: expected one like http://localhost:3978\n"


async def test_a_bot_with_an_app_id_is_said_to_have_no_local_direct_line(run: Run) -> None:
    async with run(
        STATE_STORAGE="memory",
        MicrosoftAppId="app",
        MicrosoftAppPassword="hunter2",
        MicrosoftAppTenantId="tenant",
        MicrosoftAppType="SingleTenant",
    ) as bot:
        code, output, errors = await piped(origin(bot), "hi", user="stranger")
    assert (code, output) == (2, "")
    assert errors.startswith(f"chat: {origin(bot)} has no local Direct Line: ")
    assert errors.count("\n") == 1


async def test_a_message_too_large_for_the_bot_is_refused_in_its_words_and_the_talk_goes_on(run: Run) -> None:
    async with run(STATE_STORAGE="memory", MAX_REQUEST_BYTES="2000") as bot:
        code, output, errors = await piped(origin(bot), "x" * 3000, "hi", user="verbose")
    assert (code, errors) == (0, "")
    assert "-- the body has more than 2000 bytes" in output
    assert "bot: What is your name?" in output


async def test_a_process_that_does_not_come_back_is_said_to_be_away(monkeypatch: pytest.MonkeyPatch) -> None:
    async def the_same(_request: web.Request) -> web.Response:
        return web.json_response({"process": "the same"})

    monkeypatch.setattr(line_client, "RESTART_SECONDS", 0.0)
    app = web.Application()
    app.router.add_post("/page/restart", the_same)
    app.router.add_get("/page/about", the_same)
    async with TestClient(TestServer(app)) as http:
        line = line_client.LineClient(http.session, str(http.make_url("")).rstrip("/"), "ada")
        with pytest.raises(line_client.BotAwayError, match="no new process listens at"):
            await line.restart()


async def test_in_a_terminal_enter_sends_and_alt_enter_begins_a_line(bot: BotProcess) -> None:
    ours, its = pty.openpty()
    termios.tcsetwinsize(its, (24, 80))
    command = [sys.executable, "-m", "demos.chat", "--url", origin(bot), "--user", "typing"]
    environment = {**os.environ, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"}
    chat = await asyncio.create_subprocess_exec(
        *command, cwd=APP.parent, stdin=its, stdout=its, stderr=its, env=environment
    )
    os.close(its)
    unread = ""

    def until(text: str) -> None:
        nonlocal unread
        while text not in unread:
            unread += re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", os.read(ours, 65536).decode(errors="ignore"))
        unread = unread.partition(text)[2]

    async def sees(*texts: str) -> None:
        for text in texts:
            await asyncio.wait_for(asyncio.to_thread(until, text), 30)

    try:
        await sees("Welcome", "you:")
        os.write(ours, b"hi\r")
        await sees("What is your name?", "you:")
        os.write(ours, b"Ada\x1b\rLovelace\r")
        await sees("Thanks Ada Lovelace.", "you:")
        os.write(ours, b"\x04")
        assert await asyncio.wait_for(chat.wait(), 30) == 0
    finally:
        if chat.returncode is None:
            chat.kill()
        os.close(ours)
