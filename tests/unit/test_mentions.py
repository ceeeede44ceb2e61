"""Mentions: the bot's own leave the text, everybody else's stay readable, nothing else changes."""

from __future__ import annotations

import time
from typing import Any

import pytest
from botbuilder.schema import Activity, ChannelAccount, Mention
from hypothesis import given, settings
from hypothesis import strategies as st

from bots.mentions import text_without_own_mention
from tests.unit.channel_activities import ADA, BOT, GRACE, mention, received, teams_message

OWN = mention(BOT, "State Bot")
NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"], exclude_characters="<>&;"), min_size=1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<at>State Bot</at> Ada", "Ada"),
        ("<at>State Bot</at>&nbsp;Ada", "Ada"),
        ("Ada <at>State Bot</at>", "Ada "),
        ("I am <at>State Bot</at> Ada", "I am Ada"),
        ("I am<at>State Bot</at> Ada", "I am Ada"),
        ("I am\n<at>State Bot</at> Ada", "I am\nAda"),
        ("<AT>state bot</AT> Ada", "Ada"),
        ('<at id="0">State Bot</at> Ada', "Ada"),
        ("<at>State Bot</at> <at>State Bot</at> Ada", "Ada"),
        ("I am<at>State Bot</at><at>State Bot</at> Ada", "I am Ada"),
        ("<at>State Bot</at>", ""),
    ],
)
def test_the_bots_own_mention_leaves_the_text_with_one_of_its_blanks(text: str, expected: str) -> None:
    assert text_without_own_mention(teams_message(text, OWN)) == expected


def test_other_peoples_mentions_become_their_names() -> None:
    activity = teams_message("<at>State Bot</at> tell <at>Grace Hopper</at> hi", OWN, mention(GRACE, "Grace Hopper"))
    assert text_without_own_mention(activity) == "tell Grace Hopper hi"


def test_of_two_mentions_with_one_name_only_the_bots_own_is_removed() -> None:
    activity = teams_message("<at>Tess</at> ask <at>Tess</at>", mention(GRACE, "Tess"), mention(BOT, "Tess"))
    assert text_without_own_mention(activity) == "Tess ask "


@pytest.mark.parametrize("name", ["Bot (dev)", "a.*b", "[x", "C++ \\1", "$~&", "$", "ボット", "بوت", "Böt 🤖"])
def test_names_with_special_characters_are_removed_too(name: str) -> None:
    assert text_without_own_mention(teams_message(f"<at>{name}</at> hi", mention(BOT, name))) == "hi"


def test_an_escaped_name_without_mention_text_is_removed_too() -> None:
    entity = {"type": "mention", "mentioned": {"id": BOT, "name": "Q & A"}}
    assert text_without_own_mention(teams_message("<at>Q &amp; A</at> hi", entity)) == "hi"


@pytest.mark.parametrize(
    "entity",
    [
        {},
        {"type": "mention"},
        {"type": "mention", "mentioned": None, "text": "<at>State Bot</at>"},
        {"type": "mention", "mentioned": {}},
        {"type": "mention", "mentioned": "State Bot", "text": 7},
        {"type": "mention", "mentioned": {"id": GRACE, "name": 7}, "text": ""},
        {"type": "Mention", "mentioned": {"id": BOT}},
    ],
)
def test_incomplete_entities_neither_break_the_turn_nor_hide_the_bots_mention(entity: dict[str, Any]) -> None:
    activity = teams_message("<at>Grace</at> <at>state bot</at> hi", entity, OWN)
    assert text_without_own_mention(activity) == "Grace hi"


def test_absent_fields_are_no_error() -> None:
    assert text_without_own_mention(teams_message(None, OWN)) == ""
    assert text_without_own_mention(teams_message("hi", entities=None)) == "hi"
    assert text_without_own_mention(teams_message("hi", entities=[None])) == "hi"
    assert text_without_own_mention(teams_message("hi", OWN, recipient={})) == "hi"


def test_without_a_recipient_every_mention_is_readable() -> None:
    assert text_without_own_mention(teams_message("<at>State Bot</at> hi", OWN, recipient=None)) == "State Bot hi"


def test_plain_mentions_of_other_channels_are_understood() -> None:
    activity = teams_message("<@U0B> tell <@U0G> hi", mention(BOT, "bot", "<@U0B>"), mention(GRACE, "Grace", "<@U0G>"))
    assert text_without_own_mention(activity) == "tell Grace hi"


def test_mentions_built_with_the_sdks_class_are_understood() -> None:
    own = Mention(mentioned=ChannelAccount(id=BOT, name="State Bot"), text="<at>State Bot</at>", type="mention")
    activity = Activity(text="<at>State Bot</at> hi", entities=[own], recipient=ChannelAccount(id=BOT))
    assert text_without_own_mention(activity) == "hi"


def test_the_activity_is_left_as_it_is() -> None:
    activity = teams_message("<at>State Bot</at> hi", OWN)
    text_without_own_mention(activity)
    assert activity.text == "<at>State Bot</at> hi"
    assert len(activity.entities) == 2


@pytest.mark.parametrize("text", ["<at>" * 60_000, "<at " * 60_000, "<at>x</at>" * 25_000, "<at>" + " " * 250_000])
def test_a_hostile_text_of_the_channels_full_size_takes_no_more_than_linear_time(text: str) -> None:
    started = time.process_time()
    text_without_own_mention(teams_message(text, OWN))
    assert time.process_time() - started < 2  # a quadratic scan takes minutes


@settings(max_examples=100, deadline=None)
@given(before=st.text(), name=NAMES, after=st.text())
def test_of_any_text_only_the_mention_is_removed(before: str, name: str, after: str) -> None:
    before, after = (part.replace("<", "").replace("&nbsp;", "") for part in (before, after))
    activity = teams_message(f"{before}<at>{name}</at>{after}", mention(BOT, name))
    assert text_without_own_mention(activity).split() == f"{before}{after}".split()


@settings(max_examples=100, deadline=None)
@given(text=st.text().filter(lambda text: "<at" not in text.lower() and "&nbsp;" not in text))
def test_a_text_without_mentions_stays_as_it_is(text: str) -> None:
    assert text_without_own_mention(teams_message(text, mention(ADA, "x", ""))) == text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "name", "x"]), inner),
    max_leaves=5,
)


@settings(max_examples=100, deadline=None)
@given(mentioned=JSON, entity_text=JSON, text=st.none() | st.text())
def test_no_entity_makes_it_raise(mentioned: Any, entity_text: Any, text: str | None) -> None:
    entity = {"type": "mention", "mentioned": mentioned, "text": entity_text}
    body = {"type": "message", "text": text, "recipient": {"id": BOT}, "entities": [entity]}
    assert isinstance(text_without_own_mention(received(body)), str)
