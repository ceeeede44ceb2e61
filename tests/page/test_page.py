"""The page in a real browser, on a bot that is a process of its own."""

from __future__ import annotations

import asyncio
import re

import pytest
from playwright.async_api import Browser, BrowserContext, Route, expect

from infra.local.bot_process import BotProcess
from tests.page.conftest import ANSWERED, Run, Window, address, opened, quoted

pytestmark = pytest.mark.asyncio(loop_scope="module")  # one browser for all


async def test_a_conversation_and_the_documents_that_it_leaves(window: Window) -> None:
    await window.say("three", ANSWERED)
    state = window.page.locator("#documents")
    await state.get_by_text('"name": "Ada"').wait_for()
    await state.get_by_text('"prompted_for_user_name": false').wait_for()
    await state.get_by_text("3 activities that never count again").wait_for()
    assert await state.get_by_text("$turn", exact=False).first.is_visible()
    line = window.turns.get_by_role("listitem").last
    await line.get_by_text("3 replies").wait_for()
    assert re.search("loaded.*committed 1 document.*done in", await line.inner_text(), re.DOTALL)


async def test_a_message_sent_twice_counts_once_and_the_page_says_why(window: Window) -> None:
    await window.press("Send twice")
    await window.sees("The ledger knew it: it did not count again.")
    await window.turns.get_by_text("redelivered").first.wait_for()
    assert await window.count("Ada sent: This arrives twice") == 1


async def test_after_a_restart_the_page_is_back_by_itself_and_the_bot_knows_the_name(window: Window) -> None:
    await window.press("Restart the bot")
    await window.sees("The bot is back after")
    await window.say("Do you know me?", "Ada sent: Do you know me?")
    assert await window.count("What is your name?") == 1  # what was said before is still there, once


async def test_after_a_redelivery_to_a_new_process_the_reply_comes_again_and_nothing_counts_again(
    window: Window,
) -> None:
    await window.say("three", ANSWERED)
    await window.press("Restart the bot")
    await window.sees("The bot is back after")
    said = window.messages.get_by_role("listitem").filter(has=window.page.get_by_text("three", exact=True))
    await said.get_by_role("button", name="deliver again").click()
    await window.sees("The ledger knew it: it did not count again.")
    assert await window.count("Ada sent: three") == 2  # the new process cannot know that they had arrived


async def test_a_bot_with_the_page_open_stops_at_once_and_in_order(context: BrowserContext, run: Run) -> None:
    async with run(SQLITE_PATH="stopped.db") as bot:
        window = await opened(context, address(bot))
        await window.say("Hi", "What is your name?")
        async with asyncio.timeout(10):  # the server would wait 15 s for what runs
            assert await bot.stop() == 0
        assert not [line for line in bot.log.splitlines() if " INFO " not in line]
        await window.page.get_by_role("status").get_by_text("The bot is away").wait_for()


async def test_a_burst_of_twenty_is_taken_and_answered(window: Window) -> None:
    await window.press("Burst of 20")
    await window.sees("20 sent, 20 taken in")
    for number in range(1, 21):
        assert await window.count(f"Ada sent: burst {number}") == 1


@pytest.mark.parametrize("shown_first", [True, False])
async def test_a_message_that_the_channel_has_is_never_sent_anew_for_want_of_an_answer(
    window: Window, shown_first: bool
) -> None:
    async def lose(route: Route) -> None:
        if shown_first:
            await route.fetch()
            await window.sees("Ada sent: lost answer")
            await route.abort("connectionreset")
        else:
            await route.abort("connectionreset")
            await window.sees("Sent or not, nobody knows yet")
            await route.fetch()

    await window.page.route("**/activities", lose, times=1)
    await window.page.get_by_label("Message", exact=True).fill("lost answer")
    await window.page.get_by_label("Message", exact=True).press("Enter")
    await window.sees("The channel has it; whether the bot has taken it is not known.")
    assert await window.page.get_by_role("button", name="Send again").count() == 0
    assert await window.count("lost answer") == 1
    await window.press("Deliver it again")
    await window.sees("The ledger knew it: it did not count again.")
    assert await window.count("The channel has it; whether the bot has taken it is not known.") == 0


