"""Bots behind real HTTP: the application, a connector that takes its replies, a storage that can be made to fail."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, ClassVar, NamedTuple

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer
from botbuilder.core import Bot, TurnContext
from botbuilder.core.adapters import TestAdapter
from botbuilder.schema import Activity

import app as state_bot
from bots.state import ConversationState, StoredState, UserState
from bots.turn.errors import for_bugs_only
from bots.turn.events import TurnObserver, unobserved
from bots.turn.middleware import TurnTransaction
from bots.turn.runtime import Limits, Runtime
from config import Settings
from storage import Document, StorageConflict, StorageUnavailable, Write
from storage.memory import MemoryStorage

TURN = "$turn"
C = "emulator/conversations/c1"
D = "emulator/users/u1"
MEMORY = Settings(state_storage="memory")
Logic = Callable[[TurnContext, ConversationState, UserState], Awaitable[None]]


class Call(NamedTuple):
    """One operation of a storage: "load" or "save", and its keys."""

    operation: str
    keys: tuple[str, ...]


class BenchStorage(MemoryStorage):
    """Memory with its operations recorded in `calls`; `before` and `after` run around each and may raise.

    What `after` raises is an acknowledgement that is lost: the operation has been done.
    """

    def __init__(self, documents: dict[str, Any] | None = None) -> None:
        super().__init__(documents)
        self.calls: list[Call] = []
        self.before: Callable[[Call], Awaitable[None]] = _nothing
        self.after: Callable[[Call], Awaitable[None]] = _nothing

    async def load(self, keys: Iterable[str]) -> dict[str, Document]:
        call = Call("load", tuple(keys))
        await self._begin(call)
        found = await super().load(call.keys)
        await self.after(call)
        return found

    async def save(self, writes: Mapping[str, Write]) -> dict[str, str]:
        call = Call("save", tuple(writes))
        await self._begin(call)
        etags = await self._save(writes)
        await self.after(call)
        return etags

    async def _begin(self, call: Call) -> None:
        self.calls.append(call)
        await asyncio.sleep(0)  # as every real storage, it lets others go first
        await self.before(call)

    async def _save(self, writes: Mapping[str, Write]) -> dict[str, str]:
        return await super().save(writes)

    def operations(self) -> list[str]:
        """The names of the operations so far."""
        return [call.operation for call in self.calls]

    async def states(self) -> dict[str, Any]:
        """The state in every document, without what the turns keep beside it, and without empty ones."""
        documents = await MemoryStorage.load(self, list(self._documents))
        stripped = {
            key: {name: item for name, item in document.value.items() if name != TURN}
            for key, document in documents.items()
        }
        return {key: state for key, state in stripped.items() if state}


class SeparateStorage(BenchStorage):
    """The same without transactions: each document of a save is written, or refused, for itself."""

    transactional: ClassVar[bool] = False

    async def _save(self, writes: Mapping[str, Write]) -> dict[str, str]:
        etags: dict[str, str] = {}
        conflicts: list[StorageConflict] = []
        for key, write in writes.items():
            await asyncio.sleep(0)
            try:
                etags |= await MemoryStorage.save(self, {key: write})
            except StorageConflict as error:
                conflicts.append(error)
        for conflict in conflicts:
            raise conflict
        return etags


async def _short(seconds: float) -> None:
    await asyncio.sleep(seconds / 20)


async def _nothing(_call: Call) -> None:
    return


def failing(operation: str, times: int = 1, error: type[Exception] = StorageUnavailable) -> Callable[[Call], Any]:
    """A hook that raises at the next `times` calls of `operation`."""
    left = itertools.count(times, -1)

    async def hook(call: Call) -> None:
        if call.operation == operation and next(left) > 0:
            raise error("the service is away")

    return hook


class Sent(NamedTuple):
    """What a bot asked of the connector."""

    method: str
    activity_id: str | None  # the activity that is replied to, updated or deleted
    body: dict[str, Any]


class Connector:
    """Takes the replies of any number of bots.

    Attributes:
        sent: what it has taken, in order.
        refusals: for each request to come, whether it is refused; those after the last are taken.
        fails: whether it fails when it has taken one.
        url: where bots send replies.
    """

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.refusals: list[bool] = []
        self.fails = False
        self.arrived = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.url = ""

    @property
    def texts(self) -> list[str]:
        return [sent.body.get("text", sent.body.get("type", "")) for sent in self.sent]

    async def handle(self, request: web.Request) -> web.Response:
        if self.refusals and self.refusals.pop(0):
            return web.json_response({"error": {"code": "Forbidden", "message": "not now"}}, status=403)
        body = await request.json() if request.can_read_body else {}
        self.sent.append(Sent(request.method, request.match_info.get("activity"), body))
        self.arrived.set()
        await self.may_answer.wait()
        if self.fails:
            return web.json_response({"error": {"code": "Forbidden", "message": "after all"}}, status=403)
        return web.json_response({"id": f"sent-{len(self.sent)}"})


class LogicBot(Bot):
    """A bot that is one function."""

    def __init__(self, logic: Logic, conversation_state: ConversationState, user_state: UserState) -> None:
        self._logic = logic
        self._states = conversation_state, user_state

    async def on_turn(self, context: TurnContext) -> None:
        await self._logic(context, *self._states)


class Replica:
    """One process of the bot."""

    def __init__(self, client: TestClient[Any, Any], app: web.Application) -> None:
        self.client = client
        self.app = app

    async def post(self, activity: dict[str, Any]) -> ClientResponse:
        return await self.client.post(
            "/api/messages", data=json.dumps(activity), headers={"Content-Type": "application/json"}
        )

    async def status(self, activity: dict[str, Any]) -> int:
        return (await self.post(activity)).status


class Bench:
    """A storage and a connector, and as many replicas of a bot as a test starts."""

    def __init__(self, storage_class: type[BenchStorage], stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch):
        self._storage_class = storage_class
        self._stack = stack
        self._monkeypatch = monkeypatch
        self._documents: dict[str, Any] = {}
        self._ids = itertools.count(1)
        self.connector = Connector()
        self.storage: BenchStorage = storage_class(self._documents)  # of the newest replica

    async def replica(self, bot: Callable[[ConversationState, UserState], Bot]) -> Replica:
        """Start another process of `bot` on the same documents."""
        self.storage = storage = self._storage_class(self._documents)
        self._monkeypatch.setattr(state_bot, "create_storage", lambda _settings: storage)
        self._monkeypatch.setattr(state_bot, "Runtime", partial(Runtime, sleep=_short))
        application = state_bot.create_app(MEMORY, bot)
        client = await self._stack.enter_async_context(TestClient(TestServer(application)))
        return Replica(client, application)

    async def of(self, logic: Logic) -> Replica:
        """Start another process of the bot that is the function `logic`."""
        return await self.replica(lambda *states: LogicBot(logic, *states))

    def activity(self, kind: str = "message", **fields: Any) -> dict[str, Any]:
        """An activity with an id of its own; `fields` go on top."""
        return {
            "type": kind,
            "id": f"a{next(self._ids)}",
            "channelId": "emulator",
            "serviceUrl": self.connector.url,
            "conversation": {"id": "c1"},
            "from": {"id": "u1", "name": "Ada"},
            "recipient": {"id": "bot", "name": "Bot"},
            "locale": "en-US",
            **fields,
        }

    def message(self, text: str = "hi", **fields: Any) -> dict[str, Any]:
        return self.activity(text=text, **fields)

    async def settled(self, replica: Replica) -> None:
        """Wait for what the replica does after its replies."""
        await replica.app[state_bot.TURNS].aclose()


@asynccontextmanager
async def open_bench(storage_class: type[BenchStorage], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    """Run a connector until the block ends, and the replicas that are started in it."""
    async with AsyncExitStack() as stack:
        bench = Bench(storage_class, stack, monkeypatch)
        connector = web.Application()
        for path in ("activities", "activities/{activity}"):
            connector.router.add_route("*", "/v3/conversations/{conversation}/" + path, bench.connector.handle)
        server = await stack.enter_async_context(TestServer(connector))
        bench.connector.url = str(server.make_url("")).rstrip("/")
        yield bench
        bench.connector.may_answer.set()


async def count(context: TurnContext, state: StoredState) -> int:
    """Count the turn in `state`."""
    accessor = state.create_property("count")
    number: int = await accessor.get(context, 0) + 1
    await accessor.set(context, number)
    return number


async def counting(context: TurnContext, conversation: ConversationState, _user: UserState) -> None:
    """The logic of a bot that counts the conversation's messages and tells the number."""
    await context.send_activity(f"{context.activity.text} {await count(context, conversation)}")


