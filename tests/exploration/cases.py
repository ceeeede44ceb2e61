"""The cases of the middleware that are explored. C and B are conversations, D is the user's document."""

from __future__ import annotations

import dataclasses
from typing import Final

from tests.exploration.investigation import Case
from tests.exploration.process import TELLING
from tests.exploration.turns import Turn

# In conversation C with the user's document D: both changed, only one of them, or none.
both, another, third = (Turn(name, "C", ("D",), ("C", "D")) for name in "abt")
only_c = Turn("c", "C", ("D",), ("C",))
again = Turn("d", "C", ("D",), ("C",))
reader = Turn("r", "C", ("D",))
complaining = Turn("y", "C", ("D",), complains=True)
failing = Turn("x", "C", ("D",), ("C", "D"), raises=True)
# The same user in conversation B.
elsewhere = Turn("e", "B", ("D",), ("B", "D"))

_p, _q = Turn("p", "C", ("D",), ("C", "D")), Turn("q", "B", ("D",), ("B", "D"))
BEFORE: Final = (_p,)
SLOW: Final = (0.0, 6.0)  # seconds; from the second on, a turn takes longer than the channel may wait
TOO_SLOW: Final = (0.0, 60.0)  # seconds; from the second on, a turn is given up

CASES: Final[dict[str, Case]] = {
    "a fault and a crash": Case(((both, (0,)),), BEFORE, faults=1, crashes=1),
    "absent documents, a fault and a crash": Case(((both, (0,)),), faults=1, crashes=1),
    "two replicas": Case(((both, (0,)), (another, (1,))), BEFORE, sleeps=1),
    "two messages at one replica, a fault": Case(((both, (0,)), (only_c, (0,))), BEFORE, faults=1),
    "two messages at one replica, a crash": Case(((only_c, (0,)), (another, (0,))), BEFORE, crashes=1, sleeps=0),
    "one activity at two replicas": Case(((both, (0, 1)),), BEFORE, sleeps=1),
    "one activity twice at one replica": Case(((both, (0, 0)),), BEFORE),
    "a bot that raises beside another turn, a fault": Case(((failing, (0,)), (only_c, (1,))), BEFORE, faults=1),
    "a reader, a fault": Case(((only_c, (0,)), (reader, (1,))), BEFORE, faults=1),
    "to another replica and back, to read": Case(((only_c, (0,)), (again, (1,)), (reader, (0,))), BEFORE, sleeps=0),
    "to another replica and back, to write": Case(((only_c, (0,)), (another, (1,)), (both, (0,))), BEFORE, sleeps=0),
    "to another replica and back, to complain": Case(
        ((only_c, (0,)), (again, (1,)), (complaining, (0,))), BEFORE, sleeps=0, program=TELLING
    ),
    "another conversation changes what a reader reads": Case(
        ((only_c, (0,)), (elsewhere, (1,)), (reader, (0,))), (_p, _q), sleeps=0
    ),
    "a slow turn, delivered again": Case(((only_c, (0, 1)),), BEFORE, times=SLOW),
    "a turn that is too slow": Case(((both, (0, 1)),), BEFORE, times=TOO_SLOW, sleeps=0),
}

# Too many states to visit every time: random walks, and to the end with EXPLORE=all.
LARGE: Final[dict[str, Case]] = {
    "a turn that is too slow and one that waits": Case(((both, (0,)), (only_c, (0,))), BEFORE, times=TOO_SLOW),
    "two conversations of one user at one replica": Case(((both, (0,)), (elsewhere, (0,))), (_p, _q), sleeps=1),
    "one activity twice at one replica, a fault": Case(((both, (0, 0)),), BEFORE, faults=1),
    "one activity at two replicas, a crash": Case(((both, (0, 1)),), BEFORE, crashes=1, sleeps=1),
    "two replicas, a fault and a crash": Case(((both, (0,)), (another, (1,))), BEFORE, faults=1, crashes=1),
    "two conversations, one message twice": Case(
        ((both, (0, 1)), (elsewhere, (0,))), (_p, _q), faults=2, crashes=2, times=SLOW
    ),
    "a bot that raises among three messages": Case(
        ((both, (0, 1)), (failing, (1,)), (another, (0,)), (reader, (1,))), BEFORE, faults=2, crashes=2
    ),
    "to another replica and back": Case(
        ((only_c, (0,)), (both, (1,)), (again, (0, 1)), (reader, (0,))), BEFORE, faults=1, crashes=1
    ),
    "three messages of one conversation": Case(
        ((both, (0, 1)), (another, (1,)), (third, (0,))), BEFORE, faults=3, crashes=2
    ),
}


def transactional(case: Case) -> Case:
    """The same on a storage that saves all documents of a turn at once."""
    return dataclasses.replace(case, program=dataclasses.replace(case.program, transactional=True))
