"""Replies as the ledger keeps them: the JSON that the channel is sent, less what the redelivered activity tells."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from azure.core.exceptions import DeserializationError  # what msrest raises
from botbuilder.core import InvokeResponse, TurnContext
from botbuilder.schema import Activity, ActivityTypes
from msrest.serialization import Model

from bots.turn.replies import Doing, Reply
from bots.wire import from_json, to_json
from storage.contract import JsonObject
from storage.errors import StateDecodeError

_DOINGS: Final[dict[str, Doing]] = {"send": "send", "update": "update", "delete": "delete"}
_RESPONSE: Final = frozenset(("status", "body"))


def record(replies: Sequence[Reply], received: Activity) -> list[JsonObject]:
    """Return the replies to `received` for the ledger. Raises what msrest raises for one that cannot be sent."""
    address = _address(received)
    return [{"do": reply.do, "activity": _less(_plain(reply.activity), address)} for reply in replies]


def restore(records: Sequence[JsonObject], received: Activity, conversation: str) -> list[Reply]:
    """Return the replies that `record` was given, addressed by the activity that is delivered again.

    Raises `StateDecodeError`, of the document `conversation`, for records that no turn has made.
    """
    address = _address(received)
    try:
        return [Reply(_DOINGS[each["do"]], _activity(_more(each["activity"], address))) for each in records]
    except (AttributeError, KeyError, TypeError, DeserializationError) as error:
        raise StateDecodeError(conversation, "$turn.ledger", f"holds a reply that is none: {error!r}") from error


def _address(received: Activity) -> JsonObject:
    reference = TurnContext.get_conversation_reference(received)
    return _plain(TurnContext.apply_conversation_reference(Activity(), reference))


def _less(activity: JsonObject, address: JsonObject) -> JsonObject:
    differing = {name: value for name, value in activity.items() if name not in address or address[name] != value}
    return differing | dict.fromkeys(address.keys() - activity.keys())


def _more(kept: JsonObject, address: JsonObject) -> JsonObject:
    return {name: value for name, value in {**address, **kept}.items() if value is not None}


def _plain(activity: Activity) -> JsonObject:
    response = activity.value
    if not isinstance(response, InvokeResponse):
        return to_json(activity)
    body = json.loads(json.dumps(response.body, default=Model.serialize))  # it may hold the SDK's models anywhere
    return {"type": activity.type, "value": {"status": response.status, "body": body}}


def _activity(plain: JsonObject) -> Activity:
    activity = from_json(plain)
    if activity.type == ActivityTypes.invoke_response and plain.get("value", {}).keys() == _RESPONSE:
        activity.value = InvokeResponse(**plain["value"])
    _keep_unknown(activity)
    return activity


def _keep_unknown(value: Any) -> None:
    """Make msrest send the properties that a class does not declare: an entity is of a class for its type no more."""
    if isinstance(value, list):
        for item in value:
            _keep_unknown(item)
    elif isinstance(value, Model):
        for item in vars(value).copy().values():
            _keep_unknown(item)
        if value.additional_properties:
            value._attribute_map = {**value._attribute_map, "additional_properties": {"key": "", "type": "{object}"}}
