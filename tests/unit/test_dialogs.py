"""botbuilder-dialogs on our conversation state: the stack survives turns, and a process that starts anew."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from botbuilder.core import MessageFactory
from botbuilder.core.adapters import TestAdapter
from botbuilder.dialogs import (
    ComponentDialog,
    DialogInstance,
    DialogSet,
    DialogState,
    DialogTurnResult,
    DialogTurnStatus,
    WaterfallDialog,
    WaterfallStepContext,
)
from botbuilder.dialogs.choices import Choice, ListStyle
from botbuilder.dialogs.memory.scopes import ConversationMemoryScope, UserMemoryScope
from botbuilder.dialogs.prompts import ChoicePrompt, PromptOptions, TextPrompt

from bots.state import ConversationState, UserState
from storage import Codec, StateDecodeError
from tests.unit.turns import CONVERSATION, USER, CountingStorage, new_turn


class Registration(ComponentDialog):
    """Asks for a name and a colour, and remembers the name of the user in the dialogs' own memory."""

    def __init__(self) -> None:
        super().__init__("registration")
        self.add_dialog(TextPrompt("text"))
        self.add_dialog(ChoicePrompt("choice"))
        self.add_dialog(WaterfallDialog("steps", [self.ask_name, self.ask_colour, self.thank]))
        self.initial_dialog_id = "steps"

    async def ask_name(self, step: WaterfallStepContext) -> DialogTurnResult:
        return await step.prompt("text", PromptOptions(prompt=MessageFactory.text("name?")))

    async def ask_colour(self, step: WaterfallStepContext) -> DialogTurnResult:
        step.values["name"] = step.result
        options = PromptOptions(
            prompt=MessageFactory.text("colour?"),
            retry_prompt=MessageFactory.text("one of these, please"),
            choices=[Choice("red"), Choice("blue", synonyms=["azure"])],
        )
        return await step.prompt("choice", options)

    async def thank(self, step: WaterfallStepContext) -> DialogTurnResult:
        name, colour = step.values["name"], step.result.value
        UserMemoryScope().get_memory(step)["name"] = name
        ConversationMemoryScope().get_memory(step)["colour"] = colour
        await step.context.send_activity(f"{name} likes {colour}")
        return await step.end_dialog({"name": name, "colour": colour})


async def say(storage: CountingStorage, text: str) -> tuple[DialogTurnResult, list[str]]:
    """Run one turn as a process that has just started; return the dialog's result and the bot's texts."""
    conversation, user, adapter = ConversationState(storage), UserState(storage), TestAdapter()
    turn = new_turn(text, adapter)
    for state in (conversation, user):
        await state.load(turn)
        turn.turn_state[type(state).__name__] = state  # where the memory scopes look for them
    dialogs = DialogSet(conversation.create_property("DialogState"))
    dialogs.add(Registration())
    context = await dialogs.create_context(turn)
    result = await context.continue_dialog()
    if result.status == DialogTurnStatus.Empty:
        result = await context.begin_dialog("registration")
    for state in (conversation, user):
        await state.save_changes(turn)
    return result, [activity.text.partition("\n")[0] for activity in adapter.activity_buffer]


@pytest.mark.parametrize("restart", [False, True])
async def test_a_waterfall_with_prompts_goes_on_turn_after_turn_also_in_a_new_process(restart: bool) -> None:
    documents: dict[str, Any] = {}
    storage = CountingStorage(documents)
    said = []
    for text in ("hi", "Ada", "green", "azure"):
        storage = CountingStorage(documents) if restart else storage
        result, texts = await say(storage, text)
        said += [text.split(" (")[0] for text in texts]
    assert said == ["name?", "colour?", "one of these, please", "Ada likes blue"]
    assert result.status == DialogTurnStatus.Complete
    assert result.result == {"name": "Ada", "colour": "blue"}

    stored = await storage.load([CONVERSATION, USER])
    assert stored[USER].value == {"name": "Ada"}
    assert stored[CONVERSATION].value["colour"] == "blue"
    assert stored[CONVERSATION].value["DialogState"]["_dialog_stack"] == []


async def test_a_dialog_in_the_middle_is_stored_as_the_stock_storages_store_it() -> None:
    storage = CountingStorage()
    await say(storage, "hi")
    stored = (await storage.load([CONVERSATION]))[CONVERSATION].value["DialogState"]
    assert stored["py/object"] == "botbuilder.dialogs.dialog_state.DialogState"
    [instance] = stored["_dialog_stack"]
    assert instance["py/object"] == "botbuilder.dialogs.dialog_instance.DialogInstance"
    assert instance["id"] == "registration"


async def test_a_turn_of_a_dialog_reads_each_document_once_and_writes_what_changed() -> None:
    storage = CountingStorage()
    await say(storage, "hi")
    assert storage.calls == ["load", "load", "save"]


DIALOG = {"py/object": "botbuilder.dialogs.dialog_state.DialogState", "_dialog_stack": []}


def test_a_document_names_a_dialog_only_where_the_program_uses_dialogs_and_imports_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, DialogState.__module__)
    with pytest.raises(StateDecodeError, match="not registered"):
        Codec().decode(DIALOG, "k")
    assert DialogState.__module__ not in sys.modules


def test_all_that_dialogs_keep_comes_back() -> None:
    codec = Codec()
    codec.register_dialogs()
    options = PromptOptions(choices=[Choice("red")], style=ListStyle.auto)
    stack = DialogState([DialogInstance("id", {"options": options})])
    [instance] = codec.decode(codec.encode(stack, "k"), "k").dialog_stack
    assert instance.state["options"].choices[0].value == "red"
    assert instance.state["options"].style is ListStyle.auto


@pytest.mark.parametrize(
    "tag",
    [
        "botbuilder.schema._models_py3.Model",  # not its own
        "botbuilder.schema._models_py3.datetime",
        "botbuilder.core.turn_context.TurnContext",
        "botbuilder.dialogs.dialog_set.DialogSet",
        "botbuilder.ai.luis.luis_recognizer.LuisRecognizer",
    ],
)
def test_no_other_class_of_the_sdk_is_ever_built(tag: str) -> None:
    codec = Codec()
    codec.register_dialogs()
    with pytest.raises(StateDecodeError, match="not registered"):
        codec.decode({"py/object": tag}, "k")
