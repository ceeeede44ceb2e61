"""What a conversation's document remembers of its turns, and how much room that takes."""

from __future__ import annotations

from bots.turn.conversation import Conversation, build_conversation, parse_conversation
from bots.turn.ledger import Ledger, append, find
from bots.turn.runtime import Limits
from storage import Document

LIMITS = Limits(ledger_entries=2, ledger_age=100.0, replies=1_000)


def ledger_of(*sizes: int, limits: Limits = LIMITS) -> Ledger:
    """A turn a second, each with a reply of that many characters."""
    kept: Ledger = ()
    for at, size in enumerate(sizes):
        kept = append(kept, f"t{at}", f"a{at}", [{"text": "é" * size}], float(at), limits)
    return kept


def test_the_newest_replies_are_kept_within_the_room_and_every_activity_stays_known() -> None:
    kept = ledger_of(400, 400, 400)
    assert [entry.activity_id for entry in kept] == ["a0", "a1", "a2"]
    assert [entry.replies is not None for entry in kept] == [False, True, True]


def test_the_newest_replies_are_kept_whatever_their_size_until_the_next_turn() -> None:
    kept = ledger_of(10, 2_000)
    assert [entry.replies is not None for entry in kept] == [False, True]
    kept = ledger_of(10, 2_000, 10)
    assert [entry.replies is not None for entry in kept] == [False, False, True]
    assert find(kept, "a1") is kept[1]


def test_replies_in_any_script_are_kept_as_they_are() -> None:
    kept = ledger_of(3)
    stored = build_conversation(Conversation({}, kept))
    assert "ééé" in stored["$turn"]["ledger"][0]["replies"]
    again = parse_conversation("k", Document(stored, "1"))
    assert again.ledger[0].reply_list() == [{"text": "ééé"}]


def test_an_entry_leaves_only_when_it_is_old_and_not_among_the_newest() -> None:
    young = ledger_of(*[1] * 5)
    assert len(young) == 5
    later = append(young, "t", "a", [], 1_000.0, LIMITS)
    assert [entry.activity_id for entry in later] == ["a3", "a4", "a"]
