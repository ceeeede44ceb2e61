"""What a conversation's document remembers of its turns, and how much room that takes."""

from __future__ import annotations

import json

from bots.turn.conversation import Conversation, build_conversation, parse_conversation
from bots.turn.ledger import Ledger, append, delivered, find, is_full
from bots.turn.runtime import Limits
from storage import Document

LIMITS = Limits(ledger_entries=2, ledger_age=100.0, replies=1_000)


def ledger_of(*sizes: int, limits: Limits = LIMITS, letter: str = "e") -> Ledger:
    """A turn a second, each with a reply of that many characters."""
    kept = Ledger()
    for at, size in enumerate(sizes):
        kept = append(kept, f"t{at}", f"a{at}", [{"text": letter * size}], float(at), limits)
    return kept


def test_the_newest_replies_are_kept_within_the_room_and_every_activity_stays_known() -> None:
    kept = ledger_of(400, 400, 400)
    assert [entry.activity_id for entry in kept.entries] == ["a0", "a1", "a2"]
    assert [entry.replies is not None for entry in kept.entries] == [False, True, True]


def test_the_newest_replies_are_kept_whatever_their_size_until_the_next_turn() -> None:
    kept = ledger_of(10, 2_000)
    assert [entry.replies is not None for entry in kept.entries] == [False, True]
    kept = ledger_of(10, 2_000, 10)
    assert [entry.replies is not None for entry in kept.entries] == [False, False, True]
    assert find(kept, "a1") is kept.entries[1]


def test_replies_in_any_script_are_kept_as_they_are() -> None:
    kept = ledger_of(3, letter="é")
    stored = build_conversation(Conversation({}, kept))
    assert "ééé" in stored["$turn"]["ledger"][0]["replies"]
    again = parse_conversation("k", Document(stored, "1"))
    assert again.ledger.entries[0].reply_list() == [{"text": "ééé"}]


def test_an_entry_leaves_only_when_it_is_old_and_not_among_the_newest() -> None:
    young = ledger_of(*[1] * 5)
    assert len(young.entries) == 5
    later = append(young, "t", "a", [], 1_000.0, LIMITS)
    assert [entry.activity_id for entry in later.entries] == ["a3", "a4", "a"]


def answered(count: int, limits: Limits = LIMITS, rate: float = 1.0) -> Ledger:
    """So many turns, `rate` a second, all but the last known to be answered."""
    kept = Ledger()
    for number in range(count):
        kept = delivered(kept, {f"a{number - 1}"})
        kept = append(kept, f"t{number}", f"a{number}", [{"text": "hi"}], number / rate, limits)
    return kept


def test_answered_activities_stay_known_at_a_tenth_of_the_size() -> None:
    limits = Limits()
    kept = answered(5_000, limits, rate=50.0)
    assert len(kept.entries) == limits.ledger_entries + 1
    assert all(find(kept, f"a{number}") for number in range(5_000))
    assert not any(find(kept, f"b{number}") for number in range(5_000))
    stored = build_conversation(Conversation({}, kept))
    assert len(json.dumps(stored)) < 5_000 * 12
    again = parse_conversation("k", Document(stored, "1"))
    assert again.ledger == kept


def test_a_digest_is_found_only_where_one_begins() -> None:
    kept = answered(40)
    digests = kept.answered[0].digests
    assert digests[:11] in kept.answered[0]
    assert digests[1:12] not in kept.answered[0]


def test_an_answered_activity_is_forgotten_when_it_is_old_and_not_before() -> None:
    kept = answered(300)
    assert find(kept, "a200")
    assert not find(kept, "a150")


def test_an_activity_that_is_not_answered_is_kept_whole_with_its_replies() -> None:
    kept = ledger_of(*[1] * 50)
    assert [find(kept, "a0"), len(kept.entries)] == [kept.entries[0], 50]


def test_a_ledger_is_full_until_its_activities_are_old() -> None:
    limits = Limits(ledger_entries=2, ledger_age=100.0, activities=50)
    kept = answered(60, limits)
    assert is_full(kept, 60.0, limits)
    assert not is_full(kept, 300.0, limits)
    assert not is_full(answered(40, limits), 40.0, limits)


def test_replies_count_as_what_they_take_when_all_but_ascii_is_escaped() -> None:
    assert [entry.replies is not None for entry in ledger_of(60, 60, 60, letter="é").entries] == [False, True, True]
    assert [entry.replies is not None for entry in ledger_of(60, 60, letter="\U0001f600").entries] == [False, True]
