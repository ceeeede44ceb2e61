"""What the encoder and the decoder have in common: the names that jsonpickle, the stock codec, gives to objects."""

from __future__ import annotations

import dataclasses
from typing import Any, Final

TAG: Final = "py/object"
TUPLE: Final = "py/tuple"
RESERVED: Final = "py/"


@dataclasses.dataclass(frozen=True, slots=True)
class Undecoded:
    """A value in which an unregistered class occurs, kept as the JSON it was and stored again as such."""

    json: Any


def tag_of(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def inside(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name
