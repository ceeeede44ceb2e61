"""What a turn ends with when its activity should be delivered again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from botbuilder.core import TurnContext

from storage.errors import StorageConflict, StorageUnavailable

if TYPE_CHECKING:
    from bots.state import StoredState


class TryAgain(Exception):
    """The base: the activity was not answered, and delivering it again is safe. Never a matter for the user."""


class TurnConflict(TryAgain):
    """Raised when other turns were first, each time, until the bound. State is as before."""


class TurnTooSlow(TryAgain):
    """Raised when a turn is not decided within its time. It left nothing half done; the next delivery finds out."""


class TooManyWaiting(TryAgain):
    """Raised when as many turns of the conversation wait as there is room for. Nothing of the turn was done."""


class RepliesNotDelivered(TryAgain):
    """Raised when the turn is decided but the channel did not take its replies. The next delivery sends them."""


class NestedTurn(RuntimeError):
    """Raised when a turn would wait for itself: it started another turn of its conversation, and waits for it."""


class ForeignConversation(RuntimeError):
    """Raised when a turn's state has the key of another conversation's document, which only turns of that one write."""


class DocumentNeeded(BaseException):
    """Ends an attempt whose logic asks for a document that was not loaded; the turn begins again with it.

    Not an Exception, so that no bot's `except Exception` takes it for a failure of the storage.
    """

    def __init__(self, key: str, state: StoredState) -> None:
        super().__init__(key)
        self.key = key
        self.state = state


OnTurnError = Callable[[TurnContext, Exception], Awaitable[None]]
_NOT_THE_USERS = (StorageConflict, StorageUnavailable, TryAgain, NestedTurn)


def for_bugs_only(on_turn_error: OnTurnError | None) -> OnTurnError:
    """Wrap an adapter's `on_turn_error`: what the channel or the calling code must learn is raised instead.

    The SDK takes a turn for answered when `on_turn_error` returns, and the channel would not deliver again.
    """

    async def handle(turn_context: TurnContext, error: Exception) -> None:
        if on_turn_error is None or isinstance(error, _NOT_THE_USERS):
            raise error
        await on_turn_error(turn_context, error)

    return handle
