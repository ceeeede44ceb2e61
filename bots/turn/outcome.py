"""How an attempt to commit a turn has ended."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bots.turn.conversation import Conversation
    from bots.turn.envelope import Held
    from bots.turn.runtime import Runtime
    from bots.turn.snapshot import Snapshot
    from storage.contract import DocumentStore


@dataclasses.dataclass(frozen=True, slots=True)
class Committed:
    """The turn counts: its replies may leave.

    Attributes:
        conversation: the conversation's document as committed.
        written: the other documents as this turn wrote them, each still with its undo note where it has one.
        txn: the attempt, or None where the turn changed nothing and nothing was written.
    """

    snapshot: Snapshot
    conversation: Conversation
    written: Mapping[str, Held]
    txn: str | None

    @property
    def store(self) -> DocumentStore:
        return self.snapshot.store

    @property
    def runtime(self) -> Runtime:
        return self.snapshot.runtime

    @property
    def conversation_key(self) -> str:
        return self.snapshot.conversation_key

    @property
    def etags(self) -> dict[str, str | None]:
        """The new ETag of every document that the turn wrote."""
        if self.txn is None:
            return {}
        return {self.conversation_key: self.conversation.etag} | {key: new.etag for key, new in self.written.items()}


@dataclasses.dataclass(frozen=True, slots=True)
class Aborted:
    """The turn does not count and never will: its replies must not leave. Begin again.

    Attributes:
        reason: what came between, for the log.
    """

    reason: str
