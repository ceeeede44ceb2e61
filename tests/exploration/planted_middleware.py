"""Bugs to plant into the middleware, through the seams between its parts; the exploration has to find each."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from functools import partial
from typing import Any, Final
from unittest import mock

from botbuilder.core import TurnContext
from botbuilder.schema import Activity

from bots.turn import ledger
from bots.turn.aftercare import mark_delivered, tidy
from bots.turn.commit import Attempt, commit
from bots.turn.context import TurnScene
from bots.turn.delivery import Deliveries
from bots.turn.middleware import TurnTransaction
from bots.turn.outcome import Aborted, Committed
from bots.turn.outlet import Outlet
from bots.turn.queue import ConversationQueue
from bots.turn.replies import Reply, at_once
from bots.turn.snapshot import Snapshot
from tests.exploration.process import ON_TURN_ERROR, BotError, Program, conversation_key


def no_ledger() -> AbstractContextManager[Any]:
    """Nobody looks whether the activity was handled."""
    return mock.patch.object(ledger, "find", return_value=None)


def settled_before_sending() -> AbstractContextManager[Any]:
    """Replies are noted as arrived before they are sent."""
    deliver = TurnTransaction._deliver

    async def hasty(self: TurnTransaction, scene: TurnScene, *rest: Any) -> None:
        self._settled.add(conversation_key(scene.received.conversation.id), scene.received)
        await deliver(self, scene, *rest)

    return mock.patch.object(TurnTransaction, "_deliver", hasty)


def failures_to_send_ignored() -> AbstractContextManager[Any]:
    """A reply that the channel did not take is forgotten."""
    send = Outlet.send

    async def careless(self: Outlet, activities: list[Activity]) -> Any:
        with contextlib.suppress(ConnectionError):
            return await send(self, activities)

    return mock.patch.object(Outlet, "send", careless)


def replies_in_another_order() -> AbstractContextManager[Any]:
    """The last reply is sent first."""
    deliver = Deliveries.deliver

    async def reverse(
        self: Deliveries, outlet: Outlet, txn: str | None, received: Activity, replies: Sequence[Reply]
    ) -> None:
        await deliver(self, outlet, txn, received, replies[::-1])

    return mock.patch.object(Deliveries, "deliver", reverse)


def nothing_remembered_of_what_was_sent() -> AbstractContextManager[Any]:
    """A process sends all replies again that it has sent already."""
    deliver = Deliveries.deliver

    async def forgetful(
        self: Deliveries, outlet: Outlet, txn: str | None, received: Activity, replies: Sequence[Reply]
    ) -> None:
        self._counts.clear()
        await deliver(self, outlet, txn, received, replies)

    return mock.patch.object(Deliveries, "deliver", forgetful)


def no_queue() -> AbstractContextManager[Any]:
    """Turns of one conversation run at the same time in a process; two deliveries of an activity, too."""

    @asynccontextmanager
    async def turn(_self: ConversationQueue, _conversation: str) -> AsyncIterator[None]:
        yield

    return mock.patch.object(ConversationQueue, "turn", turn)


def no_replay() -> AbstractContextManager[Any]:
    """A turn that has lost is taken for one that has committed."""
    run = Attempt.run

    async def stubborn(self: Attempt) -> Committed | Aborted:
        outcome = await run(self)
        return Committed(self.snapshot, self.view.own, {}, None) if isinstance(outcome, Aborted) else outcome

    return mock.patch.object(Attempt, "run", stubborn)


def tidied_before_the_commit() -> AbstractContextManager[Any]:
    """Undo notes are removed before the decision is written."""
    decide = Attempt.decide

    async def hasty(self: Attempt) -> Committed | Aborted:
        await tidy(Committed(self.snapshot, self.view.own, self.written, self.txn))
        return await decide(self)

    return mock.patch.object(Attempt, "decide", hasty)


def recent_taken_for_the_latest() -> AbstractContextManager[Any]:
    """A turn that writes nothing takes the conversation as this process left it, whoever wrote since."""

    async def trusting(_self: Snapshot) -> bool:
        return False

    return mock.patch.object(Snapshot, "is_outdated", trusting)


async def _acknowledging(context: TurnContext, error: Exception) -> None:
    """An `on_turn_error` that leaves nothing for the channel to deliver again, as the samples have it."""
    with contextlib.suppress(Exception):
        await ON_TURN_ERROR(context, error)


def marked_before_sending() -> AbstractContextManager[Any]:
    """A slow turn is marked as delivered before it is."""

    async def marking(*arguments: Any, **options: Any) -> Any:
        turn = await commit(*arguments, **options)
        if isinstance(turn, Committed) and turn.txn:
            await mark_delivered(turn)
        return turn

    return mock.patch("bots.turn.middleware.commit", marking)


AT_ONCE: Final = Program(around_logic=at_once)
SWALLOWING: Final = Program(around_logic=partial(contextlib.suppress, BotError))
ACKNOWLEDGING: Final = Program(on_turn_error=_acknowledging)
