"""What a turn ends with when its activity should be delivered again."""

from __future__ import annotations


class TryAgain(Exception):
    """The base: the activity was not answered, and delivering it again is safe. Never a matter for the user."""


class TurnConflict(TryAgain):
    """Raised when other turns changed the documents first, each time, until the bound. State is as before."""


class RepliesNotDelivered(TryAgain):
    """Raised when the turn is committed but the channel did not take its replies. The next delivery sends them."""
