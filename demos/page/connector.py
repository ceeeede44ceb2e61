"""The connector API of the local channel: where the bot sends, changes and deletes its replies.

https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-api-reference
"""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from demos.page.body import json_object
from demos.page.channel import LocalChannel
from demos.page.guard import Refused, guarded
from storage.contract import JsonObject

Watch = Callable[[str, JsonObject], None]


class Connector:
    """The handlers. `watch` is told of each activity that arrives: the conversation's id and the activity."""

    def __init__(self, channel: LocalChannel, watch: Watch) -> None:
        self._channel = channel
        self._watch = watch

    def mount(self, app: web.Application) -> None:
        """Add the routes."""
        activities = "/v3/conversations/{conversation}/activities"
        app.router.add_post(activities, guarded(self._send))
        app.router.add_post(f"{activities}/{{activity}}", guarded(self._send))
        app.router.add_put(f"{activities}/{{activity}}", guarded(self._update))
        app.router.add_delete(f"{activities}/{{activity}}", guarded(self._delete))

    async def _send(self, request: web.Request) -> web.Response:
        reply_to = request.match_info.get("activity")
        activity = await json_object(request)
        return await self._take(request, {**activity, **({"replyToId": reply_to} if reply_to else {})})

    # Direct Line has no words for these two; the page knows the activities that Teams' users make by editing.
    async def _update(self, request: web.Request) -> web.Response:
        change = {"type": "messageUpdate", "channelData": {"changes": request.match_info["activity"]}}
        return await self._take(request, {**await json_object(request), **change})

    async def _delete(self, request: web.Request) -> web.Response:
        return await self._take(
            request, {"type": "messageDelete", "channelData": {"changes": request.match_info["activity"]}}
        )

    async def _take(self, request: web.Request, activity: JsonObject) -> web.Response:
        if not isinstance(activity.get("type"), str):
            raise Refused(web.HTTPBadRequest, "expected an activity: a JSON object with a type")
        conversation = request.match_info["conversation"]
        given = await self._channel.reply(conversation, activity)
        self._watch(conversation, activity)
        return web.json_response({"id": given})
