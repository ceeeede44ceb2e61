"""The judge of the scale-out runs sees what it has to see, also where each message is counted once."""

from __future__ import annotations

from tests.e2e.history import History, Message, Tally


def message(conversation: str, user: str, place: tuple[int, int], sent: float, acknowledged: float) -> Message:
    numbers = dict(zip((conversation, user), place, strict=True))
    return Message((conversation, user), sent, acknowledged, replies=[(1, numbers)])


def test_messages_one_after_the_other_are_right() -> None:
    messages = {"a": message("c", "u", (1, 1), 0, 1), "b": message("c", "u", (2, 2), 2, 3)}
    documents = {"c": Tally(2, ["a", "b"]), "u": Tally(2, ["a", "b"])}
    assert History(messages, documents, 1).violations() == []


def test_messages_at_once_may_count_in_either_order() -> None:
    messages = {"a": message("c", "u", (2, 2), 0, 3), "b": message("c", "u", (1, 1), 1, 2)}
    documents = {"c": Tally(2, ["b", "a"]), "u": Tally(2, ["b", "a"])}
    assert History(messages, documents, 1).violations() == []


def test_turn_that_did_not_see_what_was_acknowledged_before_it_is_noticed() -> None:
    messages = {"a": message("c", "u", (2, 2), 0, 1), "b": message("c", "u", (1, 1), 2, 3)}
    documents = {"c": Tally(2, ["b", "a"]), "u": Tally(2, ["b", "a"])}
    (violation,) = History(messages, documents, 1).violations()
    assert violation.startswith("no serial order: ")


def test_documents_that_disagree_about_the_order_are_noticed() -> None:
    messages = {"a": message("c", "u", (1, 2), 0, 3), "b": message("c", "u", (2, 1), 0.5, 3.5)}
    documents = {"c": Tally(2, ["a", "b"]), "u": Tally(2, ["b", "a"])}
    (violation,) = History(messages, documents, 1).violations()
    assert violation.startswith("no serial order: ")


def test_half_a_turn_is_noticed_though_it_was_not_acknowledged() -> None:
    messages = {"a": Message(("c", "u"), 0)}
    assert "a: half applied, and not counted in u" in History(messages, {"c": Tally(1, ["a"])}, 1).violations()


def test_copies_of_a_reply_that_contradict_each_other_are_noticed() -> None:
    told = message("c", "u", (1, 1), 0, 1)
    told.replies.append((1, {"c": 2, "u": 1}))
    documents = {"c": Tally(1, ["a"]), "u": Tally(1, ["a"])}
    assert any("replied" in violation for violation in History({"a": told}, documents, 1).violations())


def test_message_that_was_never_sent_is_noticed() -> None:
    assert History({}, {"c": Tally(1, ["x"])}, 1).violations() == ["c: counted x, which was never sent there"]
