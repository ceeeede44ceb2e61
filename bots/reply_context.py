"""The SDK's turn context, with a cheaper copy of each activity that is sent."""

from __future__ import annotations

from typing import Any

from botbuilder.core import TurnContext
from botbuilder.schema import Activity, ResourceResponse

from bots.copies import copy_of


class ReplyContext(TurnContext):
    """Sends as the SDK's own does, which asks `copy.deepcopy` for the copies that it addresses: a tenth of a turn."""

    async def send_activities(self, activities: list[Activity]) -> list[ResourceResponse]:
        sent: list[ResourceResponse] = await super().send_activities([_Copied(activity) for activity in activities])
        return sent


class _Copied:
    """Stands for an activity that is about to be copied."""

    def __init__(self, activity: Activity) -> None:
        self._activity = activity

    def __deepcopy__(self, memo: dict[int, Any]) -> Activity:
        return copy_of(self._activity)
