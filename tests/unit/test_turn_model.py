"""Random bots on a random day, against a plain dict: what is acknowledged is applied once."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import itertools
import json
from typing import Any

import pytest
from botbuilder.core import TurnContext
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bots.state import ConversationState, StoredState, UserState
from storage import StorageUnavailable
from storage.memory import MemoryStorage
from tests.unit.turn_bench import TURN, BenchStorage, C, Call, D, InProcess, SeparateStorage

SCOPES = st.sampled_from(["conversation", "user"])
NAMES = st.sampled_from(["a", "b"])
VALUES: st.SearchStrategy[Any] = st.sampled_from([0, False, "", None, 1, True, [], {}, {"x": [1]}, "text"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), SCOPES, NAMES, VALUES),
        st.tuples(st.just("increment"), SCOPES, st.just("n")),
        st.tuples(st.just("default"), SCOPES, NAMES, VALUES),
        st.tuples(st.just("remove"), SCOPES, NAMES),
        st.tuples(st.sampled_from(["clear", "delete", "save", "force"]), SCOPES),
        st.tuples(st.just("send")),
        st.tuples(st.just("raise")),
    ),
    max_size=6,
)
TROUBLES = st.lists(
    # In which operation of the turn's, counted from its start: a conflict, no service, or a lost acknowledgement.
    st.tuples(st.integers(0, 4), st.sampled_from(["conflict", "away", "lost"])),
    max_size=2,
)
DAY = st.lists(st.tuples(STEPS, TROUBLES, st.sampled_from(["once", "twice", "restart"])), min_size=1, max_size=5)

Model = dict[str, dict[str, Any]]


class Bug(Exception):
    """What the bots raise."""


def expected(model: Model, steps: list[tuple[Any, ...]], replies: list[str]) -> Model:
    """What the steps make of the model. Raises Bug."""
    new = copy.deepcopy(model)
    for name, *rest in steps:
        state = new[rest[0]] if rest else {}
        if name == "set":
            state[rest[1]] = copy.deepcopy(rest[2])
        elif name == "increment":
            state["n"] = state.get("n", 0) + 1
        elif name == "default" and rest[2] is not None:
            state.setdefault(rest[1], copy.deepcopy(rest[2]))
        elif name == "remove":
            state.pop(rest[1], None)
        elif name in ("clear", "delete"):
            state.clear()
        elif name == "send":
            replies.append(json.dumps(new, sort_keys=True))
        elif name == "raise":
            raise Bug
    return new


async def perform(context: TurnContext, states: dict[str, StoredState], steps: list[tuple[Any, ...]]) -> None:
    """Take the steps as a bot."""
    for name, *rest in steps:
        if name == "raise":
            raise Bug
        if name == "send":
            await context.send_activity(json.dumps(await contents(context, states), sort_keys=True))
            continue
        state = states[rest[0]]
        if name == "set":
            await state.create_property(rest[1]).set(context, copy.deepcopy(rest[2]))
        elif name == "increment":
            counter = state.create_property("n")
            await counter.set(context, await counter.get(context, 0) + 1)
        elif name == "default":
            await state.create_property(rest[1]).get(context, rest[2])
        elif name == "remove":
            await state.create_property(rest[1]).delete(context)
        elif name in ("save", "force"):
            await state.save_changes(context, force=name == "force")
        else:
            await (state.clear_state(context) if name == "clear" else state.delete(context))


async def contents(context: TurnContext, states: dict[str, StoredState]) -> dict[str, Any]:
    for state in states.values():
        await state.load(context)
    return {name: dict(state.get(context)) for name, state in states.items()}


class Day:
    """One storage, one conversation, one user; another bot that only increments; and what should come of it."""

    def __init__(self, storage_class: type[BenchStorage]) -> None:
        self._documents: dict[str, Any] = {}
        self._class = storage_class
        self._ids = itertools.count()
        self._steps: list[tuple[Any, ...]] = []
        self.model: Model = {"conversation": {}, "user": {}}
        self.other = InProcess(storage_class(self._documents), self._increment)
        self.restart()

    def restart(self) -> None:
        self.storage = self._class(self._documents)
        self.bot = InProcess(self.storage, self._logic)

    async def _logic(self, context: TurnContext, conversation: ConversationState, user: UserState) -> None:
        await perform(context, {"conversation": conversation, "user": user}, self._steps)

    async def _increment(self, context: TurnContext, conversation: ConversationState, user: UserState) -> None:
        await perform(context, {"conversation": conversation, "user": user}, INCREMENTS)

    def activity(self) -> dict[str, Any]:
        return {
            "type": "message",
            "id": f"a{next(self._ids)}",
            "channelId": "emulator",
            "conversation": {"id": "c1"},
            "from": {"id": "u1"},
        }

    async def turn(self, steps: list[tuple[Any, ...]], troubles: list[tuple[int, str]], how: str) -> None:
        self._steps = steps
        calls = itertools.count()
        planned = dict(troubles)
        done: set[int] = set()
        decided = False

        async def before(call: Call) -> None:
            nonlocal decided
            number = next(calls)
            kind = planned.get(number)
            if kind == "conflict":
                if decided:
                    return  # it would come after this turn, whose reply the model has yet to compare
                await self.other.run(self.activity())
                self.model = expected(self.model, INCREMENTS, [])
            elif kind == "away":
                raise StorageUnavailable("the service is away")
            elif kind == "lost":
                done.add(number + 1)
                decided = decided or (call.operation == "save" and C in call.keys)

        async def after(_call: Call) -> None:
            if done:
                done.clear()
                raise StorageUnavailable("the answer was lost")

        self.storage.before, self.storage.after = before, after
        activity = self.activity()
        acknowledged = await self.deliver(activity)
        if how == "twice" or acknowledged is None:
            planned.clear()
            acknowledged = await self.deliver(activity, again=acknowledged is True)
        elif how == "restart":
            planned.clear()
            self.restart()
            acknowledged = await self.deliver(activity, again=acknowledged)
        assert acknowledged is not None
        await self.bot.turns.aclose()
        self.storage.before = self.storage.after = _calm
        assert json.dumps(await self.stored(), sort_keys=True) == json.dumps(self.model, sort_keys=True)

    async def deliver(self, activity: dict[str, Any], *, again: bool = False) -> bool | None:
        """Deliver and compare; True: applied, False: the bot raised, None: to be delivered again."""
        self.bot.adapter.activity_buffer.clear()
        before = self.model
        try:
            await self.bot.run(activity)
        except Bug:
            self._check_raises()
            assert self.bot.texts == []
            return False
        except StorageUnavailable:
            assert self.bot.texts == []
            return None
        replies: list[str] = []
        changed = expected(self.model, self._steps, replies)
        if again:
            # Applied before; a turn that changed nothing is not remembered, and may run again.
            assert self.model == before
            return True
        self.model = changed
        assert self.bot.texts == replies
        return True

    def _check_raises(self) -> None:
        with pytest.raises(Bug):
            expected(self.model, self._steps, [])

    async def stored(self) -> Model:
        documents = await MemoryStorage.load(self.storage, [C, D])
        found = {"conversation": documents.get(C), "user": documents.get(D)}
        return {
            name: {key: value for key, value in (document.value if document else {}).items() if key != TURN}
            for name, document in found.items()
        }


INCREMENTS: list[tuple[Any, ...]] = [("increment", "conversation", "n"), ("increment", "user", "n")]


async def _calm(_call: Call) -> None:
    return


@pytest.mark.parametrize("storage_class", [BenchStorage, SeparateStorage])
def test_what_is_acknowledged_is_applied_once_and_the_replies_tell_it(storage_class: type[BenchStorage]) -> None:
    @given(DAY)
    @example([([("send",), INCREMENTS[0]], [(1, "lost"), (2, "conflict")], "once")])
    @settings(max_examples=250, deadline=None, database=None)
    def some_day(turns: list[tuple[list[tuple[Any, ...]], list[tuple[int, str]], str]]) -> None:
        async def live() -> None:
            day = Day(storage_class)
            for turn in turns:
                await day.turn(*turn)
            await day.other.turns.aclose()

        with contextlib.closing(asyncio.new_event_loop()) as loop:  # `asyncio.run` would drop the tests' own
            loop.run_until_complete(live())

    some_day()
