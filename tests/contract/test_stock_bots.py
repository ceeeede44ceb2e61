"""A bot moves from the stock storages and back, between any two turns, and goes on where it was.

The real botbuilder-azure on the same store: its storages, its `ConversationState`, its dialogs.
"""

from __future__ import annotations

import dataclasses
import enum
import uuid
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from botbuilder.core import ConversationState as StockConversationState
from botbuilder.core import MessageFactory, TurnContext
from botbuilder.core import UserState as StockUserState
from botbuilder.core.adapters import TestAdapter
from botbuilder.dialogs import (
    ComponentDialog,
    DialogSet,
    DialogTurnResult,
    DialogTurnStatus,
    WaterfallDialog,
    WaterfallStepContext,
)
from botbuilder.dialogs.choices import Choice
from botbuilder.dialogs.prompts import ChoicePrompt, PromptOptions, TextPrompt
from botbuilder.schema import Activity

from bots.state import ConversationState, UserState
from bots.turn.middleware import TurnTransaction
from storage import Codec, StateStorage

pytestmark = [
    pytest.mark.filterwarnings("ignore:Unverified HTTPS request"),  # the stock client's, at an emulator
    pytest.mark.filterwarnings("ignore:content_as_text is deprecated"),  # in the stock storage
]

Pair = tuple[StateStorage, Any]
KEY = "emulator/users/u1"


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1


@dataclasses.dataclass
class Address:
    street: str
    since: date | None = None


@dataclasses.dataclass
class Profile:
    name: str = ""
    home: Address | None = None
    addresses: list[Address] = dataclasses.field(default_factory=list)
    color: Color = Color.RED
    level: Level = Level.LOW
    joined: datetime | None = None
    tags: tuple[str, ...] = ()
    numbers: set[int] = dataclasses.field(default_factory=set)
    weight: float = 0.0


class WelcomeUserState:
    """As the SDK's samples have it."""

    def __init__(self, did_welcome_user: bool = False) -> None:
        self.did_welcome_user = did_welcome_user


def states() -> dict[str, dict[str, Any]]:
    home, moment = Address("Main", date(2020, 2, 29)), datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
    shared: list[Any] = [1, {"deep": ["x"]}]
    received = Activity().deserialize(
        {"timestamp": "2026-01-02T03:04:05Z", "localTimestamp": "2026-01-02T05:04:05+02:00"}
    )
    return {
        "plain": {"n": 1, "text": "Ωμέγα 👩‍👩‍👧", "none": None, "list": [True, 1.5, []], "object": {"a": {"b": {}}}},
        "typed": {"p": Profile("Ada", home, [home], Color.BLUE, Level.LOW, moment, ("a", "b"), {1, 2}, 70.5)},
        "of the samples": {"w": WelcomeUserState(True)},
        "points in time": {
            "moments": [
                moment,
                moment.replace(tzinfo=None),
                moment.astimezone(timezone(timedelta(hours=-3, minutes=-30))),
            ],
            "zone": datetime(2026, 7, 1, tzinfo=ZoneInfo("Europe/Berlin")),
            "of an activity": [received.timestamp, received.local_timestamp],
            "rest": [date(1, 1, 1), time(1, 2, 3, 4), time(1, tzinfo=UTC), timedelta(-1, 2, 3)],
        },
        "values": {"v": [Decimal("1.50"), uuid.UUID(int=7), b"\x00bytes", {1, 2}, (1, (2,))]},
        "shared": {"a": shared, "b": {"c": shared, "d": shared[1]}, "p": [home, home], "e": [Color.RED, Color.RED]},
        "shared times": {"at": [moment, moment, datetime(2027, 1, 1, tzinfo=UTC)], "and": UTC.utcoffset(None)},
        "integers": {"exact": [2**53 - 1, -(2**53) + 1]},
        "activity": {"hi": MessageFactory.text("hi")},
    }


def allow(ours: StateStorage) -> None:
    for cls in (Profile, WelcomeUserState):
        ours.codec.register(cls)


def without_e_tag(item: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name != "e_tag"}


