"""Every turn an ACID transaction, for any bot: `adapter.use(TurnTransaction(storage, conversation_state, user_state))`.

Load, run the bot with its replies held back, commit, send. A turn that lost against another one runs again on what
that one left; an activity that was handled before is answered from the ledger.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Final

from botbuilder.core import BotState, ConversationState, Middleware, TurnContext
from botbuilder.schema import DeliveryModes

from bots.turn.aftercare import mark_delivered, tidy
from bots.turn.commit import Committed, commit
from bots.turn.context import TurnScene
from bots.turn.delivery import Deliveries
from bots.turn.documents import TurnDocuments
from bots.turn.errors import RepliesNotDelivered, TurnConflict
from bots.turn.queue import ConversationQueue
from bots.turn.replies import Reply, record, restore
from bots.turn.runtime import Runtime
from bots.turn.snapshot import Redelivered, Snapshot, begin
from storage.contract import DocumentStore, JsonObject
from storage.errors import StorageError

ATTEMPTS: Final = 30  # of one turn, each on what the others have left
SHORTEST_BACKOFF: Final = 0.01  # seconds, before the second attempt; doubled with each further one
LONGEST_BACKOFF: Final = 0.5  # seconds
GIVE_UP_AFTER: Final = 10.0  # seconds; the channel waits 15 for its answer
SLOW: Final = 5.0  # seconds after which the channel may deliver again before it has the answer

_log = logging.getLogger(__name__)


class TurnTransaction(Middleware):
    """Runs what comes after it (other middleware, the bot) as one transaction.

    Args:
        store: where the documents are; close it after this.
        states: the scopes of state that take part, of the classes in `bots.state`; each document of theirs that the
            activity has is loaded with the turn.
        runtime: clocks, waiting, names and bounds.

    Raises, to the adapter's `on_turn_error` and on to the channel: `TurnConflict`, `RepliesNotDelivered` and the
    storage's `StorageUnavailable`, all of which mean that the activity is to be delivered again; and whatever the bot
    raises, after which nothing is stored or sent.
    """

    def __init__(self, store: DocumentStore, *states: BotState, runtime: Runtime | None = None) -> None:
        self._store = store
        self._states = states
        self._runtime = runtime or Runtime()
        self._queue = ConversationQueue()
        self._deliveries = Deliveries()
        self._afterwards: set[asyncio.Task[None]] = set()

    async def on_turn(self, context: TurnContext, logic: Callable[[], Awaitable[None]]) -> None:
        """Handle one delivery of an activity."""
        received = self._runtime.monotonic()
        conversation = ConversationState(None).get_storage_key(context)
        async with self._queue.turn(conversation):
            turn, replies = await self._decide(context, logic, conversation, received)
            await self._deliver(context, conversation, replies)
            if self._runtime.monotonic() - received > SLOW:
                await mark_delivered(turn)
        if isinstance(turn, Committed):
            self._later(self._tidy(conversation, turn))

    async def aclose(self) -> None:
        """Wait for what is done after the replies."""
        await asyncio.gather(*self._afterwards)

    async def _decide(
        self, context: TurnContext, logic: Callable[[], Awaitable[None]], conversation: str, received: float
    ) -> tuple[Committed | Redelivered, Sequence[Reply]]:
        """Run the logic until it commits, or find that an earlier delivery did; with the replies to send now."""
        scene = TurnScene(context)
        settled = self._deliveries.take_settled(conversation)
        for number in range(ATTEMPTS):
            await self._back_off(number)
            started = await begin(
                self._store,
                conversation,
                self._keys(context),
                context.activity.id,
                received=received,
                runtime=self._runtime,
            )
            if isinstance(started, Redelivered):
                _log.info("redelivered: answered from the ledger")
                return started, restore(started.replies, context.activity)
            changes, replies = await self._run(scene, context, logic, started)
            turn = await commit(started, changes, record(replies, context.activity), delivered=settled)
            if isinstance(turn, Committed):
                return turn, replies
            _log.info("attempt %d of a turn lost: %s", number + 1, turn.reason)
            if self._runtime.monotonic() - received > GIVE_UP_AFTER:
                break
        raise TurnConflict(f"{conversation!r}: other turns were faster in {number + 1} attempts")

    async def _run(
        self, scene: TurnScene, context: TurnContext, logic: Callable[[], Awaitable[None]], started: Snapshot
    ) -> tuple[dict[str, JsonObject | None], Sequence[Reply]]:
        """Run the logic once; return the documents it changed and what it wants to be sent."""
        held, documents = scene.set(), TurnDocuments(started.documents)
        documents.enter(context)
        try:
            await logic()
            for state in self._states:
                await state.save_changes(context)
        except BaseException:
            scene.clear()
            raise
        scene.release()
        if context.activity.delivery_mode == DeliveryModes.expect_replies:
            return documents.changes(), [Reply("send", each) for each in context.buffered_reply_activities]
        return documents.changes(), held.replies

    async def _deliver(self, context: TurnContext, conversation: str, replies: Sequence[Reply]) -> None:
        try:
            await self._deliveries.deliver(context, conversation, replies)
        except Exception as error:
            _log.warning("the channel did not take the replies of a committed turn", exc_info=error)
            raise RepliesNotDelivered("the turn is committed, its replies are not delivered") from error

    def _keys(self, context: TurnContext) -> list[str]:
        """The documents of the activity; a scope that it has none of (no user, say) is left out."""
        keys = []
        for state in self._states:
            with contextlib.suppress(Exception):  # the SDK raises TypeError, AttributeError or a bare Exception
                keys.append(state.get_storage_key(context))
        return keys

    async def _back_off(self, number: int) -> None:
        """Wait before another attempt: full jitter, https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter"""
        if number:
            longest = min(LONGEST_BACKOFF, SHORTEST_BACKOFF * 2**number)
            await self._runtime.sleep(random.uniform(0, longest))  # noqa: S311 - spreads load, hides nothing

    async def _tidy(self, conversation: str, turn: Committed) -> None:
        if self._queue.busy(conversation):
            return  # the turn that waits would lose to it, and does the same work in passing
        async with self._queue.turn(conversation):
            try:
                await tidy(turn)
            except StorageError as error:
                _log.warning("undo notes left for the next turn: %s", error)

    def _later(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._afterwards.add(task)
        task.add_done_callback(self._afterwards.discard)
