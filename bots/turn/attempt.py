"""Which attempt of a turn the running code belongs to. A task that outlives a lost attempt must not act in the next.

All attempts share the SDK's turn context, so a task that the bot left behind would find the next attempt's state and
adapter in it, and count and say its part a second time. Tasks inherit context variables: by them it is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from botbuilder.core import TurnContext

_RUNNING: ContextVar[tuple[Attempt, ...]] = ContextVar("attempts", default=())


class Attempt:
    """One run of a turn's logic.

    Attributes:
        context: the turn's context.
        lost: it ended, and the logic has to run again or not at all.
    """

    def __init__(self, context: TurnContext) -> None:
        self.context = context
        self.lost = False

    @contextmanager
    def running(self) -> Iterator[None]:
        """What runs in the block, and the tasks that it starts, belong to this attempt."""
        token = _RUNNING.set((*_RUNNING.get(), self))
        try:
            yield
        finally:
            _RUNNING.reset(token)


def is_left_behind(context: TurnContext) -> bool:
    """Whether the code that asks belongs to a lost attempt of the turn."""
    own = next((attempt for attempt in reversed(_RUNNING.get()) if attempt.context is context), None)
    return own is not None and own.lost
