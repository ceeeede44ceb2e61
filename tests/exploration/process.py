"""One process of the real middleware, which stops wherever it asks something of the world."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Callable
from contextlib import AbstractContextManager

from botbuilder.core import TurnContext
from botbuilder.schema import Activity, ChannelAccount, ConversationAccount

from bots.adapter import create_adapter
from bots.connector.pool import ConnectorPool
from bots.credentials import BotCredentialsFactory, BotIdentity
from bots.state import ConversationState, StoredState, UserState
from bots.turn.errors import OnTurnError, TryAgain, for_bugs_only
from bots.turn.middleware import TurnTransaction
from bots.turn.runtime import Limits, Runtime
from storage.base import StateStorage
from storage.errors import StorageError
from tests.exploration.actors import Answer
from tests.exploration.asking import ChannelAdapter, Request, Separate, Sleep, Transactional
from tests.exploration.loop import Loop
from tests.exploration.picture import Painter
from tests.exploration.turns import Turn

CHANNEL = "test"
PARTS = 2  # replies of each turn, to see that they come in order
LIMITS = Limits(loads=6, patience=0, tries=3, alone_after=1, shared=0.0)
_ANYBODY = BotIdentity(None, None, "MultiTenant", None)
ON_TURN_ERROR = create_adapter(_ANYBODY, BotCredentialsFactory(_ANYBODY), ConnectorPool(1.0)).on_turn_error


def conversation_key(name: str) -> str:
    """The key of a conversation's document."""
    return f"{CHANNEL}/conversations/{name}"


def user_key(name: str) -> str:
    """The key of a user's document."""
    return f"{CHANNEL}/users/{name}"


@dataclasses.dataclass(frozen=True)
class Program:
    """What a process runs.

    Attributes:
        on_turn_error: the adapter's.
        around_logic: what the bot's logic runs in.
    """

    transactional: bool = False
    limits: Limits = LIMITS
    on_turn_error: OnTurnError = ON_TURN_ERROR
    around_logic: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext


class BotError(Exception):
    """What a bot raises that has a bug."""


async def _tell(context: TurnContext, error: Exception) -> None:
    """Says what has failed, as a bot does whose errors are for its users."""
    for part in range(1, PARTS + 1):
        await context.send_activity(f"{part} {error}")


TELLING = Program(on_turn_error=for_bugs_only(_tell))


class Process:
    """A process: deliveries are given to it, and what it asks is answered, one at a time.

    Attributes:
        asked: what each task waits for.
        ended: how deliveries have ended since the last look: "acknowledged", "again", or something that must not be.
    """

    def __init__(self, program: Program) -> None:
        self.asked: dict[str, Request] = {}
        self.ended: dict[str, str] = {}
        self._answers: dict[str, asyncio.Future[Answer]] = {}
        self._program = program
        self._loop = Loop(self._shared)  # type: ignore[abstract]  # what it lacks is never called
        store = (Transactional if program.transactional else Separate)(self.ask)
        self._states = ConversationState(store), UserState(store)
        runtime = Runtime(
            wall=self._loop.time,
            monotonic=self._loop.time,
            sleep=self._sleep,
            new_txn=self._new_txn,
            limits=program.limits,
        )
        self._turns = TurnTransaction(store, *self._states, runtime=runtime)
        self._adapter = ChannelAdapter(self.ask)
        self._adapter.use(self._turns)
        self._adapter.on_turn_error = program.on_turn_error

    def deliver(self, delivery: str, turn: Turn, now: float) -> None:
        """Let the channel deliver the turn's activity; `delivery` is a name of its own."""
        self._loop.now = now
        self._loop.begin(delivery, self._take(delivery, turn), hash((delivery, turn)))
        self._loop.run()

    def answer(self, task: str, answer: Answer, now: float) -> None:
        """Answer what the task asks."""
        self._loop.now = now
        del self.asked[task]
        work = next(work for work in self._loop.alive.values() if work.name == task)
        work.chain = hash((work.chain, answer))
        self._answers.pop(task).set_result(answer)
        self._loop.run()

    def wait(self, now: float) -> None:
        """Let time pass."""
        self._loop.now = now
        self._loop.run()

    def fingerprint(self) -> object:
        """All that its future depends on."""
        alive = frozenset((work.name, work.chain) for work in self._loop.alive.values())
        return self._shared(), alive, frozenset(self.asked.items())

    @property
    def hangs(self) -> bool:
        """Whether tasks wait, and for nothing that the world could give them."""
        return bool(self._loop.alive) and not self.asked

    def kill(self) -> None:
        """End it where it is."""
        self._loop.close()

    async def ask(self, request: Request) -> Answer:
        """What a task calls to ask the world."""
        name = self._loop.work().name
        self.asked[name] = request
        future = self._answers[name] = self._loop.create_future()
        try:
            answer: Answer = await future
        except asyncio.CancelledError:  # what it asks may be done all the same
            del self.asked[name], self._answers[name]
            raise
        return answer

    def _shared(self) -> object:
        names = {task: work.name for task, work in self._loop.alive.items()}
        return Painter((StateStorage, StoredState, Runtime, Loop), names).draw(self._turns)

    async def _sleep(self, _seconds: float) -> None:
        work = self._loop.work()
        work.sleeps += 1
        await self.ask(Sleep(work.sleeps))

    def _new_txn(self) -> str:
        work = self._loop.work()
        work.names += 1
        return f"{work.name}-{work.names}"

    async def _take(self, delivery: str, turn: Turn) -> None:
        """What the endpoint does with an activity, and what it answers."""
        context = TurnContext(self._adapter, _activity(turn))
        try:
            await self._adapter.run_pipeline(context, lambda context: self._bot(context, turn))
        except (StorageError, TryAgain):
            self.ended[delivery] = "again"
        except Exception as error:
            self.ended[delivery] = f"failed with {error!r}"
        else:
            self.ended[delivery] = "acknowledged"

    async def _bot(self, context: TurnContext, turn: Turn) -> None:
        """Adds the turn's letter to the documents that it changes, and tells all that it saw."""
        properties = dict(zip(turn.keys, (state.create_property("log") for state in self._states), strict=True))
        with self._program.around_logic():
            changed, reply = turn.run({key: await each.get(context) for key, each in properties.items()})
            for part in range(1, PARTS + 1):
                await context.send_activity(f"{part} {reply}")
            for key, text in changed.items():
                await properties[key].set(context, text)
            for state in self._states:
                await state.save_changes(context)
            if turn.raises or turn.complains:
                raise BotError(reply)


def _activity(turn: Turn) -> Activity:
    return Activity(
        type="message",
        id=turn.name,
        channel_id=CHANNEL,
        service_url="https://test",
        conversation=ConversationAccount(id=turn.conversation),
        from_property=ChannelAccount(id=turn.others[0]),
        recipient=ChannelAccount(id="bot"),
    )
