"""What reading and writing have in common: the names that jsonpickle, the stock codec, gives, and places in a value."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any, Final, Self

TAG: Final = "py/object"
TYPE: Final = "py/type"
REDUCE: Final = "py/reduce"
STATE: Final = "py/state"
ARGUMENTS: Final = "py/newargs"
TUPLE: Final = "py/tuple"
SET: Final = "py/set"
BYTES: Final = "py/b64"
RESERVED: Final = "py/"


@dataclasses.dataclass(frozen=True, slots=True)
class Undecoded:
    """A value in which an unregistered class occurs, kept as the JSON it was and stored again as such."""

    json: Any


class Misfit(Exception):
    """A value that cannot be stored, or is not what a stored one can be. Its place grows while it is raised.

    Attributes:
        reason: what is wrong with it.
        told: the same without the value, for a log; None where the reason up to a colon tells nothing of it.
    """

    def __init__(self, reason: str, *steps: str | int, told: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.told = told
        self._steps: list[str | int] = [*reversed(steps)]

    def within(self, step: str | int) -> Self:
        """The same, seen from the container that has it as that member or item."""
        self._steps.append(step)
        return self

    def where(self, root: str) -> str:
        """The place, as `UserProfile.tags[3]`, where the whole value is at `root`."""
        path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in reversed(self._steps))
        return root + path if root else path.removeprefix(".")


class Unregistered(Misfit):
    """Raised for a class that nobody has registered."""


def converted(items: Iterable[Any], convert: Callable[[Any], Any]) -> list[Any]:
    """Return what `convert` returns of each. Raises what it raises; a `Misfit` gets the place."""
    done: list[Any] = []
    try:
        for item in items:
            done.append(convert(item))  # noqa: PERF401 - its length is the place of what is refused
    except Misfit as misfit:
        raise misfit.within(len(done)) from None
    return done


def is_dunder(name: object) -> bool:
    """Whether an attribute of that name would reach behind the object, as `__class__` does."""
    return isinstance(name, str) and name[:2] == "__" and name[-2:] == "__"


def tag_of(cls: type) -> str:
    """The name under which objects of `cls` are stored."""
    return f"{cls.__module__}.{cls.__qualname__}"


def reduced(tag: str, *arguments: Any) -> dict[str, Any]:
    """The spelling of what a call of a class makes."""
    return {REDUCE: [{TYPE: tag}, {TUPLE: [*arguments]}]}


def reduction(json: Any) -> tuple[str, list[Any]] | None:
    """The class and the arguments in `reduced`, or None for another shape: the only calls that are ever read."""
    if type(json) is dict and len(json) == 1:
        match json.get(REDUCE):
            case [{"py/type": str(tag)} as kind, {"py/tuple": list(arguments)} as call, *nothing]:
                # Older releases of jsonpickle wrote the parts that a call does not have as null.
                if len(kind) == len(call) == 1 and all(part is None for part in nothing):
                    return tag, arguments
    return None