def losing(bench: Bench, other: Replica, times: int) -> Callable[[Call], Any]:
    """A hook that lets a message to `other` be first each time the conversation is about to be written."""
    left = itertools.count(times, -1)

    async def hook(call: Call) -> None:
        if call.operation == "save" and C in call.keys and next(left) > 0:
            assert await other.status(bench.message("other")) == 201

    return hook


class InProcess:
    """A bot without HTTP: the SDK's TestAdapter, set up as any app of the SDK's kind installs the transaction."""

    def __init__(
        self,
        storage: BenchStorage,
        logic: Logic,
        monotonic: Callable[[], float] = time.monotonic,
        turn: float = 12.0,
        observer: TurnObserver = unobserved,
    ) -> None:
        self.conversation_state, self.user_state = ConversationState(storage), UserState(storage)
        self.adapter = TestAdapter()
        runtime = Runtime(sleep=_short, monotonic=monotonic, limits=Limits(turn=turn))
        states = self.conversation_state, self.user_state
        self.turns = TurnTransaction(storage, *states, runtime=runtime, observer=observer)
        self.adapter.use(self.turns)
        self.adapter.on_turn_error = for_bugs_only(self.adapter.on_turn_error)
        self._bot = LogicBot(logic, self.conversation_state, self.user_state)

    async def run(self, activity: dict[str, Any]) -> None:
        """Run a turn, in the caller's task."""
        context = TurnContext(self.adapter, Activity().deserialize(activity))
        await self.adapter.run_pipeline(context, self._bot.on_turn)

    @property
    def texts(self) -> list[str]:
        return [activity.text for activity in self.adapter.activity_buffer]
