"""The keys that sign tokens: asked for seldom, kept while the issuer is away, found after a rotation."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest
import requests
from jwt.algorithms import RSAAlgorithm

from bots.signing_keys import FRESH, PAUSE, RETRY, USABLE, KeysUnavailable, SigningKeys
from tests.issuers import Issuer, new_key

URL = "https://issuer.example/metadata"


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Site:
    """What `requests.get` finds: the metadata document and the keys, or what is put in their place."""

    def __init__(self) -> None:
        self.issuer = Issuer("one", ["msteams"])
        self.answers: Any = None
        self.questions = 0
        self.reached = threading.Semaphore(0)  # once for each question
        self.may_answer = threading.Event()
        self.may_answer.set()

    def get(self, url: str, timeout: float) -> requests.Response:
        assert timeout
        self.questions += 1
        self.reached.release()
        assert self.may_answer.wait(10)
        if isinstance(self.answers, Exception):
            raise self.answers
        answer = requests.Response()
        answer.status_code = 200
        found = {"jwks_uri": "https://issuer.example/keys"} if url == URL else self.issuer.jwks()
        answer._content = json.dumps(found if self.answers is None else self.answers).encode()
        return answer


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Site:
    found = Site()
    monkeypatch.setattr(requests, "get", found.get)
    return found


async def test_a_key_is_found_with_what_it_endorses_and_asked_for_once(site: Site) -> None:
    keys = SigningKeys(URL, endorsing=True)
    found = await asyncio.gather(*(keys.get("one") for _ in range(20)))
    assert found[0].endorsements == ("msteams",)
    assert RSAAlgorithm.to_jwk(found[0].public_key) == RSAAlgorithm.to_jwk(new_key("one").public_key())
    assert site.questions == 2


async def test_after_a_rotation_the_new_key_is_found_but_an_unknown_one_makes_no_storm_of_questions(site: Site) -> None:
    clock = Clock()
    keys = SigningKeys(URL, endorsing=True, clock=clock)
    await keys.get("one")
    site.issuer.keys = {"two": (new_key("two"), ["msteams"])}
    for _ in range(5):
        clock.now += PAUSE / 6
        with pytest.raises(PermissionError):
            await keys.get("two")
    assert site.questions == 2
    clock.now += PAUSE + 1
    assert (await keys.get("two")).endorsements == ("msteams",)
    with pytest.raises(PermissionError):
        await keys.get("one")
    assert site.questions == 4


async def test_after_a_day_the_keys_are_asked_for_again_and_a_withdrawn_one_is_refused(site: Site) -> None:
    clock = Clock()
    keys = SigningKeys(URL, endorsing=True, clock=clock)
    await keys.get("one")
    site.issuer.keys = {"two": (new_key("two"), ["msteams"])}
    clock.now += FRESH + 1
    with pytest.raises(PermissionError):
        await keys.get("one")


async def test_while_the_issuer_is_away_known_keys_are_good_for_five_days_and_no_longer(site: Site) -> None:
    clock = Clock()
    keys = SigningKeys(URL, endorsing=True, clock=clock)
    await keys.get("one")
    site.answers = requests.ConnectionError("away")
    clock.now += FRESH + 1
    await keys.get("one")
    clock.now += USABLE
    with pytest.raises(KeysUnavailable):
        await keys.get("one")
    site.answers = None
    clock.now += PAUSE + 1
    await keys.get("one")


@pytest.mark.parametrize("age", [None, USABLE + 1], ids=["cold", "outdated"])
async def test_all_who_wait_for_an_issuer_that_hangs_share_one_question_and_its_failure(
    site: Site, age: float | None
) -> None:
    clock = Clock()
    keys = SigningKeys(URL, endorsing=True, clock=clock)
    if age:
        await keys.get("one")
        clock.now += age
    before, site.reached = site.questions, threading.Semaphore(0)
    site.may_answer.clear()
    site.answers = requests.Timeout("slow")
    waiting = [asyncio.create_task(keys.get("one")) for _ in range(20)]
    assert await asyncio.to_thread(site.reached.acquire, timeout=10)
    waiting[0].cancel()
    clock.now += 5
    site.may_answer.set()
    failures = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(failures[0], asyncio.CancelledError)
    assert all(isinstance(failure, KeysUnavailable) for failure in failures[1:])
    for _ in range(20):  # for a moment nobody asks again
        with pytest.raises(KeysUnavailable):
            await keys.get("one")
    assert site.questions == before + 1
    site.answers = None
    clock.now += RETRY + 0.1
    assert (await keys.get("one")).endorsements == ("msteams",)


async def test_who_has_a_known_key_does_not_wait_for_who_has_none(site: Site) -> None:
    clock = Clock()
    keys = SigningKeys(URL, endorsing=True, clock=clock)
    await keys.get("one")
    clock.now += PAUSE + 1
    site.reached = threading.Semaphore(0)
    site.may_answer.clear()
    stranger = asyncio.create_task(keys.get("two"))
    assert await asyncio.to_thread(site.reached.acquire, timeout=10)
    assert (await keys.get("one")).endorsements == ("msteams",)
    assert not stranger.done()
    site.may_answer.set()
    with pytest.raises(PermissionError):
        await stranger


async def test_a_key_that_is_not_known_while_the_issuer_is_away_is_not_called_wrong(site: Site) -> None:
    clock = Clock()
    keys = SigningKeys(URL, endorsing=True, clock=clock)
    await keys.get("one")
    site.answers = requests.ConnectionError("away")
    clock.now += PAUSE + 1
    for _ in range(3):
        with pytest.raises(KeysUnavailable):
            await keys.get("two")
    assert site.questions == 3
    await keys.get("one")


BROKEN: list[Any] = [
    requests.ConnectionError("away"),
    requests.Timeout("slow"),
    {},
    [],
    "text",
    {"jwks_uri": "https://issuer.example/keys", "keys": [{"kid": "one", "kty": "RSA"}]},
    {"jwks_uri": "https://issuer.example/keys", "keys": [5]},
    {"jwks_uri": "https://issuer.example/keys", "keys": None},
]


@pytest.mark.parametrize("answers", BROKEN, ids=repr)
async def test_an_issuer_that_does_not_say_its_keys_makes_them_unavailable_not_the_token_wrong(
    site: Site, answers: Any
) -> None:
    site.answers, clock = answers, Clock()
    keys = SigningKeys(URL, endorsing=True, clock=clock)
    with pytest.raises(KeysUnavailable):
        await keys.get("one")
    site.answers = None
    clock.now += RETRY + 0.1
    await keys.get("one")


@pytest.mark.parametrize("key_id", [None, "", "none"])
async def test_a_token_that_names_no_key_of_the_issuer_is_refused(site: Site, key_id: str | None) -> None:
    with pytest.raises(PermissionError):
        await SigningKeys(URL, endorsing=True).get(key_id)
