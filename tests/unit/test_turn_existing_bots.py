"""Bots written for the SDK as it is run unchanged inside the turn transaction, and apps of its kind install it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from botbuilder.core import (
    ActivityHandler,
    AutoSaveStateMiddleware,
    BotFrameworkAdapter,
    BotFrameworkAdapterSettings,
    MessageFactory,
    Middleware,
    TurnContext,
)
from botbuilder.core.bot_state_set import BotStateSet
from botbuilder.dialogs import (
    ComponentDialog,
    DialogExtensions,
    DialogManager,
    DialogTurnResult,
    WaterfallDialog,
    WaterfallStepContext,
)
from botbuilder.dialogs.choices import Choice
from botbuilder.dialogs.prompts import ChoicePrompt, ConfirmPrompt, PromptOptions, TextPrompt
from botbuilder.integration.aiohttp import CloudAdapter, ConfigurationBotFrameworkAuthentication
from botbuilder.schema import Activity

from bots.credentials import BotIdentity
from bots.state import ConversationState, UserState
from bots.turn.errors import for_bugs_only
from bots.turn.middleware import TurnTransaction
from tests.unit.turn_bench import Bench, BenchStorage, C, D, InProcess, Replica, count, counting, failing, losing


class WelcomedProfile:
    """State as sample 45 has it: a plain class."""

    def __init__(self, name: str | None = None) -> None:
        self.name = name


class SampleData:
    def __init__(self, channel_id: str | None = None, prompted_for_user_name: bool = False) -> None:
        self.channel_id = channel_id
        self.prompted_for_user_name = prompted_for_user_name


class SampleBot(ActivityHandler):
    """A bot in the style of sample 45, with its own `save_changes` after each turn."""

    def __init__(self, conversation_state: ConversationState, user_state: UserState) -> None:
        if conversation_state is None or user_state is None:
            raise TypeError("missing parameter")
        self.conversation_state = conversation_state
        self.user_state = user_state
        self.data = conversation_state.create_property("SampleData")
        self.profile = user_state.create_property("WelcomedProfile")

    async def on_turn(self, turn_context: TurnContext) -> None:
        await super().on_turn(turn_context)
        await self.conversation_state.save_changes(turn_context)
        await self.user_state.save_changes(turn_context)

    async def on_message_activity(self, turn_context: TurnContext) -> None:
        profile = await self.profile.get(turn_context, WelcomedProfile)
        data = await self.data.get(turn_context, SampleData)
        if profile.name is None:
            if data.prompted_for_user_name:
                profile.name = turn_context.activity.text
                await turn_context.send_activity(f"Thanks {profile.name}.")
                data.prompted_for_user_name = False
            else:
                await turn_context.send_activity("What is your name?")
                data.prompted_for_user_name = True
        else:
            data.channel_id = turn_context.activity.channel_id
            await turn_context.send_activity(f"{profile.name} sent: {turn_context.activity.text}")


async def test_a_bot_of_the_samples_kind_runs_unchanged_through_restarts(bench: Bench) -> None:
    for text in ("hi", "Ada", "what now?"):
        assert await (await bench.replica(SampleBot)).status(bench.message(text)) == 201
    assert bench.connector.texts == ["What is your name?", "Thanks Ada.", "Ada sent: what now?"]
    states = await bench.storage.states()
    assert states[D]["WelcomedProfile"]["name"] == "Ada"
    assert states[C]["SampleData"]["channel_id"] == "emulator"


async def save_never(_state: Any, _context: TurnContext) -> None:
    return


async def save_twice(state: Any, context: TurnContext) -> None:
    await state.save_changes(context)
    await state.create_property("second").set(context, context.activity.text)
    await state.save_changes(context)
    await state.save_changes(context, force=True)


async def clear(state: Any, context: TurnContext) -> None:
    await state.clear_state(context)
    assert await state.create_property("count").get(context) is None
    await state.save_changes(context)
    await state.create_property("after").set(context, 0)


async def delete(state: Any, context: TurnContext) -> None:
    await state.delete(context)
    assert await state.create_property("count").get(context) is None
    await state.create_property("after").set(context, False)


async def delete_only(state: Any, context: TurnContext) -> None:
    await state.delete(context)


async def force_load(state: Any, context: TurnContext) -> None:
    await state.save_changes(context)
    await state.create_property("dropped").set(context, 1)
    await state.load(context, force=True)
    assert await state.create_property("dropped").get(context) is None


async def retype(state: Any, context: TurnContext) -> None:
    await state.create_property("count").set(context, True)  # Python takes 1 and True for equal


@pytest.mark.parametrize(
    ("behaviour", "expected"),
    [
        (save_never, {"count": 2}),
        (save_twice, {"count": 2, "second": "now"}),
        (clear, {"after": 0}),
        (delete, {"after": False}),
        (delete_only, None),
        (force_load, {"count": 2}),
        (retype, {"count": True}),
    ],
)
async def test_whatever_a_bot_does_to_its_state_in_a_turn_is_stored_when_it_ends(
    bench: Bench, behaviour: Callable[[Any, TurnContext], Awaitable[None]], expected: dict[str, Any] | None
) -> None:
    async def logic(context: TurnContext, conversation: ConversationState, user: UserState) -> None:
        for state in (conversation, user):
            if behaviour is not retype or context.activity.text == "before":
                await count(context, state)
            if context.activity.text == "now":
                await behaviour(state, context)

    replica = await bench.of(logic)
    assert [await replica.status(bench.message(text)) for text in ("before", "now")] == [201, 201]
    stored = {C: expected, D: expected} if expected else {}
    # As text: in JSON 1 and True differ.
    assert json.dumps(await bench.storage.states(), sort_keys=True) == json.dumps(stored, sort_keys=True)
    assert bench.connector.texts == []


async def test_a_stock_error_handler_that_deletes_the_state_does_not_make_the_bot_forget_what_it_handled(
    bench: Bench,
) -> None:
    async def logic(context: TurnContext, conversation: ConversationState, user: UserState) -> None:
        if context.activity.text == "crash":
            raise RuntimeError("a bug in the bot")
        await count(context, conversation)
        await count(context, user)

    bot = InProcess(bench.storage, logic)

    async def on_error(context: TurnContext, _error: Exception) -> None:
        await context.send_activity("Sorry")
        await bot.conversation_state.delete(context)

    bot.adapter.on_turn_error = for_bugs_only(on_error)
    first = bench.message()
    await bot.run(first)
    await bot.run(bench.message("crash"))
    assert await bench.storage.states() == {D: {"count": 1}}
    again = InProcess(bench.storage, logic)
    await again.run(first)
    assert await bench.storage.states() == {D: {"count": 1}}  # still known as handled
    await again.run(bench.message())
    assert await bench.storage.states() == {C: {"count": 1}, D: {"count": 2}}


async def test_a_conflict_never_reaches_a_stock_error_handler(bench: Bench) -> None:
    errors: list[Exception] = []

    async def on_error(_context: TurnContext, error: Exception) -> None:
        errors.append(error)

    bot = InProcess(bench.storage, counting)
    bot.adapter.on_turn_error = for_bugs_only(on_error)
    bench.storage.before = failing("load", times=99)
    with pytest.raises(Exception, match="away"):
        await bot.run(bench.message())
    assert errors == []


class Registration(ComponentDialog):
    """Asks for a name, a colour and a confirmation."""

    def __init__(self, user_state: UserState) -> None:
        super().__init__("registration")
        self._profile = user_state.create_property("registered")
        for prompt in (TextPrompt("text"), ChoicePrompt("choice"), ConfirmPrompt("confirm")):
            self.add_dialog(prompt)
        self.add_dialog(WaterfallDialog("steps", [self._name, self._colour, self._sure, self._end]))
        self.initial_dialog_id = "steps"

    async def _name(self, step: WaterfallStepContext) -> DialogTurnResult:
        return await step.prompt("text", PromptOptions(prompt=MessageFactory.text("Name?")))

    async def _colour(self, step: WaterfallStepContext) -> DialogTurnResult:
        step.values["name"] = step.result
        options = PromptOptions(prompt=MessageFactory.text("Colour?"), choices=[Choice("red"), Choice("blue")])
        return await step.prompt("choice", options)

    async def _sure(self, step: WaterfallStepContext) -> DialogTurnResult:
        step.values["colour"] = step.result.value
        return await step.prompt("confirm", PromptOptions(prompt=MessageFactory.text("Sure?")))

    async def _end(self, step: WaterfallStepContext) -> DialogTurnResult:
        await self._profile.set(step.context, [step.values["name"], step.values["colour"], step.result])
        await step.context.send_activity("Done")
        return await step.end_dialog()


class DialogBot(ActivityHandler):
    """As sample 43 and others run a dialog: by the SDK's helper, with `save_changes` after the turn."""

    def __init__(self, conversation_state: ConversationState, user_state: UserState) -> None:
        self.states = conversation_state, user_state
        self.dialog = Registration(user_state)
        self.stack = conversation_state.create_property("DialogState")

    async def on_turn(self, turn_context: TurnContext) -> None:
        await super().on_turn(turn_context)
        for state in self.states:
            await state.save_changes(turn_context, False)

    async def on_message_activity(self, turn_context: TurnContext) -> None:
        await DialogExtensions.run_dialog(self.dialog, turn_context, self.stack)


