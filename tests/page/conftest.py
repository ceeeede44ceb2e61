"""The local Direct Line in this process, and the page in a browser on a bot that is a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import urllib.parse
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from app import create_app
from bots import StateManagementBot
from config import Settings
from infra.local.bot_process import APP, BotProcess, running
from infra.local.node import EmulatorError, install

_OF_THE_MACHINE = ("HOME", "LANG", "PATH", "SYSTEMROOT", "TEMP", "TMPDIR")
_NAMES = ("chromium", "chromium-browser", "google-chrome")
PACKAGES = Path(__file__).parents[1] / "clients"
ANSWERED = "Message received from: directline"

Run = Callable[..., AbstractAsyncContextManager[BotProcess]]


class Line:
    """A Direct Line client of a few lines, over the application in this process."""

    def __init__(self, http: TestClient[Any, Any]) -> None:
        self.http = http

    async def ask(self, method: str, path: str, body: object = None, **headers: str) -> ClientResponse:
        return await self.http.request(method, f"/v3/directline{path}", json=body, headers=headers)

    async def begin(self, user: str | None = "ada") -> str:
        answer = await self.ask("POST", "/conversations", {"user": {"id": user}} if user else None)
        assert answer.status == 201
        found: str = (await answer.json())["conversationId"]
        return found

    async def say(self, conversation: str, text: str, user: str = "ada", **fields: Any) -> ClientResponse:
        body = {"type": "message", "from": {"id": user}, "text": text, **fields}
        return await self.ask("POST", f"/conversations/{quoted(conversation)}/activities", body)

    async def activities(self, conversation: str, watermark: str = "") -> dict[str, Any]:
        path = f"/conversations/{quoted(conversation)}/activities?watermark={watermark}"
        answer = await self.ask("GET", path)
        assert answer.status == 200, await answer.text()
        found: dict[str, Any] = await answer.json()
        return found

    async def texts(self, conversation: str) -> list[str]:
        return [each.get("text", "") for each in (await self.activities(conversation))["activities"]]

    async def state(self, conversation: str, user: str = "ada") -> dict[str, dict[str, Any]]:
        """What is stored, by scope."""
        query = urllib.parse.urlencode({"conversation": conversation, "user": user})
        answer = await self.http.get(f"/page/state?{query}")
        return {each["scope"]: each for each in json.loads(await answer.text())}


def quoted(conversation: str) -> str:
    return urllib.parse.quote(conversation, safe="")


@asynccontextmanager
async def open_line(settings: Settings, bot_factory: Any = StateManagementBot) -> AsyncIterator[Line]:
    """Run the application until the block ends."""
    async with AsyncExitStack() as stack:
        server = TestServer(create_app(settings, bot_factory))
        yield Line(await stack.enter_async_context(TestClient(server)))


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    """Sample 45's bot on memory."""
    async with open_line(Settings(state_storage="memory")) as opened:
        yield opened


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Starts the bot with its state in a file of the test module's; `async with run(...) as bot`."""
    folder = tmp_path_factory.mktemp("bot")

    def started(*program: str, **environment: str) -> AbstractAsyncContextManager[BotProcess]:
        machine = {name: os.environ[name] for name in _OF_THE_MACHINE if name in os.environ}
        given = {**machine, "PYTHONPATH": str(APP.parent), "HOST": "127.0.0.1", "PORT": "0", **environment}
        return running(given, folder, python_options=("-W", "error"), program=program or (str(APP),))

    return started


@pytest.fixture(scope="module")
def npm() -> Path:
    """Where the packages of others are that the tests load into a browser."""
    try:
        install(PACKAGES)
    except EmulatorError as error:
        if os.environ.get("CI", "").lower() == "true":
            raise
        pytest.skip(str(error))
    return PACKAGES / "node_modules"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """Chromium without a window."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        reason = "needs Chromium: `apt-get install -y chromium` (Debian, Ubuntu)"
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    async with async_playwright() as playwright:
        # Without its sandbox, which root and most containers cannot have; it sees pages of this machine only.
        opened = await playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield opened
        await opened.close()


class Window:
    """The page as a person uses it, and what must never happen on it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.messages = page.get_by_role("log", name="Messages")
        self.turns = page.get_by_role("log", name="Turns")
        self.strange: list[str] = []
        page.on("pageerror", lambda error: self.strange.append(f"error: {error}"))
        page.on("dialog", lambda dialog: self.strange.append(f"dialog: {dialog.message}"))
        page.on("console", self._console)
        page.on("request", self._request)

    async def say(self, text: str, answer: str) -> None:
        """Send a message and wait until the answer has come once more."""
        answers = self.messages.get_by_text(answer)
        before = await answers.count()
        await self.page.get_by_label("Message", exact=True).fill(text)
        await self.page.get_by_label("Message", exact=True).press("Enter")
        await answers.nth(before).wait_for()

    async def press(self, name: str) -> None:
        await self.page.get_by_role("button", name=name, exact=True).click()

    async def sees(self, text: str) -> None:
        await self.messages.get_by_text(text).last.wait_for()

    async def count(self, text: str) -> int:
        return await self.messages.get_by_text(text, exact=True).count()

    def _console(self, message: Any) -> None:
        # While the bot is away, the browser notes each attempt to reach it.
        if message.type == "error" and "ERR_CONNECTION" not in message.text:
            self.strange.append(message.text)

    def _request(self, request: Any) -> None:
        if urllib.parse.urlsplit(request.url).hostname != "127.0.0.1":
            self.strange.append(f"request: {request.url}")


@pytest_asyncio.fixture(loop_scope="module")
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    """A person's browser profile, which no other test has."""
    opened = await browser.new_context(viewport={"width": 1280, "height": 800})
    yield opened
    await opened.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bot(run: Run) -> AsyncIterator[BotProcess]:
    """Sample 45's bot, on SQLite."""
    async with run() as started:
        yield started


def address(bot: BotProcess) -> str:
    """The page's URL."""
    return bot.url.removesuffix("api/messages")


async def opened(context: BrowserContext, url: str) -> Window:
    """The page at `url`, in a new tab."""
    window = Window(await context.new_page())
    await window.page.goto(url)
    return window


@pytest_asyncio.fixture(loop_scope="module")
async def window(context: BrowserContext, bot: BotProcess) -> AsyncIterator[Window]:
    """The page of somebody who has told the bot a name."""
    shown = await opened(context, address(bot))
    await shown.sees("Welcome to State Bot Sample.")
    await shown.say("Hi", "What is your name?")
    await shown.say("Ada", "Thanks Ada.")
    yield shown
    assert shown.strange == []
