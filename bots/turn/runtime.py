"""What the protocol takes from its machine, and its bounds: injected, so that a test can own them."""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of one attempt and of what a conversation's document keeps. Times in seconds.

    Attributes:
        turn: from an activity's arrival until it is decided: waiting for earlier turns, the bot's logic and all
            attempts. A channel waits 15 s for its answer, and delivers again.
        waiting: turns of one conversation that run or wait in this process; further ones are refused at once.
        loads: loads in which the documents of a turn must be seen to hold still.
        patience: how many moments to wait for somebody else's commit that is under way.
        moment: the length of such a wait; a commit is one write, so a few of them are ample.
        tries: how often a write whose outcome is unknown is asked about and sent again.
        pause: the wait before the second try; it doubles with each further one.
        ledger_entries: the newest entries, which stay whatever their age.
        ledger_age: older entries beyond those leave. It has to exceed the time in which a channel delivers an
            activity again plus `replay_age`, plus the difference between the replicas' clocks.
        activities: how many a conversation may have in `ledger_age`; further ones have to wait. Entries of answered
            activities shrink to 11 characters, so this bounds the document, at about a megabyte.
        replies: bytes of replies that a conversation's document keeps, the newest first. An activity whose
            replies did not fit is still known, but delivered again after a crash it finds them gone.
        recent: how long a conversation is taken to be as this process left it, unless its next commit says otherwise.
        alone_after: commits of this process to a conversation, none of another's between, before it is taken so.
        shared: how long none is taken so after one was found to have been another process's too.
        seen: tags of other documents kept in a conversation's document before the oldest are let go.
    """

    turn: float = 12.0
    waiting: int = 100
    loads: int = 12
    patience: int = 4
    moment: float = 0.025
    tries: int = 5
    pause: float = 0.1
    ledger_entries: int = 20
    ledger_age: float = 600.0
    activities: int = 50_000
    replies: int = 262_144
    recent: float = 60.0
    alone_after: int = 2
    shared: float = 600.0
    seen: int = 64

    @property
    def replay_age(self) -> float:
        """The age from which a delivery must not start another attempt: its ledger entry could have left."""
        return self.ledger_age / 2


def new_txn() -> str:
    """A name for one attempt that nothing else ever has: 72 random bits."""
    return secrets.token_urlsafe(9)


@dataclasses.dataclass(frozen=True, slots=True)
class Runtime:
    """Time, waiting and names.

    `wall` (seconds since the epoch) only dates ledger entries; every other duration is measured on the
    `monotonic` clock of one machine.
    """

    wall: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    new_txn: Callable[[], str] = new_txn
    limits: Limits = Limits()

    async def pause(self, number: int) -> None:
        """Wait before the try `number`, of `limits.tries` from 0 on, of a write whose outcome may be unknown."""
        if number:
            await self.sleep(self.limits.pause * 2 ** (number - 1))
