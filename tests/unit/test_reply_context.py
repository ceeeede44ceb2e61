"""What the bot sends through the adapter's context is what the SDK's own context would send."""

from __future__ import annotations

from typing import Any

import pytest
from botbuilder.core import TurnContext
from botbuilder.core.adapters import TestAdapter
from botbuilder.schema import Activity, Attachment, ChannelAccount, ConversationAccount, Mention, ResourceResponse

from bots.reply_context import ReplyContext

RECEIVED = Activity(
    type="message",
    id="m1",
    channel_id="msteams",
    service_url="https://channel.example",
    locale="de-CH",
    conversation=ConversationAccount(id="c1"),
    from_property=ChannelAccount(id="ada", name="Ada"),
    recipient=ChannelAccount(id="bot"),
)
SENT = {
    "a text": "hello",
    "an id of its own": Activity(id="mine", text="hello"),
    "a card": Activity(type="message", attachments=[Attachment(content_type="x", content={"body": [{"a": [1]}]})]),
    "a trace": Activity(type="trace", name="n", value={"of": ["anything"]}),
    "a mention": Activity(text="hi", entities=[Mention(text="hi", mentioned=ChannelAccount(id="ada"))]),
}


class Recorder(TestAdapter):
    """Keeps the very activities that arrive."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived: list[Activity] = []

    async def send_activities(self, context: TurnContext, activities: list[Activity]) -> list[ResourceResponse]:
        self.arrived += activities
        return [ResourceResponse(id=str(at)) for at, _ in enumerate(activities)]


async def sent(kind: type[TurnContext], said: Any) -> Activity:
    adapter = Recorder()
    context = kind(adapter, RECEIVED)
    answer = await context.send_activity(said)
    assert (answer.id, context.responded) == ("0", getattr(said, "type", None) != "trace")
    (arrived,) = adapter.arrived
    return arrived


@pytest.mark.parametrize("said", SENT.values(), ids=SENT.keys())
async def test_it_is_the_activity_that_the_sdk_sends(said: Any) -> None:
    ours, theirs = await sent(ReplyContext, said), await sent(TurnContext, said)
    assert ours.serialize() == theirs.serialize()


async def test_it_shares_nothing_with_what_the_bot_has() -> None:
    said = SENT["a card"]
    assert isinstance(said, Activity)
    before = said.serialize()
    arrived = await sent(ReplyContext, said)
    arrived.attachments[0].content["body"][0]["a"].append(2)
    arrived.conversation.id = "another"
    assert said.serialize() == before
    assert RECEIVED.conversation.id == "c1"
