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
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, Final

from botbuilder.core import Middleware, TurnContext

from bots.state import StoredState
from bots.turn.afterwards import Afterwards
from bots.turn.context import TurnScene
from bots.turn.deadline import in_time, time_to_reply
from bots.turn.delivery import Deliveries, delivery_id
from bots.turn.documents import TurnDocuments
from bots.turn.errors import RepliesNotDelivered, TurnConflict
from bots.turn.events import TurnEvent, TurnObserver, What, unobserved
from bots.turn.members import users_of
from bots.turn.meters import count
from bots.turn.protocol import Aborted, Committed, Redelivered, Runtime, Snapshot, begin, commit, mark_delivered
from bots.turn.queue import ConversationQueue
from bots.turn.recent import Recent
from bots.turn.recorded import record, restore
from bots.turn.replies import Reply
from bots.turn.scopes import Scopes
from bots.turn.settled import Settled, is_answered_by_response
from storage.contract import DocumentStore, JsonObject
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
            activity has is loaded with the turn. For another one that the logic uses the turn begins again.
        runtime: clocks, waiting, names and bounds.
        observer: is told what happens.

    Raises, to the adapter's `on_turn_error` and on to the channel: `TryAgain` and the storage's `StorageUnavailable`,
    which mean that the activity is to be delivered again; and what the bot raises: nothing is stored or sent then.
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
        self._recent = Recent(self._runtime)
        self._afterwards = Afterwards(self._queue)

    @spanned("turn")
    async def on_turn(self, context: TurnContext, logic: Logic) -> None:
        """Handle one delivery of an activity."""
        arrived = self._runtime.monotonic()
        scene = TurnScene(context)
        conversation = scene.conversation
        async with contextlib.AsyncExitStack() as place:
            try:
                async with in_time(conversation, self._runtime.limits.turn):
                    await place.enter_async_context(self._queue.turn(conversation))
                    turn, replies = await self._decide(scene, logic, arrived)
            except Exception as error:
                self._recent.drop(conversation)  # what the turn may have left is not known
                self._tell("failed", scene, reason=f"{type(error).__name__}: {error}")
                raise
            await self._deliver(scene, turn, replies)
            if turn.txn and not is_answered_by_response(scene.received):
                self._settled.add(conversation, scene.received)
                if self._runtime.monotonic() - arrived > SLOW:
                    self._recent.drop(conversation)
                    with contextlib.suppress(TimeoutError):
                        async with time_to_reply():
                            await mark_delivered(turn)
        if isinstance(turn, Committed):
            self._afterwards.tidy(turn)

    async def aclose(self) -> None:
        """Wait for replies on their way, and for what is done after them."""
        await self._deliveries.aclose()
        await self._afterwards.aclose()

    async def _decide(
        self, scene: TurnScene, logic: Logic, arrived: float
    ) -> tuple[Committed | Redelivered, Sequence[Reply]]:
        """Run the logic until it commits, or find that an earlier delivery did; with the replies to send now."""
        conversation = scene.conversation
        keys, name = self._scopes.keys(scene.context, conversation), delivery_id(scene.received)
        settled = self._settled.of(conversation)
        others: dict[str, StoredState] = {}
        lost = 0
        for _ in range(2 * ATTEMPTS):
            await self._back_off(lost)
            recent = self._recent.of(conversation)
            started = await begin(
                self._store, conversation, keys, name, received=arrived, runtime=self._runtime, recent=recent
            )
            if isinstance(started, Redelivered):
                _log.info("redelivered: answered from the ledger")
                self._tell("redelivered", scene, replies=len(started.replies))
                return started, restore(started.replies, scene.received, conversation)
            self._tell("loaded", scene, attempt=lost + 1, documents=started.view.versions())
            documents = TurnDocuments(started.documents)
            turn, replies = await self._attempt(scene, logic, started, documents, others.values(), settled)
            if documents.needed:
                others |= self._scopes.admit(documents.needed, scene.context, conversation)
                keys.extend(documents.needed)
                continue
            if isinstance(turn, Committed):
                self._tell("committed", scene, attempt=lost + 1, documents=turn.etags, replies=len(replies))
                if turn.txn:
                    self._settled.forget(conversation, settled)
                    self._recent.keep(turn)
                return turn, replies
            lost += 1
            self._recent.doubt(conversation)
            _log.info("attempt %d of a turn lost: %s", lost, turn.reason)
            self._tell("conflict", scene, attempt=lost, reason=turn.reason)
            if lost == ATTEMPTS:
                break
        raise TurnConflict(f"{conversation!r}: the turn did not come to an end; other turns were faster {lost} times")

    async def _attempt(
        self,
        scene: TurnScene,
        logic: Logic,
        started: Snapshot,
        documents: TurnDocuments,
        others: Collection[StoredState],
        settled: Collection[str],
    ) -> tuple[Committed | Aborted, Sequence[Reply]]:
        """Run the logic once and try to commit; unless that works, the context is as if it had not run."""
        turn: Committed | Aborted = Aborted("its logic asks for more documents, or fails on what is no longer so")
        replies: Sequence[Reply] = ()
        try:
            changes, replies = await self._run(scene, logic, documents, others)
            if not documents.needed:
                recorded, users = record(replies, scene.received), users_of(scene.received)
                turn = await commit(started, changes, recorded, delivered=settled, users=users)
        except BaseException as error:
            scene.clear()
            again = documents.needed or (isinstance(error, Exception) and await started.is_outdated())
            if not again or isinstance(error, asyncio.CancelledError):
                raise
        if isinstance(turn, Aborted):
            scene.clear()
        else:
            scene.release(committed=True)
        return turn, replies

    @spanned("logic")
    async def _run(
        self, scene: TurnScene, logic: Logic, documents: TurnDocuments, others: Collection[StoredState]
    ) -> tuple[dict[str, JsonObject | None], Sequence[Reply]]:
        """Run the logic; return the documents it changed and what it wants to be sent."""
        context, held = scene.context, scene.set()
        self._scopes.forget(context)  # what other middleware has read before may be older than these documents
        documents.enter(context)
        with scene.attempt.running():
            await logic()
            await self._scopes.save(context, others)
        documents.leave(context)
        self._scopes.forget(context)
        for state in others:
            state.forget(context)
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
        event = TurnEvent(what, scene.conversation, scene.received.id, facts)
        count(event)
        self._observer(event)

    async def _back_off(self, number: int) -> None:
        """Wait before another attempt: full jitter, https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter"""
        if number:
            longest = min(LONGEST_BACKOFF, SHORTEST_BACKOFF * 2**number)
            await self._runtime.sleep(random.uniform(0, longest))  # noqa: S311 - spreads load, hides nothing
