"""Web Chat's own Direct Line client, `botframework-directlinejs` from npm, in a browser, against the local endpoint."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientSession, web
from playwright.async_api import BrowserContext, Page

from infra.local.bot_process import BotProcess
from infra.local.node import EmulatorError, install

pytestmark = pytest.mark.asyncio(loop_scope="module")

PACKAGES = Path(__file__).parents[1] / "clients"
HOST_PAGE = "<!doctype html><title>A page of somebody's own</title><script src='directline.js'></script>"
START = """([domain, webSocket]) => {
    window.user = `uwe-${crypto.randomUUID()}`;
    window.line = new DirectLine.DirectLine({secret: "any", domain, webSocket, timeout: 500, pollingInterval: 200});
    window.texts = [];
    line.activity$.subscribe((activity) => texts.push(activity.text));
}"""
SAY = """(text) => new Promise((done, failed) => {
    const from = {id: user, name: "Uwe"};
    line.postActivity({type: "message", from, text}).subscribe(done, failed);
})"""


@pytest_asyncio.fixture(loop_scope="module")
async def page(context: BrowserContext) -> AsyncIterator[Page]:
    """A page that is served on another port than the bot's, with the client in it."""
    try:
        install(PACKAGES)
    except EmulatorError as error:
        if os.environ.get("CI", "").lower() == "true":
            raise
        pytest.skip(str(error))
    script = PACKAGES / "node_modules/botframework-directlinejs/dist/directline.js"

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


async def texts(page: Page, last: str) -> Any:
    """Wait until the client has got `last`, and return all that it has got."""
    await page.wait_for_function("(last) => texts.includes(last)", arg=last)
    return await page.evaluate("texts")


@pytest.mark.parametrize("web_socket", [True, False], ids=["WebSocket", "polling"])
async def test_directlinejs_holds_a_conversation_over_a_restart(page: Page, bot: BotProcess, web_socket: bool) -> None:
    origin = bot.url.removesuffix("/api/messages")
    await page.evaluate(START, [f"{origin}/v3/directline", web_socket])
    assert "|" in await page.evaluate(SAY, "hello")
    first = ["hello", "What is your name?"]
    assert (await texts(page, first[-1]))[-2:] == first
    async with ClientSession() as http, http.post(f"{origin}/page/restart") as answer:
        assert answer.status == 200
    posted = "retry"
    while posted == "retry":  # so the client says that the bot was not there
        posted = await page.evaluate(SAY, "Uwe")
    thanks = "Thanks Uwe. To see conversation data, type anything."
    found = await texts(page, thanks)
    assert found[-2:] == ["Uwe", thanks]
    assert found.count("hello") == 1
