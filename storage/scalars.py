"""Values of Python that JSON does not have and that are no objects of the bot's: how each is spelled and read.

The spellings are the stock codec's. Each is data of one known shape; what has another is refused.
"""

from __future__ import annotations

import binascii
import cmath
import uuid
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from zoneinfo import ZoneInfo

from storage import times
from storage.spelling import ARGUMENTS, BYTES, STATE, TAG, TUPLE, Misfit, reduced

_UUID: Final = "uuid.UUID"
_DECIMAL: Final = "decimal.Decimal"
_COMPLEX: Final = "builtins.complex"


def _spell_uuid(value: uuid.UUID) -> dict[str, Any]:
    return {TAG: _UUID, "hex": value.hex}


def _read_uuid(json: dict[str, Any]) -> uuid.UUID:
    match json:
        case {"hex": str(digits)} if len(json) == 2:
            return uuid.UUID(digits)
    raise ValueError("is not a UUID as jsonpickle spells one")


def _spell_decimal(value: Decimal) -> dict[str, Any]:
    return reduced(_DECIMAL, str(value))


def _read_decimal(arguments: list[Any]) -> Decimal:
    match arguments:
        case [str(digits)]:
            try:
                return Decimal(digits)
            except InvalidOperation:
                raise ValueError(f"is not a decimal number: {digits!r}") from None
    raise ValueError("is not a decimal number as jsonpickle spells one")


def _spell_complex(value: complex) -> dict[str, Any]:
    if not cmath.isfinite(value):
        raise Misfit(f"is not a finite number: {value!r}")
    return {TAG: _COMPLEX, ARGUMENTS: {TUPLE: [value.real, value.imag]}}


def _read_complex(json: dict[str, Any]) -> complex:
    arguments = json.get(ARGUMENTS)
    # jsonpickle 1 on Python 3.11 adds an empty state.
    if json.keys() - {STATE} == {TAG, ARGUMENTS} and json.get(STATE) is None and isinstance(arguments, dict):
        match arguments.get(TUPLE):
            case [real, imag] if len(arguments) == 1 and {type(real), type(imag)} <= {float, int}:
                # An integer, where a service that keeps numbers as doubles answers 1 for 1.0.
                value = complex(real, imag)
                if cmath.isfinite(value):
                    return value
    raise ValueError("is not a complex number as jsonpickle spells one")


def _spell_bytes(value: bytes) -> dict[str, Any]:
    return {BYTES: binascii.b2a_base64(value, newline=False).decode()}


def read_bytes(text: Any) -> bytes:
    """Return the bytes that a Base64 text spells. Raises ValueError for anything else."""
    if not isinstance(text, str):
        raise ValueError("is not a text in Base64")  # noqa: TRY004 - as every other value that is not what it should be
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError as error:
        raise ValueError(f"is not Base64: {error}") from error


SPELL: Final[dict[type, Callable[[Any], dict[str, Any]]]] = {
    datetime: times.spell_datetime,
    date: times.spell_date,
    time: times.spell_time,
    timedelta: times.spell_timedelta,
    timezone: times.spell_offset,
    ZoneInfo: times.spell_zone_name,
    uuid.UUID: _spell_uuid,
    Decimal: _spell_decimal,
    bytes: _spell_bytes,
    complex: _spell_complex,
}
# By the name in "py/object", from the whole value; by the name in "py/reduce", from the arguments. They raise
# ValueError or OverflowError.
READ_OBJECT: Final[dict[str, Callable[[dict[str, Any]], Any]]] = {
    times.DATETIME: times.read_datetime,
    times.DATE: times.read_date,
    times.TIME: times.read_time,
    _UUID: _read_uuid,
    _COMPLEX: _read_complex,
}
READ_CALL: Final[dict[str, Callable[[list[Any]], Any]]] = {
    times.TIMEDELTA: times.read_timedelta,
    _DECIMAL: _read_decimal,
}
