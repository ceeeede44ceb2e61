"""The two operations that replies are sent with, at a fraction of msrest's cost; the others are the SDK's."""

from __future__ import annotations

import functools
import json
from typing import Any, Final
from urllib.parse import quote

import jiter
import pydantic_core
from botbuilder.schema import Activity, ResourceResponse
from botframework.connector.aio import ConnectorClient
from botframework.connector.aio.operations_async import ConversationsOperations
from botframework.connector.models import ErrorResponseException
from msrest.universal_http import ClientRequest
from yarl import URL

from bots.connector.sender import Answer, ReplySender, as_msrest
from bots.connector.signing import authorization
from bots.wire import to_json

_TAKEN: Final = (200, 201, 202)
_SENT: Final = {"Accept": "application/json", "Content-Type": "application/json; charset=utf-8"}


class Conversations(ConversationsOperations):
    """The operations of one client: what it sends, returns and raises is the same.

    https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-api-reference#conversation-operations
    """

    def __init__(self, client: ConnectorClient, sender: ReplySender) -> None:
        of_sdk = client.conversations
        super().__init__(of_sdk._client, of_sdk.config, of_sdk._serialize, of_sdk._deserialize)
        self._sender = sender
        self._headers = _SENT | {"User-Agent": client.config.user_agent_policy.user_agent}

    @functools.cached_property
    def _base(self) -> str:
        return str(URL(self.config.base_url)).rstrip("/") + "/v3/conversations/"

    async def reply_to_activity(
        self, conversation_id: str, activity_id: str, activity: Activity, **options: Any
    ) -> ResourceResponse | None:
        if options or not (_is_name(conversation_id) and _is_name(activity_id)):
            return await super().reply_to_activity(conversation_id, activity_id, activity, **options)
        url = _activities_of(self._base, conversation_id, activity_id)
        return await self._post(url, activity, {"x-ms-conversation-id": conversation_id})

    async def send_to_conversation(
        self, conversation_id: str, activity: Activity, **options: Any
    ) -> ResourceResponse | None:
        if options or not _is_name(conversation_id):
            return await super().send_to_conversation(conversation_id, activity, **options)
        return await self._post(_activities_of(self._base, conversation_id), activity, {})

    async def _post(self, url: URL, activity: Activity, more: dict[str, str]) -> ResourceResponse | None:
        headers = self._headers | more | authorization(self.config.credentials)
        answer = await self._sender.answer("POST", url, headers, _as_bytes(activity))
        if answer.status in _TAKEN and (found := _with_id(answer)):
            return found
        response = as_msrest(ClientRequest("POST", str(url)), answer)
        if answer.status not in _TAKEN:
            raise ErrorResponseException(self._deserialize, response)
        taken: ResourceResponse | None = self._deserialize("ResourceResponse", response)
        return taken


for _name in ("reply_to_activity", "send_to_conversation"):  # the SDK's methods read it off whatever bears their name
    vars(Conversations)[_name].metadata = getattr(ConversationsOperations, _name).metadata


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value != ""


@functools.lru_cache  # the replies of a turn have the same
def _activities_of(base: str, conversation_id: str, activity_id: str | None = None) -> URL:
    path = f"{quote(conversation_id, safe='')}/activities"
    return URL(f"{base}{path}/{quote(activity_id, safe='')}" if activity_id else f"{base}{path}", encoded=True)


def _as_bytes(activity: Activity) -> bytes:
    plain = to_json(activity)
    try:
        return pydantic_core.to_json(plain)
    except ValueError:  # half a surrogate pair, which no UTF-8 has, or deep nesting
        return json.dumps(plain).encode()


def _with_id(answer: Answer) -> ResourceResponse | None:
    """Return what nearly every channel answers; None for anything else, which msrest has to look at."""
    try:
        plain = jiter.from_json(answer.body, cache_mode="keys")
    except ValueError:
        return None
    if type(plain) is dict and plain.keys() == {"id"} and type(plain["id"]) is str:
        return ResourceResponse(id=plain["id"])
    return None
