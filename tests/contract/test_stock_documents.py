"""A running bot can move over and back: what the storages of botbuilder-azure wrote is read here, and vice versa."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from storage import ABSENT, StateStorage, Write

pytestmark = [
    pytest.mark.filterwarnings("ignore:Unverified HTTPS request"),  # the stock client's, at an emulator
    pytest.mark.filterwarnings("ignore:content_as_text is deprecated"),  # in the stock storage
]

KEYS = [
    "emulator/conversations/2a5f8b60-cafe-11ee|livechat",
    "emulator/users/9b0c-7|x",
    "emulator/conversations/2a5f|livechat/users/9b0c",
    "msteams/conversations/19:meeting_MjA5@thread.v2;messageid=1700",
    "directline/users/dl_0123 Ωμέγα",
]


@dataclass
class Profile:
    name: str
    tags: list[str]


@pytest.fixture(autouse=True)
def _registered(pair: tuple[StateStorage, Any]) -> None:
    pair[0].codec.register(Profile)


@pytest.mark.parametrize("key", KEYS)
async def test_what_stock_wrote_is_read_and_updated_here(pair: tuple[StateStorage, Any], key: str) -> None:
    ours, theirs = pair
    await theirs.write({key: {"n": 1, "profile": Profile("Ada", ["x"]), "e_tag": "*"}})

    item = (await ours.read([key]))[key]
    assert (item["n"], item["profile"]) == (1, Profile("Ada", ["x"]))
    item["n"] = 2
    await ours.write({key: item})

    assert (await theirs.read([key]))[key]["n"] == 2


@pytest.mark.parametrize("key", KEYS)
async def test_what_was_written_here_is_read_and_updated_by_stock(pair: tuple[StateStorage, Any], key: str) -> None:
    ours, theirs = pair
    await ours.write({key: {"n": 1, "profile": Profile("Ada", ["x"])}})

    item = (await theirs.read([key]))[key]
    assert (item["n"], item["profile"]) == (1, Profile("Ada", ["x"]))
    item["n"] = 2
    await theirs.write({key: item})

    again = (await ours.read([key]))[key]
    assert (again["n"], again["profile"]) == (2, Profile("Ada", ["x"]))


async def test_the_etag_that_stock_leaves_in_the_text_is_no_state(pair: tuple[StateStorage, Any]) -> None:
    ours, theirs = pair
    await theirs.write({"k": {"n": 1}})
    await theirs.write(await theirs.read(["k"]))

    assert (await ours.load(["k"]))["k"].value == {"n": 1}


async def test_a_write_by_stock_is_a_conflict_here(pair: tuple[StateStorage, Any]) -> None:
    ours, theirs = pair
    await ours.save({"k": Write({"n": 1}, ABSENT)})
    before = await ours.read(["k"])
    await theirs.write({"k": {"n": 2}})

    with pytest.raises(Exception, match="read again and retry"):
        await ours.write(before)


async def test_what_stock_deleted_is_absent_here_and_the_other_way_round(pair: tuple[StateStorage, Any]) -> None:
    ours, theirs = pair
    await ours.write({"a": {}, "b": {}})

    await theirs.delete(["a"])
    await ours.delete(["b"])

    assert await ours.read(["a", "b"]) == {}
    assert await theirs.read(["a", "b"]) == {}
