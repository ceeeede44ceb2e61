"""When a message was received, on the clock of the user who sent it."""

from __future__ import annotations

from datetime import MAXYEAR, MINYEAR, UTC, datetime, timezone, tzinfo
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from botbuilder.schema import Activity


def received_at(activity: Activity) -> str:
    """Return the time of `activity` with its UTC offset, as `2026-03-29 14:30:00+02:00`.

    The moment is the channel's `timestamp`, else the sender's `localTimestamp`, else the present. The zone
    is `localTimezone` where it is an IANA name this machine knows (Windows and the slimmest containers know
    none without the tzdata package), else the offset of `localTimestamp`, else UTC. All three fields are
    optional in the Bot Framework Activity specification.
    """
    local = _stated(activity.local_timestamp)
    if local and local.utcoffset() is None:
        local = None  # a wall clock without an offset is no moment
    moment = _stated(activity.timestamp) or local or datetime.now(UTC)
    if moment.utcoffset() is None:
        moment = moment.replace(tzinfo=UTC)  # the specification has `timestamp` in UTC
    zone = _zone(activity.local_timezone) or _offset(local) or UTC
    return moment.astimezone(zone).isoformat(sep=" ", timespec="seconds")


def _stated(moment: datetime | None) -> datetime | None:
    # .NET leaves DateTime.MinValue in a field not set; the first and last year overflow in some zones.
    return moment if moment and MINYEAR < moment.year < MAXYEAR else None


def _zone(name: str | None) -> tzinfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (
        LookupError,
        ValueError,
        OSError,
    ):  # not known; malformed or not a zone file; a folder or too long
        return None


def _offset(local: datetime | None) -> tzinfo | None:
    offset = local.utcoffset() if local else None
    return None if offset is None else timezone(offset)
