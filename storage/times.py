"""Points in time, spelled as the stock storages spell them: a pickled `datetime`, of which nothing is unpickled here.

    {"py/object": "datetime.datetime", "__reduce__": [{"py/type": ...}, [10 bytes in Base64, the offset from UTC]]}

The bytes are year (2), month, day, hour, minute, second and microsecond (3), big-endian; the offset is missing for a
naive one. A zone of another kind is stored as its offset at that time. Other shapes are refused, not run.
"""

from __future__ import annotations

import base64
import binascii
from datetime import datetime, timedelta, timezone
from typing import Any, Final

TAG: Final = "datetime.datetime"
_BYTES: Final = 10


def spell(value: datetime) -> dict[str, Any]:
    """Return the JSON of `value`, without its "py/object"."""
    # The top bit of the month is where pickle keeps `fold`; with the offset given it says nothing.
    parts = (value.month, value.day, value.hour, value.minute, value.second)
    packed = value.year.to_bytes(2, "big") + bytes(parts) + value.microsecond.to_bytes(3, "big")
    offset = value.utcoffset()
    state: list[Any] = [base64.b64encode(packed).decode()]
    return {"__reduce__": [{"py/type": TAG}, state if offset is None else [*state, _offset(offset)]]}


def read(json: dict[str, Any]) -> datetime:
    """Return the point in time that `spell` or jsonpickle has spelled. Raises ValueError for any other shape."""
    match json:
        case {"__reduce__": [{"py/type": "datetime.datetime"}, [str() as packed, *zone]]}:
            return _moment(packed, _zone(zone))
    raise ValueError("is not a datetime as jsonpickle spells one")


def _moment(packed: str, zone: timezone | None) -> datetime:
    try:
        state = base64.b64decode(packed, validate=True)
    except binascii.Error as error:
        raise ValueError(f"is not Base64: {error}") from error
    if len(state) != _BYTES:
        raise ValueError(f"has {len(state)} bytes; a datetime has {_BYTES}")
    month = state[2] & 0x7F
    microsecond = int.from_bytes(state[7:], "big")
    day, hour, minute, second = state[3:7]
    return datetime(int.from_bytes(state[:2], "big"), month, day, hour, minute, second, microsecond, zone)


def _offset(offset: timedelta) -> dict[str, Any]:
    length = _reduced("datetime.timedelta", [offset.days, offset.seconds, offset.microseconds])
    return _reduced("datetime.timezone", [length])


def _zone(json: list[Any]) -> timezone | None:
    match json:
        case []:
            return None
        case [
            {
                "py/reduce": [
                    {"py/type": "datetime.timezone"},
                    {"py/tuple": [{"py/reduce": [{"py/type": "datetime.timedelta"}, {"py/tuple": parts}]}]},
                ]
            }
        ] if len(parts) == 3 and all(type(part) is int for part in parts):
            return timezone(timedelta(*parts))
    raise ValueError("has a zone that is not an offset from UTC")


def _reduced(name: str, arguments: list[Any]) -> dict[str, Any]:
    return {"py/reduce": [{"py/type": name}, {"py/tuple": arguments}]}
