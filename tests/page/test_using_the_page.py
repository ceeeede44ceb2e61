"""The page as its readers need it: at the end of what is said, without a mouse, whole, and who they are."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, Route, expect

from infra.local.bot_process import BotProcess
from tests.page.conftest import ANSWERED, Window, address, opened, quoted

pytestmark = pytest.mark.asyncio(loop_scope="module")  # one browser for all

SIZES = {"desktop": (1280, 800), "phone": (360, 740)}


async def conversation_of(window: Window) -> str:
    found: str = await window.page.evaluate("localStorage.getItem('state-bot.conversation')")
    return found


async def say_elsewhere(context: BrowserContext, bot: BotProcess, conversation: str, text: str) -> None:
    """Say something in the conversation as somebody who has no window."""
    path = f"{address(bot)}v3/directline/conversations/{quoted(conversation)}/activities"
    said = {"type": "message", "from": {"id": "grace"}, "text": text}
    assert (await context.request.post(path, data=said)).ok


async def test_a_message_that_was_not_taken_shows_why_and_what_comes_next_is_seen(window: Window) -> None:
    async def refuse(route: Route) -> None:
        await route.fulfill(status=503, json={"error": {"code": "StorageError", "message": "the storage is away"}})

    for text in ("one", "two", "three"):
        await window.say(text, f"Ada sent: {text}")
    await window.page.route("**/activities", refuse, times=1)
    await window.page.get_by_label("Message", exact=True).fill("refused")
    await window.page.get_by_label("Message", exact=True).press("Enter")
    await expect(window.page.get_by_role("button", name="Send again")).to_be_in_viewport()
    await window.say("the next", "Ada sent: the next")
    await expect(window.messages.get_by_role("listitem").last).to_be_in_viewport()
    window.strange.clear()  # the browser notes the 503


async def test_who_has_scrolled_up_stays_there_until_they_say_something(
    context: BrowserContext, bot: BotProcess, window: Window
) -> None:
    for text in ("one", "two", "three"):
        await window.say(text, f"Ada sent: {text}")
    await window.page.wait_for_function("document.querySelector('[aria-label=Messages]').scrollTop > 0")
    await window.messages.hover()
    await window.page.mouse.wheel(0, -10_000)
    first = window.messages.get_by_role("listitem").first
    await expect(first).to_be_in_viewport()
    await say_elsewhere(context, bot, await conversation_of(window), "from elsewhere")
    await window.sees("from elsewhere")
    await expect(first).to_be_in_viewport()
    await window.say("here I am", "Ada sent: here I am")
    await expect(window.messages.get_by_role("listitem").last).to_be_in_viewport()


@pytest.mark.parametrize("from_the_end", [1, 4])
async def test_the_json_of_a_message_opens_where_the_message_is(window: Window, from_the_end: int) -> None:
    await window.say("three", ANSWERED)
    await window.say("four", ANSWERED)
    tools = window.messages.get_by_role("button", name="{ }")
    clicked = tools.nth(await tools.count() - from_the_end)
    await clicked.click()
    await expect(window.messages.get_by_text('"type": "message"')).to_be_in_viewport(ratio=0.9)
    await expect(clicked).to_be_in_viewport()


async def test_a_long_conversation_is_laid_out_once_and_not_for_each_message(
    context: BrowserContext, bot: BotProcess, window: Window
) -> None:
    for number in range(60):
        await say_elsewhere(context, bot, await conversation_of(window), f"message {number}")
    page = await context.new_page()
    session = await context.new_cdp_session(page)
    await session.send("Performance.enable")
    await page.route_web_socket("**/page/events*", lambda _socket: None)  # each turn comes by itself, and is shown so
    await page.goto(address(bot))
    again = Window(page)
    await again.sees("message 59")
    shown = await again.messages.get_by_role("listitem").count()
    metrics = {each["name"]: each["value"] for each in (await session.send("Performance.getMetrics"))["metrics"]}
    assert metrics["LayoutCount"] < shown / 2
    await page.close()


async def test_what_a_button_shows_is_read_without_a_mouse(window: Window) -> None:
    for name, says in (("Restart the bot", "as with kill -9"), ("Burst of 20", "none of which waits for another")):
        await window.page.get_by_role("button", name=name).focus()
        await expect(window.page.get_by_text(says)).to_be_in_viewport()


async def test_a_turn_opens_with_the_keyboard_and_tells_keys_etags_and_replies(window: Window) -> None:
    await window.say("three", ANSWERED)
    turn = window.turns.get_by_role("listitem").last
    await turn.get_by_text("3 replies").wait_for()
    await turn.locator("summary").focus()
    await window.page.keyboard.press("Enter")
    etag = (await window.page.locator("[data-scope=conversation] dd").nth(1).inner_text()).strip()
    await turn.get_by_text(f"directline/conversations/{await conversation_of(window)}: {etag}").wait_for()
    await turn.get_by_text("Ada sent: three").wait_for()
    await expect(turn.get_by_text(ANSWERED)).to_be_in_viewport()


@pytest.mark.parametrize("size", SIZES)
async def test_keys_and_etags_are_shown_whole(context: BrowserContext, window: Window, size: str) -> None:
    width, height = SIZES[size]
    await window.page.set_viewport_size({"width": width, "height": height})
    cut = "[...document.querySelectorAll('dd')].filter((each) => each.scrollWidth > each.clientWidth).length"
    await window.page.locator("[data-scope=user] dd").nth(1).wait_for()
    assert await window.page.evaluate(cut) == 0


async def test_after_a_restart_the_page_names_another_process(window: Window) -> None:
    status = window.page.get_by_role("status")
    before = await status.inner_text()
    await window.press("Restart the bot")
    await window.sees("The bot is back after")
    await expect(status).to_contain_text("connected to process")
    assert await status.inner_text() != before


async def test_a_second_user_begins_a_new_conversation_and_the_first_keeps_theirs(
    context: BrowserContext, window: Window
) -> None:
    begun = await conversation_of(window)
    async with context.expect_page() as other:
        await window.page.get_by_role("link", name="Second user").click()
    second = Window(await other.value)
    await second.sees("Thanks Ada.")
    who = await second.page.locator("#who").inner_text()
    await second.press("New conversation")
    await expect(second.messages.get_by_text("Thanks Ada.")).to_have_count(0)
    await second.say("Hi", "What is your name?")
    assert await second.page.locator("#who").inner_text() == who
    assert await conversation_of(window) == begun
    assert second.strange == []


async def test_an_address_that_names_nobody_is_oneself(
    context: BrowserContext, bot: BotProcess, window: Window
) -> None:
    blank = await opened(context, f"{address(bot)}?user=")
    await blank.sees("Thanks Ada.")
    other = await opened(context, f"{address(bot)}?conversation=")
    await other.sees("Thanks Ada.")
    named = await opened(context, f"{address(bot)}?conversation={quoted(await conversation_of(window))}")
    await named.say("It is me", "Ada sent: It is me")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
async def test_axe_finds_nothing_against_the_page(
    browser: Browser, bot: BotProcess, npm: Path, size: str, scheme: str
) -> None:
    width, height = SIZES[size]
    context = await browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
        bypass_csp=True,  # axe is put into the page
    )
    window = await opened(context, address(bot))
    await window.say("Hi", "What is your name?")
    await window.say("Ada", "Thanks Ada.")
    await window.press("Send twice")
    await window.sees("The ledger knew it: it did not count again.")
    await window.turns.locator("summary").last.click()
    await window.page.evaluate((npm / "axe-core/axe.min.js").read_text())
    found = await window.page.evaluate("axe.run()")
    assert [(each["id"], each["nodes"][0]["html"]) for each in found["violations"]] == []
    await context.close()