def same(one: Any, other: Any) -> bool:
    """Equality that sees into objects without `__eq__`, and tells True from 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if hasattr(one, "__dict__") and not isinstance(one, enum.Enum):
        return type(one) is type(other) and same(vars(one), vars(other))
    return bool(type(one) is type(other) and one == other)


@pytest.mark.parametrize("name", states())
async def test_what_stock_wrote_is_the_same_here_and_there_again(pair: Pair, name: str) -> None:
    ours, theirs = pair
    allow(ours)
    state = states()[name]
    await theirs.write({KEY: dict(state)})

    read = (await ours.read([KEY]))[KEY]
    assert same(without_e_tag(read), without_e_tag((await theirs.read([KEY]))[KEY]))
    assert without_e_tag(read) == state or name in ("of the samples", "activity")

    await ours.write({KEY: {**read, "more": 1}})
    back = (await theirs.read([KEY]))[KEY]
    assert back.pop("more") == 1
    assert same(without_e_tag(back), without_e_tag(read))

    await theirs.write({KEY: back})  # and once more through stock: what it shares then, it had not shared before
    assert same(without_e_tag((await ours.read([KEY]))[KEY]), without_e_tag(read))


class Registration(ComponentDialog):
    """Asks for a name, a colour and a drink."""

    def __init__(self) -> None:
        super().__init__("registration")
        self.add_dialog(TextPrompt("text"))
        self.add_dialog(ChoicePrompt("choice"))
        self.add_dialog(WaterfallDialog("steps", [self.ask_name, self.ask_colour, self.ask_drink, self.thank]))
        self.initial_dialog_id = "steps"

    async def ask_name(self, step: WaterfallStepContext) -> DialogTurnResult:
        return await step.prompt("text", PromptOptions(prompt=MessageFactory.text("name?")))

    async def ask_colour(self, step: WaterfallStepContext) -> DialogTurnResult:
        step.values["name"] = step.result
        return await step.prompt("choice", self.one_of("red", "blue"))

    async def ask_drink(self, step: WaterfallStepContext) -> DialogTurnResult:
        step.values["colour"] = step.result.value
        return await step.prompt("choice", self.one_of("tea", "milk"))

    def one_of(self, *words: str) -> PromptOptions:
        ask = MessageFactory.text("which?")
        return PromptOptions(prompt=ask, retry_prompt=ask, choices=[Choice(word) for word in words])  # `ask` is shared

    async def thank(self, step: WaterfallStepContext) -> DialogTurnResult:
        step.values["drink"] = step.result.value
        await step.context.send_activity("thanks")
        return await step.end_dialog(dict(step.values))


async def run_dialog(context: TurnContext, conversation: Any, user: Any) -> None:
    dialogs = DialogSet(conversation.create_property("DialogState"))
    dialogs.add(Registration())
    dialog = await dialogs.create_context(context)
    result = await dialog.continue_dialog()
    if result.status == DialogTurnStatus.Empty:
        result = await dialog.begin_dialog("registration")
    if result.status == DialogTurnStatus.Complete:
        await user.create_property("answers").set(context, result.result)
    count = await conversation.create_property("turns").get(context, lambda: 0) or 0
    await conversation.create_property("turns").set(context, count + 1)


def new_context(adapter: TestAdapter, text: str) -> TurnContext:
    fields = {
        "type": "message",
        "id": str(uuid.uuid4()),
        "channelId": "emulator",
        "serviceUrl": "https://x",
        "text": text,
    }
    people = {"conversation": {"id": "c1"}, "from": {"id": "u1"}, "recipient": {"id": "bot"}, "locale": "en-US"}
    return TurnContext(adapter, Activity().deserialize(fields | people))


async def say_to_stock(theirs: Any, text: str) -> None:
    conversation, user = StockConversationState(theirs), StockUserState(theirs)
    context = new_context(TestAdapter(), text)
    await conversation.load(context)
    await user.load(context)
    await run_dialog(context, conversation, user)
    await conversation.save_changes(context)
    await user.save_changes(context)


async def say_to_ours(ours: StateStorage, text: str) -> None:
    ours.codec = Codec(ours.largest_integer)  # as in a process that has only just started
    conversation, user, adapter = ConversationState(ours), UserState(ours), TestAdapter()
    turns = TurnTransaction(ours, conversation, user)
    adapter.use(turns)

    async def bot(context: TurnContext) -> None:
        await run_dialog(context, conversation, user)

    await adapter.run_pipeline(new_context(adapter, text), bot)
    await turns.aclose()


ANSWERS = ("hi", "Ada", "green", "blue", "milk")


@pytest.mark.parametrize("who", ["toooo", "ttooo", "tttoo", "tttto", "ottot", "ototo", "totot", "ooott"])
async def test_a_dialog_in_its_middle_goes_on_there_and_here(pair: Pair, who: str) -> None:
    ours, theirs = pair
    for turn, text in zip(who, ANSWERS, strict=True):
        await (say_to_ours(ours, text) if turn == "o" else say_to_stock(theirs, text))

    conversation, user = "emulator/conversations/c1", "emulator/users/u1"
    stored = await ours.load([conversation, user])
    assert stored[user].value["answers"] == {"name": "Ada", "colour": "blue", "drink": "milk"}
    assert stored[conversation].value["turns"] == len(ANSWERS)
    assert stored[conversation].value["DialogState"]["_dialog_stack"] == []


async def test_stock_carries_forward_what_the_turns_keep_and_the_next_turn_uses_it(pair: Pair) -> None:
    ours, theirs = pair
    await say_to_ours(ours, "hi")
    keys = ["emulator/conversations/c1", "emulator/users/u1"]
    before = (await ours.load(keys))[keys[0]].value["$turn"]
    await say_to_stock(theirs, "Ada")
    after = await ours.load(keys)
    assert after[keys[0]].value["$turn"] == before
    assert after[keys[0]].value["turns"] == 2
    await say_to_ours(ours, "blue")
    assert len((await ours.load(keys))[keys[0]].value["$turn"]["ledger"]) == len(before["ledger"]) + 1