async def test_replies_of_turns_at_once_are_shown_with_the_turns_that_committed_them(window: Window) -> None:
    shown = await window.page.evaluate(
        """async () => {
            const { Turns } = await import("/page/static/turns.js");
            const list = document.createElement("ol");
            const turns = new Turns(list);
            const tell = (what, activity, replica, facts) =>
                turns.show({ what, activity, at: 0, documents: {}, attempt: 1, ...facts }, replica);
            const [here, there] = [null, "http://127.0.0.1:1"];
            tell("loaded", "c|1", there);
            tell("loaded", "c|2", here);
            tell("committed", "c|1", there, { replies: 2 });
            tell("reply", null, here, { text: "to the first" });
            tell("committed", "c|2", here, { replies: 1 });
            tell("reply", null, here, { text: "to the first" });
            tell("reply", null, here, { text: "to the second" });
            tell("done", "c|2", here);
            tell("loaded", "c|3", there);
            tell("reply", null, here, { text: "to the third" });
            tell("reply", null, here, { text: "before its commit" });
            tell("committed", "c|3", there, { replies: 2 });
            tell("loaded", "c|4", here);
            tell("committed", "c|4", here, { replies: 1 });
            tell("reply", null, here, { text: "to the fourth" });
            return [...list.children].map((line) => line.querySelector(".reply")?.title);
        }"""
    )
    assert shown == [
        "to the first\nto the first",
        "to the second",
        "to the third\nbefore its commit",
        "to the fourth",
    ]


async def test_a_restart_in_the_middle_of_a_burst_loses_no_message_and_doubles_none(window: Window) -> None:
    await window.press("Burst of 20")
    await window.sees("Ada sent: burst")
    await window.press("Restart the bot")
    await window.sees("20 sent,")
    await window.sees("The bot is back after")
    await window.say("And now?", "Ada sent: And now?")
    for name in ("Deliver it again", "Send again"):
        left = window.page.get_by_role("button", name=name)
        while before := await left.count():
            await left.first.click()
            await expect(left).not_to_have_count(before)
    for number in range(1, 21):
        await window.sees(f"Ada sent: burst {number}")
        assert await window.count(f"burst {number}") == 1


async def test_a_second_window_is_a_second_user_of_the_same_conversation(
    context: BrowserContext, window: Window
) -> None:
    async with context.expect_page() as other:
        await window.page.get_by_role("link", name="Second user").click()
    second = Window(await other.value)
    await second.sees("Thanks Ada.")
    await second.say("Hello from the second", "What is your name?")
    await second.say("Grace", "Thanks Grace.")
    await window.sees("Thanks Grace.")
    await window.say("and me?", "Ada sent: and me?")
    assert second.strange == []


async def test_a_second_tab_is_told_that_it_is_one(context: BrowserContext, bot: BotProcess, window: Window) -> None:
    tab = await opened(context, address(bot))
    await tab.sees("This conversation is open in another tab too")
    await window.sees("This conversation is open in another tab too")
    await tab.sees("Thanks Ada.")


async def test_markup_in_messages_and_names_is_text(context: BrowserContext, bot: BotProcess, window: Window) -> None:
    markup = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    await window.press("New conversation")
    await window.sees("Welcome to State Bot Sample.")
    await window.say(markup, f"Ada sent: {markup}")
    conversation = await window.page.evaluate("localStorage.getItem('state-bot.conversation')")
    other = Window(await context.new_page())
    query = await other.page.evaluate(
        "([conversation, name]) => String(new URLSearchParams({conversation, user: name, name}))",
        [conversation, markup],
    )
    await other.page.goto(f"{address(bot)}?{query}")
    await other.say(markup, "What is your name?")
    await other.say(markup, f"Thanks {markup}.")
    await window.messages.get_by_text(markup, exact=True).nth(2).wait_for()
    assert await window.page.locator("main img, main script").count() == 0
    assert other.strange == []


async def test_an_activity_that_nobody_can_show_hides_none_after_it(
    context: BrowserContext, bot: BotProcess, window: Window
) -> None:
    conversation = await window.page.evaluate("localStorage.getItem('state-bot.conversation')")
    path = f"{address(bot)}v3/directline/conversations/{quoted(conversation)}/activities"
    for attachments in (7, [None]):
        odd = {"type": "message", "from": {"id": "eve"}, "text": "odd", "attachments": attachments}
        await context.request.post(path, data=odd)
    await window.sees("cannot be shown")
    await window.say("And now?", "Ada sent: And now?")


