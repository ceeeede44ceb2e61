"""A service whose name does not resolve, or whose certificate is not its own: refused, and fine again afterwards."""

from __future__ import annotations

import gc
import socket
import ssl
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import TCPConnector
from azure.storage.blob.aio import BlobServiceClient

import app as state_bot
from config import Settings
from storage import StateStorage, StorageUnavailable, create_storage
from storage.blob import BlobStorage
from tests.faults.certificates import certificate
from tests.faults.proxy import Proxy
from tests.faults.results import CELLS, Cell
from tests.faults.rig import BOTH, STORAGE_SECONDS, Rig, Talk, rig, service_of, through

REMOTE = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("blob", "cosmos")]
on_services = pytest.mark.parametrize("service", REMOTE)
NAME = "localhost"


@pytest.fixture
def settings(service: str, request: pytest.FixtureRequest) -> Settings:
    """A store of the test's own on the service."""
    found: Settings = request.getfixturevalue(f"{service}_settings")
    return found


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> str:
    """A name that is not this machine's, but leads to it."""
    name, resolve = "account.example", socket.getaddrinfo

    def to_here(host: Any, *rest: Any, **options: Any) -> Any:
        return resolve("127.0.0.1" if host == name else host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", to_here)
    return name


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


def verifying(settings: Settings, trusted: Path) -> StateStorage:
    """The storage of the settings, which trusts one certificate.

    On Blob Storage only: of Cosmos DB's emulator, on a loopback address, no certificate is verified.
    """
    service = BlobServiceClient.from_connection_string(
        settings.blob_connection_string, connection_verify=str(trusted), retry_total=0
    )
    return BlobStorage(service, settings.blob_container, create=True, timeout=STORAGE_SECONDS)


@contextmanager
def presenting(tls: ssl.SSLContext, wrong: Path, right: Path, running: Rig) -> Iterator[None]:
    """Let the backend present another certificate in the block."""
    tls.load_cert_chain(wrong)
    running.remote.drop_connections()
    try:
        yield
    finally:
        tls.load_cert_chain(right)


@pytest.mark.blob
@pytest.mark.parametrize("wrong", [{"address": "192.0.2.1"}, {"days": -1}, {}], ids=["name", "expired", "issuer"])
async def test_a_backend_that_presents_a_wrong_certificate_for_a_while(
    blob_settings: Settings, wrong: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    right, other = certificate(tmp_path, "right"), certificate(tmp_path, "wrong", **wrong)
    trusted = tmp_path / "trusted.pem"
    # The issuer is trusted but in the last case: then it is the name or the date that is wrong.
    trusted.write_bytes(right.read_bytes() + (other.read_bytes() if wrong else b""))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(right)
    monkeypatch.setattr(state_bot, "create_storage", lambda given: verifying(given, trusted))
    async with rig(blob_settings, monkeypatch, tls) as running:
        await outlive(running.talk(), presenting(tls, other, right, running), "certificate", 503)


@on_services
async def test_a_backend_with_a_certificate_that_nobody_vouches_for_is_told_nothing(
    settings: Settings, elsewhere: str, tmp_path: Path
) -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate(tmp_path, "of-nobody"))
    async with Proxy.before(service_of(settings) or "", tls) as impostor:
        there = through(settings, impostor.url.replace("127.0.0.1", elsewhere))
        async with aclosing(create_storage(there)) as storage:
            with pytest.raises(StorageUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
                await storage.open()
        assert impostor.seen == []


@pytest.mark.memory
async def test_a_channel_with_a_certificate_that_nobody_vouches_for_is_told_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate(tmp_path, "of-nobody"))
    memory = Settings(state_storage="memory")
    async with rig(memory, monkeypatch) as running, Proxy.before(running.to_channel.url, tls) as impostor:
        talk = running.talk()
        message = {**talk.message(BOTH), "serviceUrl": impostor.url}
        assert (await talk.deliver(message)).status == 502
        assert impostor.seen == []
