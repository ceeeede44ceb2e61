"""Long texts of a turn's record take less room, are readable without us, and no bomb goes off in them."""

from __future__ import annotations

import base64
import gzip
import json
import shutil
import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.turn.conversation import Conversation, build_conversation, parse_conversation
from bots.turn.envelope import Held, Note, build_document, parse_document, tag_of
from bots.turn.ledger import Entry, Ledger
from bots.turn.texts import COMPRESS_FROM, COMPRESS_TO, pack, unpack
from storage.contract import Document
from storage.errors import StateDecodeError

C, D = "test/conversations/1", "test/users/ada"
CARD = json.dumps([{"type": "TextBlock", "text": f"Item {at} of the list", "wrap": True} for at in range(100)])


@given(st.text(max_size=50), st.integers(1, 400))
def test_every_text_comes_back(part: str, times: int) -> None:
    text = part * times
    packed = pack(text)
    assert text == (unpack(packed["gzip"]) if isinstance(packed, dict) else packed)


def test_a_short_text_stays_as_it_is() -> None:
    assert pack("x" * (COMPRESS_FROM - 1)) == "x" * (COMPRESS_FROM - 1)


def test_a_text_that_would_not_shrink_stays_as_it_is() -> None:
    noise = base64.b64encode(bytes((at * at * 2_654_435_761 >> 7) % 256 for at in range(3_000))).decode()
    assert pack(noise) == noise


def test_a_text_of_the_same_content_is_always_spelled_alike() -> None:
    assert pack(CARD) == pack(str(CARD))


@pytest.mark.skipif(not shutil.which("gunzip"), reason="needs gunzip")
def test_it_is_readable_with_the_tools_of_any_machine() -> None:
    packed = pack(CARD)
    assert isinstance(packed, dict)
    compressed = subprocess.run(["base64", "-d"], input=packed["gzip"].encode(), capture_output=True, check=True)  # noqa: S607
    shown = subprocess.run(["gunzip"], input=compressed.stdout, capture_output=True, check=True)  # noqa: S607
    assert shown.stdout.decode() == CARD


def test_an_undo_note_and_replies_read_back_and_take_less_room() -> None:
    before = {"history": CARD}
    held = Held({"n": 1}, tag_of("t", {"n": 1}), Note(before, None, C, "7", 1.5), "8")
    value = build_document(held) or {}
    assert parse_document(D, Document(value, "8")) == held
    assert len(json.dumps(value)) < len(CARD) / 2

    conversation = Conversation({"n": 1}, Ledger((Entry("t", 1.0, "a", f'[{{"card":{CARD}}}]'),)), etag="8")
    value = build_conversation(conversation)
    assert parse_conversation(C, Document(value, "8")) == conversation
    assert len(json.dumps(value)) < len(CARD) / 2


def bomb(size: int) -> str:
    return base64.b64encode(gzip.compress(b"[" * size)).decode()


@pytest.mark.parametrize(
    ("packed", "reason"),
    [
        pytest.param(bomb(COMPRESS_TO + 1), "longer than", id="of a text that is too long"),
        pytest.param(bomb(5_000)[:-8], "whole", id="cut short"),
        pytest.param(bomb(5_000) + "AAAA", "Base64|whole", id="with more behind it"),
        pytest.param(base64.b64encode(base64.b64decode(bomb(5_000)) * 2).decode(), "whole", id="twice"),
        pytest.param("H4sI", "whole", id="of four characters"),
        pytest.param("!", "Base64", id="not Base64"),
        pytest.param("é", "ASCII|Base64", id="not ASCII"),
        pytest.param("", "whole", id="empty"),
        pytest.param(base64.b64encode(b"plain text").decode(), "gzip", id="not gzip"),
        pytest.param(base64.b64encode(gzip.compress(b"\xff" * 2_000)).decode(), "utf-8", id="not UTF-8"),
        pytest.param(bomb(5_000), "not JSON", id="not JSON"),
        pytest.param(7, "gzip", id="a number"),
        pytest.param(None, "gzip", id="nothing"),
    ],
)
@pytest.mark.parametrize("field", ["before", "replies"])
def test_what_is_no_such_text_is_an_error_that_names_its_place(field: str, packed: Any, reason: str) -> None:
    records: dict[str, Any] = {
        "before": {"tag": tag_of("t", {}), "undo": {"before": {"gzip": packed}, "decider": C, "at": 1.0}},
        "replies": {"ledger": [{"txn": "t", "at": 1.0, "id": "a", "replies": {"gzip": packed}}], "seen": {}},
    }
    parse: Any = {"before": parse_document, "replies": parse_conversation}[field]
    with pytest.raises(StateDecodeError, match=reason) as refused:
        parse("key", Document({"$turn": records[field]}, "1"))
    assert field in refused.value.where