async def test_a_conversation_that_the_storage_has_forgotten_begins_anew_and_says_so(
    context: BrowserContext, run: Run
) -> None:
    async with run(STATE_STORAGE="memory") as bot:
        window = await opened(context, address(bot))
        await window.say("Hi", "What is your name?")
        await window.press("Restart the bot")
        await window.sees("The storage does not know this conversation any more; this is a new one.")
        await window.say("Hi", "What is your name?")
        assert await window.count("Hi") == 1


async def test_a_conversation_that_never_was_is_answered_with_a_new_one(
    context: BrowserContext, bot: BotProcess
) -> None:
    window = await opened(context, f"{address(bot)}?conversation=nobody-began-this&user=eve")
    await window.sees("The storage does not know this conversation any more; this is a new one.")
    await window.say("Hi", "What is your name?")


async def test_replicas_on_one_storage_are_offered_and_either_goes_on_for_the_other(
    context: BrowserContext, run: Run
) -> None:
    async with run(SQLITE_PATH="two.db") as first, run(SQLITE_PATH="two.db") as second:
        window = await opened(context, address(first))
        await window.say("Hi", "What is your name?")
        await window.page.get_by_label("Send to").select_option(address(second).rstrip("/"))
        await window.say("Ada", "Thanks Ada.")
        place = address(second).removeprefix("http://").rstrip("/")
        await window.turns.get_by_role("listitem").filter(has_text=place).get_by_text("committed").first.wait_for()
        await window.press("Restart the bot")
        await window.sees("The process was replaced")
        await window.page.get_by_label("Send to").select_option(index=0)
        await window.say("Do you know me?", "Ada sent: Do you know me?")
        await asyncio.wait_for(second.kill(), 10)
        await window.page.get_by_label("Send to").wait_for(state="hidden")
        await window.say("And now?", "Ada sent: And now?")


async def test_each_document_says_when_it_expires(context: BrowserContext, run: Run) -> None:
    async with run(STATE_STORAGE="memory", EXPIRE_USER_DAYS="30") as bot:
        window = await opened(context, address(bot))
        await window.say("Hi", "What is your name?")
        await window.say("Ada", "Thanks Ada.")
        documents = window.page.locator("#documents .document")
        await documents.filter(has_text="directline/users/").get_by_text("kept 30 days after its last use").wait_for()
        await documents.filter(has_text="directline/conversations/").get_by_text("never expires").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1280, 800), (360, 740)], ids=["desktop", "phone"])
async def test_nothing_is_wider_than_the_screen(
    browser: Browser, bot: BotProcess, size: tuple[int, int], scheme: str
) -> None:
    context = await browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    window = await opened(context, address(bot))
    await window.say("Hi", "What is your name?")
    await window.say("W" * 300, "Thanks W")
    await window.say("three", ANSWERED)
    assert await window.page.evaluate("document.documentElement.scrollWidth") <= size[0]
    ground, ink = await window.page.evaluate(
        "(style => [style.backgroundColor, style.color])(getComputedStyle(document.body))"
    )
    assert (brightness(ground) > brightness(ink)) == (scheme == "light")
    await context.close()


def brightness(colour: str) -> int:
    return sum(int(part) for part in re.findall(r"\d+", colour)[:3])


async def test_everything_can_be_reached_with_the_keyboard(window: Window) -> None:
    await window.page.get_by_label("Message", exact=True).focus()
    reached = []
    for _ in range(7):
        await window.page.keyboard.press("Tab")
        reached.append(await window.page.evaluate("document.activeElement.textContent.trim()"))
    lessons = ["Send twice", "Burst of 20", "Restart the bot", "Second user ↗", "New conversation"]
    assert reached[:6] == ["Send", *lessons]
    await window.page.get_by_label("Message", exact=True).fill("one")
    await window.page.keyboard.press("Shift+Enter")
    await window.page.keyboard.type("two")
    await window.page.keyboard.press("Enter")
    await window.sees("Ada sent: one")
    assert await window.messages.get_by_text(re.compile("^one\ntwo$")).count() == 1
