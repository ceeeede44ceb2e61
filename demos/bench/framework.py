"""Bot Framework alone: its classes between the floor's requests, with nothing of what makes a turn safe.

The bot is the real one, and so are activity, context and handler, read and written as fast as we can. There is no
token to check, no other turn to wait for, no ledger, no second try, no bound of time or size. What a turn of ours costs
more than this one is the price of its guarantees; what this one costs more than the floor is Bot Framework's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from aiohttp import ClientSession
from botbuilder.core import BotAdapter, TurnContext
from botbuilder.schema import Activity, ResourceResponse

from bots import StateManagementBot
from bots.reply_context import ReplyContext
from bots.wire import from_json, to_json
from data_models import ConversationData, UserProfile
from demos.bench import floor
from demos.bench.floor_stores import Store
from demos.counter import CounterBot

_MODELS: dict[str, type[Any]] = {"UserProfile": UserProfile, "ConversationData": ConversationData}


class Handler(floor.Handler):
    """The floor's handler, with a bot for its logic."""

    def __init__(self, store: Store, session: ClientSession, workload: str) -> None:
        super().__init__(store, session, workload)
        self._adapter = _Adapter(self._send)
        bot: Any = {"ordinary": StateManagementBot, "both": CounterBot}[workload]
        self._bot = bot(_State("conversation"), _State("user"))
        self._turn = self._run

    async def _run(self, activity: dict[str, Any], user: str, conversation: str) -> tuple[str, ...]:
        found = await self._load(user, conversation)
        context = ReplyContext(self._adapter, from_json(activity))
        states = {key: _read(held.state or {}) for key, held in found.items()}
        context.turn_state.update(user=states[user], conversation=states[conversation])
        await self._adapter.run_pipeline(context, self._bot.on_turn)
        changed = {key: held._replace(state=_written(states[key])) for key, held in found.items()}
        await self._commit({key: held for key, held in changed.items() if held.state != found[key].state}, user)
        return ()


class _Adapter(BotAdapter):
    def __init__(self, send: Callable[[dict[str, Any]], Any]) -> None:
        super().__init__()
        self._send = send

    async def send_activities(self, context: TurnContext, activities: list[Activity]) -> list[ResourceResponse]:
        for activity in activities:
            await self._send(to_json(activity))
        return [ResourceResponse(id="") for _ in activities]

    async def update_activity(self, context: TurnContext, activity: Activity) -> None:
        raise NotImplementedError

    async def delete_activity(self, context: TurnContext, reference: Any) -> None:
        raise NotImplementedError


class _State:
    """A scope whose properties are what `turn_state` has under its name."""

    def __init__(self, name: str) -> None:
        self._name = name

    def create_property(self, name: str) -> _Property:
        return _Property(self._name, name)

    async def save_changes(self, context: TurnContext) -> None:
        """The handler does."""


class _Property:
    def __init__(self, scope: str, name: str) -> None:
        self._scope, self._name = scope, name

    async def get(self, context: TurnContext, default: Callable[[], Any] | None = None) -> Any:
        state = cast("dict[str, Any]", context.turn_state[self._scope])
        if self._name not in state and default:
            state[self._name] = default()
        return state.get(self._name)

    async def set(self, context: TurnContext, value: Any) -> None:
        context.turn_state[self._scope][self._name] = value


def _read(state: dict[str, Any]) -> dict[str, Any]:
    return {name: _MODELS[name](**value) if name in _MODELS else value for name, value in state.items()}


def _written(state: dict[str, Any]) -> dict[str, Any]:
    return {name: vars(value) if name in _MODELS else value for name, value in state.items()}
