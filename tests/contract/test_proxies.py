"""The services can be reached through a proxy that the environment names, and only where it names one for them."""

from __future__ import annotations

import pytest

from storage import ABSENT, StorageUnavailable, Write
from tests.conftest import Connect
from tests.forward_proxy import PASSWORD, ForwardProxy, forward_proxy

WRONG = "a-secret-all-the-same"

pytestmark = pytest.mark.parametrize(
    "backend", [pytest.param("blob", marks=pytest.mark.blob), pytest.param("cosmos", marks=pytest.mark.cosmos)]
)


def name(proxy: ForwardProxy, monkeypatch: pytest.MonkeyPatch, password: str = PASSWORD, but_for: str = "") -> None:
    for variable in ("HTTP_PROXY", "HTTPS_PROXY"):
        for spelled in (variable, variable.lower()):
            monkeypatch.setenv(spelled, proxy.address(password))
    for spelled in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(spelled, but_for)


async def test_a_storage_is_reached_through_the_environments_proxy(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with forward_proxy() as proxy:
        name(proxy, monkeypatch)
        async with connect() as storage:
            for n in range(3):
                await storage.save({f"k{n}": Write({"n": n}, ABSENT)})
            assert len(await storage.load(["k0", "k1", "k2"])) == 3
        assert proxy.taken
        assert not proxy.refused


async def test_a_storage_that_no_proxy_is_for_is_reached_directly(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with forward_proxy() as proxy:
        name(proxy, monkeypatch, but_for="127.0.0.1,localhost")
        async with connect() as storage:
            await storage.save({"k": Write({}, ABSENT)})
        assert not proxy.taken


async def test_a_proxy_that_refuses_the_password_is_an_error_without_it(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with forward_proxy() as proxy:
        name(proxy, monkeypatch, WRONG)
        with pytest.raises(StorageUnavailable) as refused:
            async with connect():
                pass
        assert proxy.refused
        assert WRONG not in f"{refused.value!r} {refused.value}"
