"""The commit protocol: all documents of a turn change together, once, on a store that changes one at a time.

    found = await begin(store, conversation_key, other_keys, activity_id, received=..., runtime=...)
    outcome = await commit(found, changes, replies)    # Committed: send the replies. Aborted: begin again.
    await tidy(outcome)                                # after the replies, whenever

How. The conversation's document C decides. A turn that changes another document D first writes D with an
*undo note*: the state before, C's key, and the version of C (its ETag) on which the commit will be
conditional. Then it writes C, conditional on that version, with the activity and its replies in the *ledger*
and D's new tag in `seen`. That one write is the commit. Whoever finds a note looks at C: the tag is in
`seen`: committed, for good. C has another version: aborted, for good, since the commit expects a version that
is no more. C is still that version: undecided; D counts as before, and who wants to write D *touches* C
first, which decides.

Why it is right. Call the *logical* value of a document what its last committed turn left in it.

1. A snapshot is the logical values of one moment, not older than the load. Either two equal loads enclose a
   moment at which everything loaded, deciders too, existed together, and the notes are judged there. Or C's
   last commit recorded the very tags that were loaded: these values were the logical ones together at that
   commit's place in the order, and each still was when it was loaded (tags never come back), so no turn
   answered before is missed.
2. A turn that changes a D writes every D it loaded, each expecting the version of the snapshot. Nobody writes
   over such a note before it is decided. So when C is written, everything the turn read is still the logical
   value, and all it wrote becomes so at once: that write is its place in the serial order.
3. A turn that changes only C takes its place as late as what it read allows: when C is written, or just
   before the first change of a D it read. Another turn of the conversation could stand on the wrong side of
   it only by loading the old C with a newer D. Then D's tag is not the one in `seen`, and such a turn writes
   C even if it has nothing to change, so one of the two fails. A turn that writes nothing takes the moment of
   its snapshot.
4. Exactly once: the ledger entry is part of the write that commits; two attempts for an activity expect
   versions of C of which only one is ever replaced, and the later attempt loads a C that has the entry.
   Entries outlive redelivery.
5. An unknown outcome is asked for by the attempt's own name, which no other attempt has; a write is sent
   again only as it was, expecting the same version, so of all its copies at most one ever lands, late ones
   too.

6. A turn may begin with C as this process left it, not loaded, where that C vouches for the rest as in 1. If it
   is the last version still, the snapshot is the one that a load would have made. If not, the write of C, which
   expects it, fails; a turn that has nothing to write, or whose logic raises, compares C's version instead. Either
   way it begins again. Where that C does not vouch, it and what was loaded beside it are the first of the two loads.

Strict, between turns that have a document in common: a turn that begins after another was answered sees what
it wrote. Of turns in *different* conversations with *no* document in common the order may differ from the
clock's, where a third turn connects them (as in every store that promises serializability with up-to-date
reads; Cockroach Labs calls it causal reverse): keeping that order too would need a second write in every
turn.

What it needs. ETags that never come back. Reads that answer the last version written, for every replica: an
older version of C would look like a commit that failed. Blob Storage and the stores of one machine read so;
Cosmos DB does with strong consistency, or with bounded staleness where it writes, not with its default,
session (`storage.cosmos` refuses it). A C that nobody else removes: without it, the last change of a D whose
note has not been tidied yet counts as aborted. A C may expire, after a day at least: then a note of the time
before it was lost counts as committed, because an uncommitted one is resolved when its activity is delivered
again, seconds later, and one that was left for half a day is nearly always a committed turn's that nobody
tidied. So no document is removed before its life is over, and none lives shorter than a day. Replicas whose
clocks differ by less than `ledger_age` minus `replay_age` minus the time in which channels redeliver: only
the age of ledger entries is compared between clocks. Stock bots may read and write the same documents one
after the other; a stock write *during* a turn is detected (the tag's digest no longer fits), neither undone
nor lost, but a stock bot that read an undecided D has read it as committed. Keys are not shared between the
two roles: a conversation's document of one turn is nobody's D.

On a transactional store (memory, SQLite) one load is one moment and one save commits everything, so no notes
are written; tags and the ledger are the same, as are 1 to 6. Notes found there, of a store that was moved,
are resolved and tidied as ever.

From: H. T. Kung, J. Robinson, "On Optimistic Methods for Concurrency Control" (TODS 1981); client-coordinated
commits in Percolator (D. Peng, F. Dabek, OSDI 2010), ReTSO (F. Junqueira et al., 2011) and Cherry Garcia (A.
Dey et al., ICDE 2015); atomic snapshots by double collect (Y. Afek et al., JACM 1993). `tests/exploration`
visits every schedule of small cases.
"""

from __future__ import annotations

from bots.turn.aftercare import is_untidy, mark_delivered, tidy
from bots.turn.commit import commit
from bots.turn.outcome import Aborted, Committed
from bots.turn.runtime import Limits, Runtime
from bots.turn.snapshot import Redelivered, Snapshot, begin

__all__ = [
    "Aborted",
    "Committed",
    "Limits",
    "Redelivered",
    "Runtime",
    "Snapshot",
    "begin",
    "commit",
    "is_untidy",
    "mark_delivered",
    "tidy",
]
