"""What a service would refuse, cut or change is refused before it is written, by name; what grows large is told."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import replace
from typing import Any

import pytest

from config import Settings
from storage import ABSENT, ANY, StateEncodeError, StateStorage, Write, create_storage
from storage.blob import SIZE_LIMIT as BLOB_LIMIT
from storage.cosmos import SIZE_LIMIT as COSMOS_LIMIT
from storage.limits import EXACT, LEVELS, Limits, escaped_size

USER = "test/users/ada"


def nested(levels: int) -> dict[str, Any]:
    """A document of so many levels, itself the first."""
    value: Any = {}
    for level in range(levels - 2):
        value = [value] if level % 2 else {"inner": value}
    return {"flat": [1], "deep": value}


class TestDepth:
    async def test_the_deepest_document_is_stored(self, storage: StateStorage) -> None:
        await storage.save({USER: Write(nested(LEVELS), ABSENT)})
        assert (await storage.load([USER]))[USER].value == nested(LEVELS)

    async def test_a_deeper_one_is_refused_by_property(self, storage: StateStorage) -> None:
        with pytest.raises(StateEncodeError, match="nested too deeply: the limit is 127 levels") as refused:
            await storage.save({"other": Write({}, ABSENT), USER: Write(nested(LEVELS + 1), ABSENT)})
        assert (refused.value.key, refused.value.where) == (USER, "deep")
        assert await storage.load([USER, "other"]) == {}


@pytest.mark.cosmos
class TestCosmos:
    @pytest.fixture
    def settings(self, cosmos_settings: Settings) -> Settings:
        return cosmos_settings

    @pytest.mark.parametrize("character", ["x", "é", "界", "👩"])
    @pytest.mark.parametrize("key", [USER, "test/other/é"])
    async def test_what_fits_is_what_the_item_takes_as_it_is_sent(
        self, settings: Settings, character: str, key: str
    ) -> None:
        item: dict[str, Any] = {"id": key.replace("/", "*47"), "realId": key, "document": {"text": "", "n": 1}}
        if key == USER:
            settings = replace(settings, expire_user_days=1)
            item["ttl"] = 86_400
        room = COSMOS_LIMIT - len(json.dumps(item, separators=(",", ":")))
        text = character * (room // escaped(character))
        text += "x" * (room - len(text) * escaped(character))
        async with create_storage(settings) as storage:
            await storage.save({key: Write({"text": text, "n": 1}, ABSENT)})
            with pytest.raises(StateEncodeError, match=r"would take 2,097,153 bytes, the limit is 2,097,152"):
                await storage.save({key: Write({"text": text + "x", "n": 1}, ANY)})
            assert len((await storage.load([key]))[key].value["text"]) == len(text)

    async def test_the_biggest_property_is_named(self, settings: Settings) -> None:
        async with create_storage(settings) as storage:
            with pytest.raises(StateEncodeError, match="biggest property is 'history'") as refused:
                await storage.save({USER: Write({"name": "Ada", "history": ["x" * 100] * 30_000, "n": 1}, ANY)})
            assert (refused.value.key, refused.value.where) == (USER, "history")
            with pytest.raises(StateEncodeError, match="biggest property is the turn record"):
                await storage.save({USER: Write({"name": "Ada", "$turn": {"ledger": ["x" * 2_200_000]}}, ANY)})
            assert await storage.load([USER]) == {}

    @pytest.mark.parametrize("number", [EXACT + 1, -EXACT - 1, 10**30])
    async def test_an_integer_that_would_come_back_as_another_is_refused(self, settings: Settings, number: int) -> None:
        value = {"id": "9007199254740993", "accounts": [{"id": EXACT}, {"id": number, "rate": 1e300}]}
        async with create_storage(settings) as storage:
            with pytest.raises(StateEncodeError, match="as text") as refused:
                await storage.save({USER: Write(value, ANY)})
            assert refused.value.where == "accounts[1].id"
            value["accounts"].pop()  # type: ignore[attr-defined]
            await storage.save({USER: Write(value, ANY)})
            assert (await storage.load([USER]))[USER].value == value


@pytest.mark.blob
async def test_a_blob_is_no_larger_than_one_request_reads(blob_settings: Settings) -> None:
    async with create_storage(blob_settings) as storage:
        with pytest.raises(StateEncodeError, match="biggest property is 'text'"):
            await storage.save({USER: Write({"text": "x" * BLOB_LIMIT}, ANY)})
        assert await storage.load([USER]) == {}


class TestWarnings:
    def told(self, limits: Limits, key: str, size: int) -> None:
        limits.check(key, {"n": 1, "text": "x" * 20}, b"{}", size)

    def test_from_half_of_the_limit_on_it_is_told_once_for_each_key(self, caplog: pytest.LogCaptureFixture) -> None:
        limits = Limits(1_000)
        self.told(limits, USER, 500)
        assert not caplog.records

        for size in (501, 999, 1_000):
            self.told(limits, USER, size)
        self.told(limits, "test/users/bob", 700)

        assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
        assert "501 bytes, the limit is 1,000; its biggest property is 'text'" in caplog.text

    def test_the_log_names_nobody(self, caplog: pytest.LogCaptureFixture) -> None:
        self.told(Limits(1_000), USER, 700)
        assert "ada" not in caplog.text
        assert hashlib.sha256(USER.encode()).hexdigest()[:12] in caplog.text

    def test_it_never_stops_telling_of_new_keys(self, caplog: pytest.LogCaptureFixture) -> None:
        limits = Limits(1_000)
        for at in range(3_000):
            self.told(limits, f"test/users/{at}", 700)
        assert len(caplog.records) == 3_000


@pytest.mark.parametrize("text", ["", "plain", "é\u0000\x7f", "界" * 3, "👩‍👩", '"\\\n'])
def test_the_size_of_escaped_json_is_counted_and_not_guessed(text: str) -> None:
    value = {text: [text, 1.5]}
    as_stored = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    assert escaped_size(as_stored) == len(json.dumps(value, separators=(",", ":")))


def escaped(character: str) -> int:
    return len(json.dumps(character)) - 2
