"""Every turn an ACID transaction, for any bot. In an app of the SDK's kind, with the classes of `bots.state`:

    turns = TurnTransaction(storage, conversation_state, user_state)  # `await turns.aclose()` when the app ends
    adapter.use(turns)
    adapter.on_turn_error = for_bugs_only(adapter.on_turn_error)

Load, run the bot with its replies held back, commit, send. A turn that lost against another one runs again on what
that one left; an activity that was handled before is answered from the ledger.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Sequence
from typing import Any, Final

from botbuilder.core import ConversationState, Middleware, TurnContext

from bots.state import StoredState
from bots.turn.context import TurnScene
from bots.turn.delivery import Deliveries, delivery_id
from bots.turn.documents import TurnDocuments
from bots.turn.errors import DocumentNeeded, RepliesNotDelivered, TryAgain, TurnConflict, TurnTooSlow
from bots.turn.events import TurnEvent, TurnObserver, What, unobserved
from bots.turn.meters import count
from bots.turn.protocol import Aborted, Committed, Redelivered, Runtime, Snapshot, begin, commit, mark_delivered, tidy
from bots.turn.queue import ConversationQueue
from bots.turn.recorded import record, restore
from bots.turn.replies import Reply
from bots.turn.scopes import Scopes
from bots.turn.settled import Settled, is_answered_by_response
from storage.contract import DocumentStore, JsonObject
from storage.errors import StorageError
from storage.telemetry import spanned

ATTEMPTS: Final = 30  # of one turn, each on what the others have left
SHORTEST_BACKOFF: Final = 0.01  # seconds, before the second attempt; doubled with each further one
LONGEST_BACKOFF: Final = 0.5  # seconds
SLOW: Final = 5.0  # seconds after which the channel may deliver again before it has the answer

Logic = Callable[[], Awaitable[None]]

_log = logging.getLogger(__name__)


class TurnTransaction(Middleware):
    """Runs what comes after it (other middleware, the bot) as one transaction.

    Args:
        store: where the documents are; close it after this.
        states: the scopes of state that take part, of the classes in `bots.state`; each document of theirs that the
            activity has is loaded with the turn. Another one that the logic uses joins them: its first turn
            begins twice.
        runtime: clocks, waiting, names and bounds.
        observer: is told what happens.

    Raises, to the adapter's `on_turn_error` and on to the channel: `TurnConflict`, `TurnTooSlow`,
    `RepliesNotDelivered` and the storage's `StorageUnavailable`, all of which mean that the activity is to be
    delivered again; and whatever the bot raises, after which nothing is stored or sent.
    """

    def __init__(
        self,
        store: DocumentStore,
        *states: StoredState,
        runtime: Runtime | None = None,
        observer: TurnObserver = unobserved,
    ) -> None:
        self._store = store
        self._scopes = Scopes(store, states)
        self._runtime = runtime or Runtime()
        self._observer = observer
        self._queue = ConversationQueue(self._runtime.limits.waiting)
        self._deliveries = Deliveries()
        self._settled = Settled()
        self._afterwards: set[asyncio.Task[None]] = set()

    @spanned("turn")
    async def on_turn(self, context: TurnContext, logic: Logic) -> None:
        """Handle one delivery of an activity."""
        arrived = self._runtime.monotonic()
        conversation = ConversationState(None).get_storage_key(context)
        scene = TurnScene(context)
        async with contextlib.AsyncExitStack() as place:
            try:
                async with self._in_time(conversation):
                    await place.enter_async_context(self._queue.turn(conversation))
                    turn, replies = await self._decide(scene, logic, conversation, arrived)
            except Exception as error:
                self._tell("failed", scene, reason=f"{type(error).__name__}: {error}")
                raise
            await self._deliver(scene, turn, replies)
            if turn.txn and not is_answered_by_response(scene.received):
                self._settled.add(conversation, scene.received)
                if self._runtime.monotonic() - arrived > SLOW:
                    await mark_delivered(turn)
        if isinstance(turn, Committed):
            self._later(self._tidy(conversation, turn))

    async def aclose(self) -> None:
        """Wait for what is done after the replies."""
        while self._afterwards:
            await asyncio.gather(*self._afterwards)

    async def _decide(
        self, scene: TurnScene, logic: Logic, conversation: str, arrived: float
    ) -> tuple[Committed | Redelivered, Sequence[Reply]]:
        """Run the logic until it commits, or find that an earlier delivery did; with the replies to send now."""
        keys, name = self._scopes.keys(scene.context, conversation), delivery_id(scene.received)
        settled = self._settled.of(conversation)
        lost = 0
        for _ in range(ATTEMPTS):
            await self._back_off(lost)
            started = await begin(self._store, conversation, keys, name, received=arrived, runtime=self._runtime)
            if isinstance(started, Redelivered):
                _log.info("redelivered: answered from the ledger")
                self._tell("redelivered", scene, replies=len(started.replies))
                return started, restore(started.replies, scene.received, conversation)
            self._tell("loaded", scene, attempt=lost + 1, documents=started.view.versions())
            try:
                turn, replies = await self._attempt(scene, logic, started, settled)
            except DocumentNeeded as needed:
                self._scopes.join(needed.state)
                keys.append(self._scopes.admitted(needed.key, scene.context, conversation))
                continue
            if isinstance(turn, Committed):
                self._tell("committed", scene, attempt=lost + 1, documents=turn.etags, replies=len(replies))
                if turn.txn:
                    self._settled.forget(conversation, settled)
                return turn, replies
            lost += 1
            _log.info("attempt %d of a turn lost: %s", lost, turn.reason)
            self._tell("conflict", scene, attempt=lost, reason=turn.reason)
        raise TurnConflict(f"{conversation!r}: other turns were faster in {ATTEMPTS} attempts")

    async def _attempt(
        self, scene: TurnScene, logic: Logic, started: Snapshot, settled: Collection[str]
    ) -> tuple[Committed | Aborted, Sequence[Reply]]:
        """Run the logic once and try to commit; unless that works, the context is as if it had not run."""
        try:
            changes, replies = await self._run(scene, logic, TurnDocuments(started.documents))
            turn = await commit(started, changes, record(replies, scene.received), delivered=settled)
        except BaseException:
            scene.clear()
            raise
        if isinstance(turn, Aborted):
            scene.clear()
        else:
            scene.release(committed=True)
        return turn, replies

    @spanned("logic")
    async def _run(
        self, scene: TurnScene, logic: Logic, documents: TurnDocuments
    ) -> tuple[dict[str, JsonObject | None], Sequence[Reply]]:
        """Run the logic; return the documents it changed and what it wants to be sent."""
        context, held = scene.context, scene.set()
        self._scopes.forget(context)  # what other middleware has read before may be older than these documents
        documents.enter(context)
        await logic()
        await self._scopes.save(context)
        documents.leave(context)
        self._scopes.forget(context)
        return documents.changes(), held.replies

    @spanned("replies")
    async def _deliver(self, scene: TurnScene, turn: Committed | Redelivered, replies: Sequence[Reply]) -> None:
        try:
            await self._deliveries.deliver(scene.outlet, turn.txn, scene.received, replies)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            _log.error("the channel did not take the replies of a turn: %s", error)
            self._tell("undelivered", scene, reason=reason)
            raise RepliesNotDelivered(f"the turn is decided, its replies are not delivered: {reason}") from error
        self._tell("done", scene)

    def _tell(self, what: What, scene: TurnScene, **facts: Any) -> None:
        conversation = ConversationState(None).get_storage_key(scene.context)
        event = TurnEvent(what, conversation, scene.received.id, facts)
        count(event)
        self._observer(event)

    @contextlib.asynccontextmanager
    async def _in_time(self, conversation: str) -> AsyncIterator[None]:
        seconds = self._runtime.limits.turn
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                yield
        except TimeoutError as error:
            if limit.expired():  # otherwise it is the bot's own
                raise TurnTooSlow(f"{conversation!r}: a turn was not decided within {seconds:g} s") from error
            raise

    async def _back_off(self, number: int) -> None:
        """Wait before another attempt: full jitter, https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter"""
        if number:
            longest = min(LONGEST_BACKOFF, SHORTEST_BACKOFF * 2**number)
            await self._runtime.sleep(random.uniform(0, longest))  # noqa: S311 - spreads load, hides nothing

    async def _tidy(self, conversation: str, turn: Committed) -> None:
        if self._queue.busy(conversation):
            return  # the turn that waits would lose to it, and does the same work in passing
        try:
            async with self._queue.turn(conversation):
                await tidy(turn)
        except (StorageError, TryAgain) as error:
            _log.warning("undo notes left for the next turn: %s", error)

    def _later(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._afterwards.add(task)
        task.add_done_callback(self._afterwards.discard)
