"""What happens in a turn, told as it happens to whoever watches: a page for developers, a test, a meter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

What = Literal["loaded", "conflict", "committed", "redelivered", "failed", "done", "undelivered"]


@dataclass(frozen=True, slots=True)
class TurnEvent:
    """One thing that happened.

    Attributes:
        what: `loaded`, the documents are read and the logic is about to run (`attempt`, `documents`: each key with the
            ETag read, None: absent); `conflict`, the attempt lost against another turn (`attempt`, `reason`);
            `committed` (`attempt`, `documents`: each key written with its new ETag, none where nothing changed;
            `replies`: how many leave now); `redelivered`, an earlier delivery was committed (`replies`: how many the
            ledger has); `failed`, nothing is stored (`reason`); `done`, the channel has the replies, or
            `undelivered`, it did not take them (`reason`).
        conversation: the key of the conversation's document.
        activity_id: the activity's, or None for a turn that has none.
        facts: those named in brackets above; JSON values.
    """

    what: What
    conversation: str
    activity_id: str | None
    facts: Mapping[str, Any]


TurnObserver = Callable[[TurnEvent], None]
"""Is called inside the turn: it must neither raise nor take time."""


def unobserved(_event: TurnEvent) -> None:
    """The observer of turns that nobody watches."""