class ManagedBot(ActivityHandler):
    """The same by the SDK's DialogManager, which saves by itself."""

    def __init__(self, conversation_state: ConversationState, user_state: UserState) -> None:
        self.manager = DialogManager(Registration(user_state))
        self.manager.conversation_state = conversation_state
        self.manager.user_state = user_state

    async def on_message_activity(self, turn_context: TurnContext) -> None:
        await self.manager.on_turn(turn_context)


def said(bench: Bench) -> list[str]:
    """The messages, without the traces, up to the question mark."""
    return [sent.body["text"].split("?")[0] for sent in bench.connector.sent if sent.body["type"] == "message"]


@pytest.mark.parametrize("bot", [DialogBot, ManagedBot])
async def test_a_dialog_goes_on_after_each_restart_and_after_redeliveries(bench: Bench, bot: Any) -> None:
    for text in ("hi", "Ada", "blue", "yes"):
        message = bench.message(text)
        for _ in range(2):
            replica = await bench.replica(bot)
            assert await replica.status(message) == 201
            await bench.settled(replica)
    assert said(bench) == [text for text in ("Name", "Colour", "Sure", "Done") for _ in range(2)]
    assert (await bench.storage.states())[D]["registered"] == ["Ada", "blue", True]


async def test_a_dialog_whose_turn_lost_goes_on_from_the_other_turn(bench: Bench) -> None:
    replica = await bench.replica(DialogBot)
    assert await replica.status(bench.message("hi")) == 201
    other = await bench.of(counting)
    replica = await bench.replica(DialogBot)
    bench.storage.before = losing(bench, other, times=2)
    assert await replica.status(bench.message("Ada")) == 201
    assert said(bench) == ["Name", "other 1", "other 2", "Colour"]


