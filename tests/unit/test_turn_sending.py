"""What leaves a turn is what the SDK would have sent, though it is copied in another way."""

from __future__ import annotations

import copy
from typing import Any

from botbuilder.core import BotAdapter, TurnContext
from botbuilder.schema import Activity, ActivityTypes, Attachment, ResourceResponse

from bots.turn.context import TurnScene
from bots.turn.documents import is_same
from bots.wire import from_json

RECEIVED = {
    "type": "message",
    "id": "a1",
    "channelId": "emulator",
    "serviceUrl": "http://127.0.0.1:1",
    "locale": "en-US",
    "conversation": {"id": "c1"},
    "from": {"id": "u1", "name": "Ada"},
    "recipient": {"id": "bot", "name": "Bot"},
}


class Keeping(BotAdapter):
    """Keeps what it is to send."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[Activity] = []

    async def send_activities(self, context: TurnContext, activities: list[Activity]) -> list[ResourceResponse]:
        self.sent += activities
        return [ResourceResponse(id="1") for _ in activities]

    async def update_activity(self, context: TurnContext, activity: Activity) -> None: ...

    async def delete_activity(self, context: TurnContext, reference: Any) -> None: ...


def given() -> list[Activity]:
    return [
        Activity(text="bare", id="of the bot's"),
        Activity(type=ActivityTypes.trace, name="trace", value={"a": [1, {"b": None}]}),
        Activity(text="card", attachments=[Attachment(content_type="x", content={"deep": [[1.0]]})], input_hint="x"),
    ]


async def by_the_sdk() -> list[Activity]:
    adapter = Keeping()
    await TurnContext(adapter, from_json(RECEIVED)).send_activities(given())
    return adapter.sent


async def test_a_turn_holds_what_the_sdk_would_send() -> None:
    context = TurnContext(Keeping(), from_json(RECEIVED))
    held = TurnScene(context).set()
    mine = given()
    await context.send_activities(mine)
    # The trace is for the Emulator, which this channel is.
    assert [reply.activity.as_dict() for reply in held.replies] == [each.as_dict() for each in await by_the_sdk()]
    assert [each.as_dict() for each in mine] == [each.as_dict() for each in given()]
    held.replies[2].activity.attachments[0].content["deep"].append(2)
    assert mine[2].attachments[0].content == {"deep": [[1.0]]}
    assert context.responded


async def test_after_the_turn_the_context_sends_as_the_sdk_does() -> None:
    adapter = Keeping()
    context = TurnContext(adapter, from_json(RECEIVED))
    scene = TurnScene(context)
    scene.set()
    scene.release(committed=True)
    await context.send_activity("later")
    assert [activity.text for activity in adapter.sent] == ["later"]
    assert "send_activities" not in vars(context)


async def test_a_context_with_a_way_of_its_own_to_send_keeps_it() -> None:
    context = TurnContext(Keeping(), from_json(RECEIVED))
    seen: list[str] = []
    before = context.send_activities

    async def send(activities: list[Activity]) -> Any:
        seen.extend(activity.text for activity in activities)
        return await before(activities)

    context.send_activities = send
    scene = TurnScene(context)
    held = scene.set()
    await context.send_activity("wrapped")
    scene.release(committed=True)
    assert seen == [reply.activity.text for reply in held.replies] == ["wrapped"]
    assert context.send_activities is send


def test_what_json_tells_apart_is_another_state() -> None:
    state = {"a": [1, {"b": [None, "x", 1.5]}], "c": {}}
    assert is_same(state, copy.deepcopy(state))
    assert is_same({"a": 1, "b": 2}, {"b": 2, "a": 1})
    pairs: list[tuple[Any, Any]] = [(1, 1.0), (1, True), (0, False), (0.0, -0.0), ("", None), ([], {})]
    for one, other in [*pairs, ([1], [1, 1]), ({"a": 1}, {}), ({"a": 1}, {"b": 1})]:
        assert not is_same({"v": [one]}, {"v": [other]})
