"""A service whose name does not resolve, or whose certificate is not its own: refused, and fine again afterwards."""

from __future__ import annotations

import gc
import socket
import ssl
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiohttp import TCPConnector, connector

from config import Settings
from storage import StorageUnavailable, create_storage
from tests.faults.certificates import certificate
from tests.faults.proxy import Proxy
from tests.faults.results import CELLS, Cell
from tests.faults.rig import BOTH, Talk, rig, service_of, through

REMOTE = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("blob", "cosmos")]
on_services = pytest.mark.parametrize("service", REMOTE)
NAME = "localhost"
ELSEWHERE = "account.example"  # no emulator of this machine: its certificate is verified


@pytest.fixture
def settings(service: str, request: pytest.FixtureRequest) -> Settings:
    """A store of the test's own on the service."""
    found: Settings = request.getfixturevalue(f"{service}_settings")
    return found


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `ELSEWHERE`, which is not this machine's name, lead to it."""
    resolve = socket.getaddrinfo

    def to_here(host: Any, *rest: Any, **options: Any) -> Any:
        return resolve("127.0.0.1" if host == ELSEWHERE else host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", to_here)


@contextmanager
def no_name(*struck: Proxy) -> Iterator[None]:
    """Let `NAME` not resolve in the block."""
    resolve = socket.getaddrinfo

    def fail(host: Any, *rest: Any, **options: Any) -> Any:
        if host == NAME:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return resolve(host, *rest, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", fail)
        for connector in (each for each in gc.get_objects() if isinstance(each, TCPConnector)):
            connector.clear_dns_cache()  # it would keep what it knows for ten seconds
        for each in struck:
            each.drop_connections()
        yield


async def outlive(talk: Talk, fault: Any, name: str, status: int) -> None:
    """A message in the fault is refused, and acknowledged after it."""
    await talk.say(BOTH)
    with fault:
        message = talk.message(BOTH)
        assert (await talk.deliver(message)).status == status
    recovery = await talk.until_acknowledged(message)
    await talk.check()
    CELLS.append(Cell(talk.rig.backend, "any", name, False, recovery))


@on_services
async def test_a_backend_whose_name_does_not_resolve_for_a_while(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rig(settings, monkeypatch, host=NAME) as running:
        await outlive(running.talk(), no_name(running.remote), "DNS", 503)


@pytest.mark.memory
async def test_a_channel_whose_name_does_not_resolve_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    async with rig(Settings(state_storage="memory"), monkeypatch, host=NAME) as running:
        await outlive(running.talk(), no_name(running.to_channel), "DNS of the channel", 502)


class Presented(NamedTuple):
    """What a server at `ELSEWHERE` presents.

    Attributes:
        tls: the server's, with the right certificate.
        right, wrong: the certificates.
        trusted: what its clients trust: the right one, and but for the last case the issuer of the wrong one too.
    """

    tls: ssl.SSLContext
    right: Path
    wrong: Path
    trusted: Path


@pytest.fixture(params=[{"host": "other.example"}, {"days": -1}, {}], ids=["name", "expired", "issuer"])
def presented(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Presented:
    """A certificate that is wrong, and one that is right and trusted by every client here, as by the system's store."""
    right, wrong = certificate(tmp_path, "right", host=ELSEWHERE), tmp_path / "wrong"
    wrong.mkdir()
    other = certificate(wrong, "wrong", **{"host": ELSEWHERE, **request.param})
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(right.read_bytes() + (other.read_bytes() if request.param else b""))
    # aiohttp reads the system's store when it is imported.
    monkeypatch.setattr(connector, "_SSL_CONTEXT_VERIFIED", ssl.create_default_context(cafile=str(trusted)))
    return Presented(server_tls(right), right, other, trusted)


def server_tls(shown: Path) -> ssl.SSLContext:
    """A server's side, with that certificate."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(shown)
    return tls


@contextmanager
def presenting_the_wrong_one(presented: Presented, server: Proxy) -> Iterator[None]:
    """Let the server present it in the block, and be told nothing there."""
    presented.tls.load_cert_chain(presented.wrong)
    server.drop_connections()
    told = len(server.seen)
    try:
        yield
        assert len(server.seen) == told
    finally:
        presented.tls.load_cert_chain(presented.right)


@on_services
@pytest.mark.usefixtures("elsewhere")
async def test_a_backend_that_presents_a_wrong_certificate_for_a_while_is_told_nothing(
    settings: Settings, presented: Presented, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusting = replace(settings, allow_unauthenticated=True)  # the channel is elsewhere too
    async with rig(trusting, monkeypatch, presented.tls, ELSEWHERE) as running:
        wrong = presenting_the_wrong_one(presented, running.remote)
        await outlive(running.talk(), wrong, "certificate", 503)


@pytest.mark.memory
@pytest.mark.usefixtures("elsewhere")
async def test_a_channel_that_presents_a_wrong_certificate_for_a_while_is_told_nothing(
    presented: Presented, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = Settings(state_storage="memory", allow_unauthenticated=True)
    async with rig(memory, monkeypatch) as running, Proxy.before(running.to_channel.url, presented.tls) as over_tls:
        running.channel.service_url = over_tls.url.replace("127.0.0.1", ELSEWHERE)
        wrong = presenting_the_wrong_one(presented, over_tls)
        await outlive(running.talk(), wrong, "certificate of the channel", 502)


@on_services
@pytest.mark.usefixtures("elsewhere")
async def test_a_backend_with_a_certificate_that_nobody_vouches_for_stops_the_start_and_is_told_nothing(
    settings: Settings, tmp_path: Path
) -> None:
    tls = server_tls(certificate(tmp_path, "of-nobody", host=ELSEWHERE))
    async with Proxy.before(service_of(settings) or "", tls) as impostor:
        there = through(settings, impostor.url.replace("127.0.0.1", ELSEWHERE))
        async with aclosing(create_storage(there)) as storage:
            with pytest.raises(StorageUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
                await storage.open()
        assert impostor.seen == []
