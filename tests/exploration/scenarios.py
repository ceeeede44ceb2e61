"""The cases that are explored. A, B, C are conversations, D and E documents of users, small letters turns."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

from storage.expiry import DAY
from tests.exploration.explore import LIMITS, Scenario
from tests.exploration.sequence import history
from tests.exploration.turns import Delivery, Turn

if TYPE_CHECKING:
    from tests.exploration.calls import Stored


def deliver(*turns: Turn, tidies: bool = True, marks: bool = False, attempts: int = 2) -> tuple[Delivery, ...]:
    """One delivery of each."""
    return tuple(Delivery(turn, attempts, tidies, marks) for turn in turns)


# In conversation C with the user's document D: both changed, only one of them, or none.
both, another = (Turn(name, "C", ("D",), ("C", "D")) for name in "ab")
only_c, only_d = Turn("c", "C", ("D",), ("C",)), Turn("d", "C", ("D",), ("D",))
reader = Turn("r", "C", ("D",))
deleter = Turn("x", "C", ("D",), deletes=("C", "D"))
proactive = Turn("n", "C", ("D",), ("C", "D"), has_id=False)
# The same user in conversation B.
elsewhere, only_b = Turn("e", "B", ("D",), ("B", "D")), Turn("f", "B", ("D",), ("B",))
reader_b = Turn("s", "B", ("D",))
# Two documents that conversations share: each turn changes one and reads the other.
left, right = Turn("l", "C", ("D", "E"), ("D",)), Turn("m", "B", ("D", "E"), ("E",))
onlooker = Turn("o", "A", ("D", "E"))
# A conversation of two users.
of_d, changes_e = Turn("u", "C", ("D",), ("C",)), Turn("v", "C", ("E",), ("C", "E"))
of_both_elsewhere, knows_e = Turn("w", "B", ("D", "E"), ("D", "E")), Turn("k", "C", ("E",))

_p, _q = Turn("p", "C", ("D",), ("C", "D")), Turn("q", "B", ("D",), ("B", "D"))
settled = history(*deliver(_p))
untidy = history(*deliver(_p, tidies=False))
two_conversations = history(*deliver(_p, _q))
crashed_before_the_decision = history(*deliver(_p, another), but_the_last_stops_after=2)
crashed_elsewhere = history(*deliver(_p, _q, elsewhere), but_the_last_stops_after=3)
group = history(
    *deliver(
        Turn("p", "C", ("E",), ("C", "E")),
        Turn("q", "C", ("D",), ("C", "D")),
        Turn("t", "B", ("D", "E"), ("B",)),
    )
)
group_of_e = history(*deliver(Turn("q", "C", ("D",), ("C", "D")), Turn("p", "C", ("E",), ("C", "E"))))
stock: dict[str, Stored] = {"C": (1, '{"log":"p"}'), "D": (1, '{"log":"p"}')}


def _over_a_note() -> dict[str, Stored]:
    """A stock bot has read what a crashed turn wrote, and written it back with a change of its own."""
    store = dict(crashed_before_the_decision)
    version, text = store["D"]
    store["D"] = (version + 1, (text or "").replace('"log":"pb"', '"log":"pbz"'))
    return store


def _expired(history: dict[str, Stored], conversation: str) -> dict[str, Stored]:
    """The documents when that conversation's is no more."""
    return history | {conversation: (history[conversation][0], None)}


LONG_AGO = -2.0 * DAY
expired_untidy = _expired(history(*deliver(_p, tidies=False), at=LONG_AGO), "C")
expired_elsewhere = _expired(history(*deliver(_p, tidies=False), *deliver(only_b), at=LONG_AGO), "C")

SMALL = dataclasses.replace(LIMITS, seen=1)
SHORT = dataclasses.replace(LIMITS, ledger_entries=0)

SCENARIOS: Final[dict[str, Scenario]] = {
    "absent documents": Scenario(deliver(both, another), faults=2),
    "absent documents, one activity delivered twice": Scenario(deliver(both, both), faults=2),
    "stock documents": Scenario(deliver(both, another, reader), stock),
    "a stock bot wrote over a note": Scenario(deliver(only_d, reader), _over_a_note(), faults=1),
    "acknowledgement lost anywhere": Scenario(deliver(both, another), settled, faults=2),
    "redelivery beside another turn": Scenario(deliver(both, both, only_c), settled),
    "redelivery, acknowledgement lost": Scenario(deliver(both, both), settled, faults=2),
    "redelivery, ledger at its bound": Scenario(deliver(both, both, only_c), settled, limits=SHORT),
    "redelivery, ledger entries outlive time": Scenario(
        deliver(only_c, only_c, only_d), settled, limits=SHORT, times=(0.0, 51.0, 102.0)
    ),
    "write skew with a reader": Scenario(deliver(only_c, only_d, reader), settled, faults=1),
    "torn snapshot: a document and its conversation move on": Scenario(deliver(both, only_d, only_c), settled),
    "a note left by a crash before the decision": Scenario(
        deliver(only_d, reader, only_c), crashed_before_the_decision
    ),
    "a note left by a crash, acknowledgement lost": Scenario(
        deliver(both, only_d), crashed_before_the_decision, faults=1
    ),
    "a note of a committed turn that was not tidied": Scenario(deliver(only_d, only_c, reader), untidy),
    "two conversations of one user": Scenario(deliver(both, elsewhere), two_conversations, faults=1),
    "two conversations of one user with a reader": Scenario(deliver(only_c, elsewhere, reader), two_conversations),
    "two conversations change only themselves": Scenario(deliver(only_c, only_b, elsewhere), two_conversations),
    "a note left in another conversation": Scenario(deliver(only_d, reader), crashed_elsewhere, faults=1),
    "commit in flight while another conversation undoes it": Scenario(
        deliver(elsewhere, only_d, tidies=False), settled, faults=1
    ),
    "two shared documents": Scenario(deliver(left, right, attempts=1), faults=1),
    "two users of a conversation": Scenario(deliver(of_d, of_both_elsewhere, knows_e), group),
    "more users seen than are kept": Scenario(deliver(of_d, changes_e), group, limits=SMALL, faults=1),
    "state deleted": Scenario(deliver(deleter, both, reader), settled),
    "deleted and redelivered": Scenario(deliver(deleter, deleter, only_c), settled),
    "no activity id": Scenario(deliver(proactive, both), settled, faults=2),
    "a conversation expired before its note was tidied": Scenario(deliver(only_d, reader), expired_untidy, faults=1),
    "an expired conversation begins anew without the user": Scenario(
        deliver(Turn("v", "C", ("E",), ("C", "E")), elsewhere), expired_untidy, faults=1
    ),
    "the note of an expired conversation, found in another": Scenario(
        deliver(elsewhere, both), expired_elsewhere, faults=1
    ),
    "slow turns marked as delivered": Scenario(deliver(both, only_c, marks=True), settled, faults=1),
}

# Too many states to visit every time: random walks, and to the end with EXPLORE=all.
LARGE: Final[dict[str, Scenario]] = {
    "one activity twice beside another": Scenario(deliver(both, both, another), settled, faults=1),
    "four deliveries": Scenario(deliver(both, both, only_d, only_c), settled, faults=2),
    "two conversations, readers in both": Scenario(
        deliver(both, elsewhere, reader, reader_b), two_conversations, faults=1
    ),
    "two shared documents and an onlooker": Scenario(deliver(left, right, onlooker)),
    "two users, three conversations": Scenario(
        deliver(of_d, changes_e, of_both_elsewhere, onlooker), group, faults=1, limits=SMALL
    ),
}
