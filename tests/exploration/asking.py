"""What a process of the middleware asks of the world, and the storage and the adapter that ask it."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from typing import ClassVar

from botbuilder.core import BotAdapter, TurnContext
from botbuilder.schema import Activity, ConversationReference, ResourceResponse

from storage.base import StateStorage
from tests.exploration.actors import Answer, AskingStore, Operation, got

REFUSED = ("refused",)
DONE = ("done",)


@dataclasses.dataclass(frozen=True)
class Say:
    """A reply to `turn`, on its way to the channel."""

    turn: str
    text: str


@dataclasses.dataclass(frozen=True)
class Sleep:
    """A task's wait for some time to pass, and how many it has made. How long it is, makes no difference."""

    number: int


Request = Operation | Say | Sleep


class ChannelAdapter(BotAdapter):
    """The way to the channel."""

    def __init__(self, ask: Callable[[Request], Awaitable[Answer]]) -> None:
        super().__init__()
        self._ask = ask

    async def send_activities(self, context: TurnContext, activities: list[Activity]) -> list[ResourceResponse]:
        for activity in activities:
            if await self._ask(Say(activity.reply_to_id, activity.text)) == REFUSED:
                raise ConnectionError("the channel did not take a reply")
        return [ResourceResponse(id="sent") for _ in activities]

    async def update_activity(self, context: TurnContext, activity: Activity) -> None:
        raise AssertionError("no turn does that")

    async def delete_activity(self, context: TurnContext, reference: ConversationReference) -> None:
        raise AssertionError("no turn does that")


class Separate(AskingStore, StateStorage):
    """The contract, each call of which asks the world."""

    def __init__(self, ask: Callable[[Request], Awaitable[Answer]]) -> None:
        super().__init__()
        self._ask = ask

    async def ask(self, operation: Operation) -> Answer:
        return got(await self._ask(operation))

    async def text(self, key: str) -> bytes | None:
        raise AssertionError("no turn does that")


class Transactional(Separate):
    """The same, saving everything or nothing."""

    transactional: ClassVar[bool] = True
