"""Every key has a blob name, a Cosmos id and a SQLite text of its own, within the services' limits."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Callable
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.keys import (
    BLOB_NAME_LIMIT,
    BLOB_SEGMENTS_LIMIT,
    COSMOS_ID_LIMIT,
    blob_key,
    blob_name,
    blob_prefixes,
    cosmos_id,
    is_blob_digest,
    key_of_row,
    row_key,
)

Spell = Callable[[str], str]

# The characters that escapes are made of and broken by, and a few of everything else.
CHARACTERS: Final = st.one_of(st.sampled_from("ab29~*%/\\?#|.: \t\n\r\x00\x7f\x85EF"), st.characters())
PARTS: Final = st.text(CHARACTERS, min_size=1, max_size=4)
ENDS: Final = st.text(CHARACTERS, max_size=3)
KEYS: Final = st.one_of(
    st.text(CHARACTERS, max_size=12),
    st.builds(lambda part, times, end: part * times + end, PARTS, st.integers(50, 1100), ENDS),
    st.text(st.characters(categories=["Cs", "L"]), max_size=6),
)
SUFFIX: Final = "-bot2"


def suffixed_id(key: str) -> str:
    return cosmos_id(key, SUFFIX)


def compatible_id(key: str) -> str:
    return cosmos_id(key, compatible=True)


COSMOS_SPELLINGS: Final = [cosmos_id, suffixed_id, compatible_id]
SPELLINGS: Final = pytest.mark.parametrize(
    "spell", [blob_name, row_key, *COSMOS_SPELLINGS], ids=lambda spell: spell.__name__
)
LIKENESSES: Final[list[Spell]] = [
    str.casefold,
    str.upper,
    str.strip,
    lambda key: key + key[-1:],
    lambda key: key.rstrip("./ "),
    lambda key: key + "/",
    lambda key: "/" + key,
    lambda key: key + ".",
    lambda key: key + " ",
    lambda key: key.replace("/", "//"),
    lambda key: key.encode("utf-16", "surrogatepass").decode("utf-16", "replace"),
    *(functools.partial(unicodedata.normalize, form) for form in ("NFC", "NFD", "NFKC", "NFKD")),
]

# What channels send. Direct Line, Teams, Web Chat, Emulator, Slack, SMS.
CHANNEL_IDS: Final = st.from_regex(r"[A-Za-z0-9_:|@;=.+-]{0,40}[A-Za-z0-9_:|@;=+-]", fullmatch=True)
CHANNEL_KEYS: Final = st.one_of(
    st.builds("{}/conversations/{}".format, st.sampled_from(["emulator", "msteams", "directline"]), CHANNEL_IDS),
    st.builds("{}/users/{}".format, st.sampled_from(["emulator", "webchat", "slack"]), CHANNEL_IDS),
    st.builds("{}/conversations/{}/users/{}/".format, st.just("emulator"), CHANNEL_IDS, CHANNEL_IDS),
)
LONG_KEYS: Final = st.builds("{}{}".format, st.text(CHARACTERS, min_size=1, max_size=3).map(lambda s: s * 90), ENDS)


@SPELLINGS
class TestEverySpelling:
    @settings(max_examples=500)
    @given(one=KEYS, other=KEYS)
    def test_two_keys_never_share_one(self, spell: Spell, one: str, other: str) -> None:
        assert (spell(one) == spell(other)) == (one == other)

    @settings(max_examples=500)
    @given(key=KEYS)
    def test_a_key_that_looks_like_the_spelling_of_another_has_its_own(self, spell: Spell, key: str) -> None:
        spelled = spell(key)

        others = [spelled, blob_name(key), *(each(key) for each in COSMOS_SPELLINGS)]
        for look_alike in others + [alike(key) for alike in LIKENESSES]:
            assert (spell(look_alike) == spelled) == (look_alike == key)

    @given(part=PARTS, end=CHARACTERS)
    def test_long_keys_that_differ_at_the_end_only_have_their_own(self, spell: Spell, part: str, end: str) -> None:
        start = part * 1_100

        assert spell(start) != spell(start + end)

    @given(key=st.text(CHARACTERS, max_size=2_000))
    def test_it_is_text_that_can_be_sent(self, spell: Spell, key: str) -> None:
        assert spell(key).encode() or (spell, key) == (row_key, "")

    @pytest.mark.parametrize("key", ["/x" * 60, "a/b/" * 250, "./" * 500, "/" * 1_000, "x/" * 300 + "\\"], ids=len)
    def test_no_key_makes_it_slow(self, spell: Spell, key: str) -> None:
        """Backtracking over 60 slashes would take longer than the tests may: it is the finishing that counts."""
        assert spell(key)


class TestBlobNames:
    @given(key=KEYS)
    def test_they_keep_within_the_limits(self, key: str) -> None:
        name = blob_name(key)

        assert 1 <= len(name.encode()) <= BLOB_NAME_LIMIT == 1024
        assert name.count("/") < BLOB_SEGMENTS_LIMIT == 254
        assert not re.search(r"[\x00-\x1f\x7f-\x9f\\]|(^|/)\.{1,2}(/|$)|\.$", name)
        assert name.strip("/")

    @given(key=CHANNEL_KEYS)
    def test_a_channels_key_is_its_own_name(self, key: str) -> None:
        assert blob_name(key) == key

    @given(key=KEYS)
    def test_they_tell_their_key_or_end_in_a_digest(self, key: str) -> None:
        name = blob_name(key)

        assert blob_key(name) == (None if is_blob_digest(name) else key)

    @given(name=KEYS)
    def test_a_name_that_no_key_has_tells_none(self, name: str) -> None:
        key = blob_key(name)

        assert key is None or blob_name(key) == name

    @given(key=KEYS, end=st.integers(0, 1100))
    def test_a_start_of_a_key_tells_one_start_of_its_name(self, key: str, end: int) -> None:
        starts = blob_prefixes(key[:end])

        assert sum(blob_name(key).startswith(start) for start in starts) == 1


class TestCosmosIds:
    @pytest.mark.parametrize("spell", COSMOS_SPELLINGS)
    @given(key=KEYS)
    def test_they_keep_within_the_limits(self, spell: Spell, key: str) -> None:
        item_id = spell(key)

        assert 1 <= len(item_id) <= COSMOS_ID_LIMIT == 255
        assert len(item_id.encode()) <= 1023
        assert not re.search(r"[/\\?#\x00-\x1f\x7f-\x9f]| $", item_id)
        assert item_id.endswith(SUFFIX) or spell is not suffixed_id

    @given(key=CHANNEL_KEYS)
    def test_a_channels_key_is_spelled_as_stock_spells_it(self, key: str) -> None:
        stock = pytest.importorskip("botbuilder.azure", reason="needs the pinned SDKs").CosmosDbKeyEscape

        assert cosmos_id(key) == stock.sanitize_key(key, compatibility_mode=False)
        assert suffixed_id(key) == stock.sanitize_key(key, SUFFIX, compatibility_mode=False)
        assert compatible_id(key) == stock.sanitize_key(key)

    @given(part=CHANNEL_KEYS, times=st.integers(2, 30))
    def test_a_long_channels_key_is_cut_as_stock_cuts_it(self, part: str, times: int) -> None:
        stock = pytest.importorskip("botbuilder.azure", reason="needs the pinned SDKs").CosmosDbKeyEscape

        assert compatible_id(part * times) == stock.sanitize_key(part * times)

    @given(key=LONG_KEYS)
    def test_no_key_can_be_made_that_looks_like_the_cut_id_of_another(self, key: str) -> None:
        cut = compatible_id(key)

        assert compatible_id(cut) != cut or cut == key

    def test_what_stock_confuses_is_told_apart(self) -> None:
        stock = pytest.importorskip("botbuilder.azure", reason="needs the pinned SDKs").CosmosDbKeyEscape

        assert stock.sanitize_key("a\t2") == stock.sanitize_key("a\\")
        assert cosmos_id("a\\") == stock.sanitize_key("a\\")
        assert cosmos_id("a\t2") != cosmos_id("a\\")


class TestRowKeys:
    @given(key=CHANNEL_KEYS)
    def test_a_channels_key_stays_readable(self, key: str) -> None:
        assert row_key(key) == key

    @given(key=KEYS)
    def test_they_tell_their_key(self, key: str) -> None:
        assert key_of_row(row_key(key)) == key

    @pytest.mark.parametrize("name", ["~zz", "~~7", "~~61", "~~FF", "~ "])
    def test_what_no_key_is_spelled_as_tells_none(self, name: str) -> None:
        assert key_of_row(name) is None
