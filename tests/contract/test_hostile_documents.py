"""A document that is broken or evil is refused with its key and place, stays as it is, and the user is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from botbuilder.core import TurnContext
from botbuilder.core.adapters import TestAdapter
from botbuilder.schema import Activity

from bots.adapter import APOLOGY
from bots.state import ConversationState, UserState
from bots.turn.errors import for_bugs_only
from bots.turn.middleware import TurnTransaction
from data_models import UserProfile
from storage import StateDecodeError, StateStorage
from tests.contract import raw

CONVERSATION: Final = "emulator/conversations/c1"
USER: Final = "emulator/users/u1"
PROFILE: Final = "data_models.user_profile.UserProfile"
_MOMENT: Final = {
    "py/object": "datetime.datetime",
    "__reduce__": [{"py/type": "datetime.datetime"}, ["B+oBAgMEBQAABg=="]],
}

TEXTS: Final[dict[str, bytes]] = {  # that are no JSON object, or not one that means one thing
    "nothing": b"",
    "cut off": b'{"UserProfile":{"py/object":"data_models.user',
    "words": b"I was here",
    "two documents": b"{}{}",
    "NaN": b'{"UserProfile":NaN}',
    "Infinity": b'{"UserProfile":-Infinity}',
    "a number beyond all": b'{"UserProfile":1e999}',
    "a name twice": b'{"UserProfile":1,"UserProfile":2}',
    "a name twice inside": b'{"UserProfile":{"a":[{"b":1,"b":1}]}}',
    "no UTF-8": b'{"UserProfile":"\xff\xfe"}',
    "UTF-16": '{"UserProfile":1}'.encode("utf-16"),
    "half a surrogate pair": b'{"UserProfile":"\\ud83d"}',
    "a raw control character": b'{"UserProfile":"\x00"}',
    "2 MB of brackets": b"[" * 2_000_000,
    "2 MB of braces": b'{"a":' * 400_000,
    "a list": b"[]",
    "null": b"null",
    "a huge integer": b'{"UserProfile":' + b"9" * 30 + b"}",
    "an integer of 5,000 digits": b'{"UserProfile":' + b"9" * 5_000 + b"}",
}
VALUES: Final[dict[str, Any]] = {  # that are JSON
    "a call": {"py/reduce": [{"py/function": "os.system"}, {"py/tuple": ["touch owned"]}]},
    "a call by type": {"py/reduce": [{"py/type": "subprocess.Popen"}, {"py/tuple": [["touch", "owned"]]}]},
    "a call with state": {"py/reduce": [{"py/type": PROFILE}, {"py/tuple": []}, {"name": "x"}]},
    "a call of a registered class": {"py/reduce": [{"py/type": PROFILE}, {"py/tuple": ["Ada"]}]},
    "a type": {"py/type": "os.system"},
    "a function": {"py/function": "os.system"},
    "an expression": {"py/repr": "os/os.system('touch owned')"},
    "a module": {"py/mod": "os/os"},
    "an object of another class": {"py/object": "subprocess.Popen", "args": ["touch", "owned"]},
    "a class that is no text": {"py/object": ["subprocess.Popen"]},
    "a state": {"py/object": PROFILE, "py/state": ["Ada"]},
    "a state beside attributes": {"py/object": PROFILE, "py/state": {"name": "Ada"}, "name": "Eve"},
    "arguments": {"py/object": PROFILE, "py/newargs": {"py/tuple": [1]}},
    "a class of its own": {"py/object": PROFILE, "__class__": {"py/type": "subprocess.Popen"}},
    "a dict of its own": {"py/object": PROFILE, "name": "Ada", "__dict__": {}},
    "a call in a time": {
        **_MOMENT,
        "__reduce__": [
            _MOMENT["__reduce__"][0],
            ["B+oBAgMEBQAABg==", {"py/reduce": [{"py/function": "os.getcwd"}, {"py/tuple": []}]}],
        ],
    },
    "a wrong type": {"py/object": PROFILE, "name": 7},
    "a newer version": {"py/object": PROFILE, "name": "Ada", "schema_version": 99},
    "a reference to nothing": {"py/id": 7},
    "a reference to itself": [{"py/id": 1}],
    "a tuple of nothing": {"py/tuple": None},
    "a set of lists": {"py/set": [[1]]},
}
WHERE_JSON_IS_WRITTEN: Final = ("memory", "sqlite", "blob")


@pytest.fixture(autouse=True)
def _nothing_ran() -> Iterator[None]:
    yield
    assert not Path("owned").exists()


async def refuses(storage: StateStorage, backend: str, text: bytes) -> StateDecodeError:
    """Check all that a document of that text must lead to; return what reading it raised."""
    await raw.put(storage, USER, text)
    before = await raw.get(storage, USER)
    conversation, user, adapter = ConversationState(storage), UserState(storage), TestAdapter()
    turns = TurnTransaction(storage, conversation, user)
    raised: list[Exception] = []

    async def apologise(context: TurnContext, error: Exception) -> None:
        raised.append(error)
        await context.send_activity(APOLOGY[0])

    async def bot(context: TurnContext) -> None:
        await conversation.create_property("count").set(context, 1)
        profile = await user.create_property("UserProfile").get(context, UserProfile)
        profile.name = "overwritten"
        await context.send_activity("never sent")

    adapter.use(turns)
    adapter.on_turn_error = for_bugs_only(apologise)
    fields = {"type": "message", "id": "a1", "channelId": "emulator", "serviceUrl": "https://x", "text": "hi"}
    people = {"conversation": {"id": "c1"}, "from": {"id": "u1"}, "recipient": {"id": "bot"}}
    await adapter.run_pipeline(TurnContext(adapter, Activity().deserialize(fields | people)), bot)
    await turns.aclose()

    assert [activity.text for activity in adapter.activity_buffer] == [APOLOGY[0]]
    assert await raw.get(storage, USER) == before
    assert await storage.load([CONVERSATION]) == {}
    [error] = raised
    assert isinstance(error, StateDecodeError)
    assert error.key == USER
    return error


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
async def test_what_is_no_json_object_is_refused_and_stays(storage: StateStorage, backend: str, text: bytes) -> None:
    if backend not in WHERE_JSON_IS_WRITTEN:
        pytest.skip("the service keeps parsed JSON only")
    await refuses(storage, backend, text)


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
async def test_what_could_run_code_or_is_no_state_is_refused_and_stays(
    storage: StateStorage, backend: str, value: Any
) -> None:
    error = await refuses(storage, backend, json.dumps({"other": 1, "UserProfile": value}).encode())
    assert error.where.startswith("UserProfile")


async def test_the_text_of_what_cannot_be_read_is_there_for_a_person(storage: StateStorage, backend: str) -> None:
    text = b'{"UserProfile": \xff' if backend in WHERE_JSON_IS_WRITTEN else b'["no object"]'
    await raw.put(storage, USER, text)

    with pytest.raises(StateDecodeError):
        await storage.load([USER])
    assert await storage.text(USER) == text
    assert await storage.text(CONVERSATION) is None


async def test_an_error_in_the_text_says_the_line_and_column(storage: StateStorage, backend: str) -> None:
    if backend not in WHERE_JSON_IS_WRITTEN:
        pytest.skip("the service keeps parsed JSON only")
    error = await refuses(storage, backend, b'{"a": 1,\n "UserProfile": NaN}')
    assert error.where == "line 2 column 17"