class Witness(Middleware):
    """Other middleware: sees what is sent, and signs it."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def on_turn(self, context: TurnContext, logic: Callable[[], Awaitable[None]]) -> None:
        async def sending(_context: TurnContext, activities: list[Activity], next_send: Any) -> None:
            for activity in activities:
                self.seen.append(activity.text or activity.type)
                if activity.text:
                    activity.text += "!"
            await next_send()

        context.on_send_activities(sending)
        await logic()
        assert context.responded


async def test_handlers_of_middleware_in_front_see_only_what_is_really_sent_and_may_change_it(bench: Bench) -> None:
    witness = Witness()
    other = await bench.of(counting)

    async def logic(context: TurnContext, conversation: ConversationState, _user: UserState) -> None:
        await context.send_activity(Activity(type="typing"))
        await context.send_activity(str(await count(context, conversation)))

    bench.storage = storage = type(bench.storage)(bench.storage._documents)
    bot = InProcess(storage, logic)
    bot.adapter._middleware._middleware.insert(0, witness)
    storage.before = losing(bench, other, times=1)
    message = bench.message()
    await bot.run(message)
    assert witness.seen == ["typing", "typing", "2"]
    assert [text for text in bot.texts if text] == ["2!"]
    again = InProcess(storage, logic)
    again.adapter._middleware._middleware.insert(0, witness)
    await again.run(message)
    assert again.texts == ["2!"]  # from the ledger, through the handlers as the first time


async def test_state_that_middleware_in_front_has_read_is_not_what_the_turn_runs_on(bench: Bench) -> None:
    class Reader(Middleware):
        async def on_turn(self, context: TurnContext, logic: Callable[[], Awaitable[None]]) -> None:
            with pytest.raises(KeyError):
                await bot.conversation_state.get_property_value(context, "$turn")
            await bot.conversation_state.create_property("count").get(context)
            assert await other.status(bench.message("other")) == 201
            await logic()

    other = await bench.of(counting)
    bot = InProcess(bench.storage, counting)
    bot.adapter._middleware._middleware.insert(0, Reader())
    bot.adapter._middleware._middleware.insert(
        0, AutoSaveStateMiddleware(BotStateSet([bot.conversation_state, bot.user_state]))
    )
    await bot.run(bench.message("mine"))
    await bot.run(bench.message("mine"))
    assert bot.texts == ["mine 2", "mine 4"]
    assert await bench.storage.states() == {C: {"count": 4}}


@pytest.mark.parametrize("kind", ["CloudAdapter", "BotFrameworkAdapter"])
async def test_three_lines_install_it_in_an_app_of_the_sdks_kind(bench: Bench, kind: str) -> None:
    errors: list[Exception] = []

    async def on_error(_context: TurnContext, error: Exception) -> None:
        errors.append(error)

    def app_with(storage: BenchStorage) -> web.Application:
        identity = BotIdentity(None, None, "MultiTenant", None)
        adapter = (
            CloudAdapter(ConfigurationBotFrameworkAuthentication(identity))
            if kind == "CloudAdapter"
            else BotFrameworkAdapter(BotFrameworkAdapterSettings("", ""))
        )
        adapter.on_turn_error = on_error
        conversation_state, user_state = ConversationState(storage), UserState(storage)
        bot = SampleBot(conversation_state, user_state)

        turns = TurnTransaction(storage, conversation_state, user_state)
        adapter.use(turns)
        adapter.on_turn_error = for_bugs_only(adapter.on_turn_error)

        async def messages(request: web.Request) -> web.Response:
            activity = Activity().deserialize(await request.json())
            await adapter.process_activity(*_as_asked(kind, activity), bot.on_turn)
            return web.Response(status=201)

        app = web.Application()
        app.router.add_post("/api/messages", messages)
        app.on_cleanup.append(lambda _app: turns.aclose())
        return app

    first = bench.message("hi")
    async with TestClient(TestServer(app_with(bench.storage))) as client:
        theirs = Replica(client, web.Application())
        assert [await theirs.status(first), await theirs.status(first)] == [201, 201]
    async with TestClient(TestServer(app_with(bench.storage))) as client:
        theirs = Replica(client, web.Application())
        assert [await theirs.status(message) for message in (first, bench.message("Ada"))] == [201, 201]
        bench.storage.before = failing("load", times=99)
        assert await theirs.status(bench.message("Eve")) == 500  # theirs to make a 503 of; the channel tries again
    assert bench.connector.texts == ["What is your name?", "What is your name?", "Thanks Ada."]
    assert errors == []


def _as_asked(kind: str, activity: Activity) -> tuple[Any, Any]:
    return ("", activity) if kind == "CloudAdapter" else (activity, "")
