"""Clients that others wrote, against the local endpoint.

`botframework-directlinejs` from npm, which Web Chat uses, in a browser; `directline-client` from PyPI in a process.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import ClientSession, web
from playwright.async_api import BrowserContext, Page

from infra.local.bot_process import BotProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOST_PAGE = "<!doctype html><title>A page of somebody's own</title><script src='directline.js'></script>"
START = """(options) => {
    window.user ??= `uwe-${crypto.randomUUID()}`;
    window.line = new DirectLine.DirectLine({secret: "any", timeout: 500, ...options});
    window.texts = [];
    line.activity$.subscribe((activity) => texts.push(activity.text));
}"""
DIRECTLINE_CLIENT = "directline-client==0.2.2"  # its pin of requests is not ours: installed without what it asks for
HOLD_A_CONVERSATION = """
import json, sys
from directline_client import DirectLineClient
client = DirectLineClient(secret="any", endpoint=sys.argv[1])
conversation = client.start_conversation()
print(json.dumps([client.call_llm(text) for text in ("hello", "Uwe", "Do you know me?")]))
"""
SAY = """(text) => new Promise((done, failed) => {
    const from = {id: user, name: "Uwe"};
    line.postActivity({type: "message", from, text}).subscribe(done, failed);
})"""


@pytest_asyncio.fixture(loop_scope="module")
async def page(context: BrowserContext, npm: Path) -> AsyncIterator[Page]:
    """A page that is served on another port than the bot's, with the client in it."""
    script = npm / "botframework-directlinejs/dist/directline.js"

    async def host_page(_request: web.Request) -> web.Response:
        return web.Response(text=HOST_PAGE, content_type="text/html")

    async def client(_request: web.Request) -> web.Response:
        return web.Response(text=script.read_text(), content_type="text/javascript")

    app = web.Application()
    app.router.add_get("/", host_page)
    app.router.add_get("/directline.js", client)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        opened = await context.new_page()
        await opened.goto(f"http://127.0.0.1:{runner.addresses[0][1]}/")
        yield opened
    finally:
        await runner.cleanup()


async def texts(page: Page, last: str) -> list[str]:
    """Wait until the client has got `last`, and return all that it has got."""
    await page.wait_for_function("(last) => texts.includes(last)", arg=last)
    found: list[str] = await page.evaluate("texts")
    return found


async def restart(bot: BotProcess) -> None:
    async with ClientSession() as http, http.post(f"{origin(bot)}/page/restart") as answer:
        assert answer.status == 200


def origin(bot: BotProcess) -> str:
    return bot.url.removesuffix("/api/messages")


async def say(page: Page, text: str) -> str:
    """Post as often as the client says that the bot was not there; return the activity's id."""
    while (posted := await page.evaluate(SAY, text)) == "retry":
        continue
    return str(posted)


async def test_directlinejs_on_a_websocket_is_back_by_itself_after_a_restart(page: Page, bot: BotProcess) -> None:
    await page.evaluate(START, {"domain": f"{origin(bot)}/v3/directline", "webSocket": True})
    assert "|" in await say(page, "hello")
    assert (await texts(page, "What is your name?"))[-2:] == ["hello", "What is your name?"]
    await restart(bot)
    await say(page, "Uwe")
    thanks = "Thanks Uwe. To see conversation data, type anything."
    found = await texts(page, thanks)
    assert found[-2:] == ["Uwe", thanks]
    assert found.count("hello") == 1


async def test_directlinejs_that_polls_goes_on_where_it_was_in_a_new_process(page: Page, bot: BotProcess) -> None:
    options = {"domain": f"{origin(bot)}/v3/directline", "webSocket": False, "pollingInterval": 200}
    await page.evaluate(START, options)
    await say(page, "hello")
    await texts(page, "What is your name?")
    resumed = await page.evaluate("({conversationId: line.conversationId, watermark: line.watermark})")
    await restart(bot)
    # Its polling ends with the first error; a host page makes a new one, as Web Chat's documentation has it.
    await page.evaluate(START, {**options, **resumed})
    await say(page, "Uwe")
    thanks = "Thanks Uwe. To see conversation data, type anything."
    assert await texts(page, thanks) == ["Uwe", thanks]


async def test_directline_client_of_pypi_holds_a_conversation(bot: BotProcess, tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(tmp_path), DIRECTLINE_CLIENT]
    installed = await asyncio.to_thread(subprocess.run, pip, capture_output=True, text=True, timeout=120)
    if installed.returncode:
        assert os.environ.get("CI", "").lower() != "true", installed.stderr
        pytest.skip(f"needs {DIRECTLINE_CLIENT} from PyPI: {installed.stderr.strip()[-200:]}")
    client = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", HOLD_A_CONVERSATION, f"{origin(bot)}/v3/directline"),
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
    )
    output, _ = await asyncio.wait_for(client.communicate(), 60)
    answers = json.loads(output)
    assert answers[0].endswith("What is your name?")
    assert answers[1] == "Thanks Uwe. To see conversation data, type anything."
    assert answers[2].startswith("Uwe sent: Do you know me?")
