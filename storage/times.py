"""Dates and times, spelled as the stock storages spell them: pickled, of which nothing is unpickled here.

    {"py/object": "datetime.datetime", "__reduce__": [{"py/type": ...}, [10 bytes in Base64, the zone]]}

The bytes of a datetime are year (2), month, day, hour, minute, second and microsecond (3), big-endian; a date has the
first four, a time the last six. The zone is missing for a naive one. A zone that is neither an offset nor an IANA name
is stored as its offset at that time. The zones that the SDK gives to activities (isodate's) and those of pytz are read
as the same offsets. Other shapes are refused, not run.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo

from storage.spelling import REDUCE, TAG, TUPLE, TYPE, Misfit, reduced, reduction

DATETIME: Final = "datetime.datetime"
DATE: Final = "datetime.date"
TIME: Final = "datetime.time"
TIMEDELTA: Final = "datetime.timedelta"
_OFFSET: Final = "datetime.timezone"
_ZONEINFO: Final = "zoneinfo.ZoneInfo._unpickle"


def spell_datetime(value: datetime) -> dict[str, Any]:
    return _spelled(DATETIME, _date_bytes(value) + _time_bytes(value), _zone(value))


def spell_date(value: date) -> dict[str, Any]:
    return _spelled(DATE, _date_bytes(value), [])


def spell_time(value: time) -> dict[str, Any]:
    return _spelled(TIME, _time_bytes(value), _zone(value))


def spell_timedelta(value: timedelta) -> dict[str, Any]:
    return reduced(TIMEDELTA, value.days, value.seconds, value.microseconds)


def read_datetime(json: dict[str, Any]) -> datetime:
    """Return the point in time that `spell_datetime` or jsonpickle has spelled. Raises ValueError for other shapes."""
    packed, zone = _parts(json, DATETIME, 10)
    return datetime(*_date_parts(packed), *_time_parts(packed[4:]), zone)


def read_date(json: dict[str, Any]) -> date:
    """As `read_datetime`."""
    packed, _none = _parts(json, DATE, 4)
    return date(*_date_parts(packed))


def read_time(json: dict[str, Any]) -> time:
    """As `read_datetime`."""
    packed, zone = _parts(json, TIME, 6)
    return time(*_time_parts(packed), zone)


def read_timedelta(arguments: list[Any]) -> timedelta:
    """Return the duration of days, seconds and microseconds. Raises ValueError or OverflowError for others."""
    if len(arguments) != 3 or any(type(part) is not int for part in arguments):
        raise ValueError("is not days, seconds and microseconds")
    return timedelta(*arguments)


def spell_offset(value: timezone) -> dict[str, Any]:
    return reduced(_OFFSET, spell_timedelta(value.utcoffset(None)))


def spell_zone_name(value: ZoneInfo) -> dict[str, Any]:
    """As `spell_datetime`. Raises `Misfit` for a zone that has no name."""
    if not value.key:
        raise Misfit("is a zone without a name, which cannot be stored")
    return {REDUCE: [{"py/function": _ZONEINFO}, {TUPLE: [value.key, 1]}]}


def read_zone(json: Any) -> tzinfo | None:
    """Return the zone that an offset or an IANA name stands for, or None for other shapes.

    Raises ValueError or OverflowError where it is none.
    """
    return _offset(json) or _named(json)


def is_zone(json: Any) -> bool:
    """Whether this is the spelling of a zone that is read."""
    try:
        return _read_zone([json]) is not None
    except (ValueError, OverflowError):
        return False


def _spelled(tag: str, packed: bytes, zone: list[Any]) -> dict[str, Any]:
    return {TAG: tag, "__reduce__": [{TYPE: tag}, [binascii.b2a_base64(packed, newline=False).decode(), *zone]]}


def _date_bytes(value: date) -> bytes:
    return value.year.to_bytes(2, "big") + bytes((value.month, value.day))


def _time_bytes(value: datetime | time) -> bytes:
    # The top bit of the hour (of the month, in a datetime) is where pickle keeps `fold`; stock does not store it.
    return bytes((value.hour, value.minute, value.second)) + value.microsecond.to_bytes(3, "big")


def _parts(json: dict[str, Any], tag: str, length: int) -> tuple[bytes, tzinfo | None]:
    match json.get("__reduce__"), len(json):
        case [kind, [str(text), *zone]], 2 if kind == {TYPE: tag}:
            try:
                packed = binascii.a2b_base64(text, strict_mode=True)
            except ValueError as error:
                raise ValueError(f"is not Base64: {error}") from error
            if len(packed) != length:
                raise ValueError(f"has {len(packed)} bytes; a {tag} has {length}")
            return packed, _read_zone(zone)
    raise ValueError(f"is not a {tag} as jsonpickle spells one")


def _date_parts(packed: bytes) -> tuple[int, int, int]:
    return int.from_bytes(packed[:2], "big"), packed[2] & 0x7F, packed[3]


def _time_parts(packed: bytes) -> tuple[int, int, int, int]:
    return packed[0] & 0x7F, packed[1], packed[2], int.from_bytes(packed[3:], "big")


def _zone(value: datetime | time) -> list[Any]:
    zone = value.tzinfo
    if isinstance(zone, ZoneInfo) and zone.key and not value.fold:
        return [spell_zone_name(zone)]
    offset = value.utcoffset()
    return [] if offset is None else [reduced(_OFFSET, spell_timedelta(offset))]


def _read_zone(json: list[Any]) -> tzinfo | None:
    if not json:
        return None
    if json == _UTC:
        return UTC
    if len(json) == 1:
        for read in _ZONES:
            zone = read(json[0])
            if zone is not None:
                return zone
    raise ValueError("has a zone that is neither an offset from UTC nor an IANA name")


def _offset(json: Any) -> tzinfo | None:
    match reduction(json):
        case ("datetime.timezone", [length] | [length, str()]):
            return timezone(_length(length))
    return None


def _isodate(json: Any) -> tzinfo | None:
    match json:
        case {"py/reduce": [{"py/function": "isodate.tzinfo._Utc"}, {"py/tuple": []}, *_]}:
            return UTC
        case {
            "py/reduce": [
                {"py/type": "isodate.tzinfo.FixedOffset"},
                {"py/tuple": []},
                {"_FixedOffset__offset": length, "_FixedOffset__name": str()},
                *_,
            ]
        }:
            return timezone(_length(length))
    return None


def _named(json: Any) -> tzinfo | None:
    match json:
        # jsonpickle 1 does not find the name of the class's module, and cannot read what it then writes.
        case {
            "py/reduce": [
                {"py/function": "zoneinfo.ZoneInfo._unpickle" | "None.ZoneInfo._unpickle"},
                {"py/tuple": [str(name), 0 | 1 | bool()]},
            ]
        }:
            return _iana(name)
    return None


def _pytz(json: Any) -> tzinfo | None:
    """A zone of pytz, which at a point in time is an offset (and stays that in sums, as pytz's own does)."""
    match json:
        case {"py/reduce": [{"py/function": "pytz._UTC"}, {"py/tuple": []}]}:
            return UTC
        case {"py/reduce": [{"py/function": "pytz.FixedOffset"}, {"py/tuple": [int(minutes)]}]}:
            return timezone(timedelta(minutes=minutes))
        case {"py/reduce": [{"py/function": "pytz._p"}, {"py/tuple": [str(), int(seconds), int(), str()]}]}:
            return timezone(timedelta(seconds=seconds))
        case {"py/reduce": [{"py/function": "pytz._p"}, {"py/tuple": [str(name)]}]}:  # that has had one offset only
            return _iana(name)
    return None


def _iana(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError) as error:  # not known; malformed; a folder or too long
        raise ValueError(f"is in the zone {name!r}, which this machine does not know") from error


def _length(json: Any) -> timedelta:
    match reduction(json):
        case ("datetime.timedelta", arguments):
            return read_timedelta(arguments)
    raise ValueError("has a zone whose offset is none")


_UTC: Final = [reduced(_OFFSET, spell_timedelta(timedelta(0)))]
_ZONES: Final[tuple[Callable[[Any], tzinfo | None], ...]] = (_offset, _isodate, _named, _pytz)
