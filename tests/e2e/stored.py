"""What the documents of a run hold in the end."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from botbuilder.core import TurnContext
from botbuilder.core.adapters import TestAdapter
from botbuilder.schema import Activity

from bots.state import ConversationState, UserState
from bots.turn.middleware import TurnTransaction
from bots.turn.runtime import Limits, Runtime
from config import Settings
from storage import create_storage
from tests.e2e.counting_bot import SCOPES, CountingBot
from tests.e2e.history import Tally
from tests.e2e.traffic import Traffic

PATIENCE: Final = 60.0  # seconds for one reading, which nobody waits for: an emulator collects its garbage meanwhile


async def stored(settings: Settings, traffic: Traffic) -> dict[str, Tally]:
    """Read what the documents hold in the end, as the bot in a new process would find it."""
    documents: dict[str, Tally] = {}
    async with create_storage(replace(settings, storage_timeout=PATIENCE)) as storage:
        states = ConversationState(storage), UserState(storage)
        runtime = Runtime(limits=Limits(turn=PATIENCE))
        turns, bot = TurnTransaction(storage, *states, runtime=runtime), CountingBot(*states)
        for activity in traffic.sent:
            keys = dict(zip(SCOPES, traffic.messages[activity["id"]].where, strict=True))
            if not documents.keys() >= set(keys.values()):
                context = TurnContext(TestAdapter(), Activity().deserialize({**activity, "id": None}))
                documents |= {keys[scope]: tally for scope, tally in (await tallies(turns, bot, context)).items()}
        await turns.aclose()
    return documents


async def tallies(turns: TurnTransaction, bot: CountingBot, context: TurnContext) -> dict[str, Tally]:
    """Read the two documents of a turn, in a turn."""
    found = {}

    async def read() -> None:
        for scope in SCOPES:
            activities = await bot.activities[scope].get(context) or []
            found[scope] = Tally(await bot.counts[scope].get(context) or 0, activities)

    await turns.on_turn(context, read)
    return found
