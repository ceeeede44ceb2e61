"""What a service's failures look like: `StorageUnavailable`, soon, with the reason; never an absent document.

The services here answer every request alike: an Azurite or a Cosmos server cannot be made to fail so.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from azure.cosmos.aio import CosmosClient

from config import Settings
from infra.local.emulators import AZURITE_ACCOUNT, AZURITE_KEY
from storage import ABSENT, ANY, StateStorage, StorageUnavailable, Write, create_storage
from storage.blob import BlobStorage
from storage.cosmos import CosmosStorage

SECONDS = 12.0  # a channel gives the whole turn 15
BACKENDS = [pytest.param(BlobStorage, id="blob"), pytest.param(CosmosStorage, id="cosmos")]

Remote = type[BlobStorage] | type[CosmosStorage]
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def storage_at(url: str, backend: Remote, key: str = AZURITE_KEY) -> StateStorage:
    """A storage of the service at `url`, not opened."""
    if issubclass(backend, CosmosStorage):
        return backend.from_key(url, key, "database", "container")
    account = f"AccountName={AZURITE_ACCOUNT};AccountKey={key};BlobEndpoint={url.rstrip('/')}/{AZURITE_ACCOUNT}"
    return backend.from_connection_string(f"DefaultEndpointsProtocol=http;{account}", "container")


@asynccontextmanager
async def storage_on(backend: Remote, answer: Answer) -> AsyncIterator[StateStorage]:
    """A storage, not opened, of a service that gives `answer` to every request."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server, aclosing(storage_at(str(server.make_url("/")), backend)) as storage:
        yield storage


async def check_that_no_failure_reads_as_absent(backend: Remote, status: int) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=status, text="no", content_type="text/plain", headers={"x-ms-retry-after-ms": "10"})

    async with storage_on(backend, answer) as storage, asyncio.timeout(SECONDS):
        with pytest.raises(StorageUnavailable, match=str(storage)):
            await storage.load(["k"])


@pytest.mark.parametrize("backend", BACKENDS)
class TestFailingServices:
    @pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503])
    async def test_no_failure_reads_as_absent(self, backend: Remote, status: int) -> None:
        await check_that_no_failure_reads_as_absent(backend, status)

    @pytest.mark.parametrize("content_type", ["text/html", "application/json", "application/xml"])
    @pytest.mark.parametrize("status", [200, 404, 412, 503])
    async def test_an_answer_that_is_not_the_services_raises(
        self, backend: Remote, status: int, content_type: str
    ) -> None:
        async def answer(_request: web.Request) -> web.Response:
            return web.Response(status=status, text='{"error": "<html>proxy"}', content_type=content_type)

        async with storage_on(backend, answer) as storage, asyncio.timeout(SECONDS):
            with pytest.raises(StorageUnavailable):
                await storage.open()

    async def test_every_operation_says_that_the_service_is_gone(self, backend: Remote) -> None:
        async def answer(_request: web.Request) -> web.Response:
            return web.Response(status=403)

        async with storage_on(backend, answer) as storage:
            for write in (Write({}, ABSENT), Write({}, ANY), Write({}, '"1"'), Write(None, ANY), Write(None, '"1"')):
                with pytest.raises(StorageUnavailable):
                    await storage.save({"k": write})
            with pytest.raises(StorageUnavailable):
                await storage.ping()

    async def test_a_port_where_nobody_listens_is_named_and_nothing_is_left_open(self, backend: Remote) -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            port = closed.getsockname()[1]

        async with asyncio.timeout(SECONDS):
            with pytest.raises(StorageUnavailable, match=str(port)):
                await storage_at(f"http://127.0.0.1:{port}", backend).__aenter__()

    async def test_a_key_that_is_none_is_unavailable_not_a_programming_error(self, backend: Remote) -> None:
        with pytest.raises(StorageUnavailable, match="container"):
            await storage_at("http://127.0.0.1:9", backend, key="not a key").__aenter__()

    async def test_a_request_may_be_cancelled_and_the_storage_still_closes(self, backend: Remote) -> None:
        arrived, released = asyncio.Event(), asyncio.Event()

        async def answer(_request: web.Request) -> web.Response:
            arrived.set()
            await released.wait()
            return web.Response()

        async with storage_on(backend, answer) as storage:
            loading = asyncio.create_task(storage.load(["k"]))
            await arrived.wait()
            loading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await loading
            released.set()


async def test_a_service_that_hangs_is_given_up_before_the_channel_gives_up() -> None:
    async def load(backend: Remote) -> None:
        released = asyncio.Event()

        async def answer(_request: web.Request) -> web.Response:
            await released.wait()
            return web.Response()

        async with storage_on(backend, answer) as storage:
            try:
                async with asyncio.timeout(SECONDS):
                    with pytest.raises(StorageUnavailable, match="no answer within"):
                        await storage.load(["k"])
            finally:
                released.set()

    await asyncio.gather(load(BlobStorage), load(CosmosStorage))


async def test_closing_cancels_nothing_that_the_cosmos_client_asks_in_the_background() -> None:
    asked, released = asyncio.Event(), asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        if request.path != "/":
            return web.json_response({"code": "NotFound"}, status=404)
        if asked.is_set():
            await released.wait()
        asked.set()
        location = {"name": "here", "databaseAccountEndpoint": str(request.url)}
        return web.json_response({"writableLocations": [location], "readableLocations": [location]})

    async with storage_on(CosmosStorage, answer) as storage:
        before = asyncio.all_tasks()
        assert await storage.load(["k"]) == {}
        background = {task for task in asyncio.all_tasks() - before if "azure" in repr(task)}  # not the server's
        closing = asyncio.create_task(storage.aclose())
        await asyncio.sleep(0)  # it has begun
        released.set()
        await closing
        assert not any(task.cancelled() for task in background)


async def test_closing_that_is_cancelled_while_cosmos_is_asked_in_the_background_closes_all_the_same() -> None:
    class Identity:
        closed = False

        async def close(self) -> None:
            self.closed = True

    client, identity = CosmosClient("http://localhost", AZURITE_KEY), Identity()
    endpoints: Any = client.client_connection._global_endpoint_manager
    endpoints.refresh_task = asking = asyncio.create_task(asyncio.Event().wait())  # as later than the pinned have it
    closing = asyncio.create_task(CosmosStorage(client, "database", "container", credential=identity).aclose())
    await asyncio.sleep(0)  # it waits for what is asked
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert identity.closed
    asking.cancel()


@pytest.mark.blob
class TestMissingBlobContainer:
    async def test_open_names_it_and_says_what_to_do(self, blob_settings: Settings) -> None:
        storage = create_storage(replace(blob_settings, storage_create=False))

        with pytest.raises(StorageUnavailable, match=f"{blob_settings.blob_container}.*STORAGE_CREATE"):
            await storage.__aenter__()

    async def test_a_container_lost_meanwhile_is_no_absent_document(self, blob_settings: Settings) -> None:
        async with aclosing(create_storage(replace(blob_settings, storage_create=False))) as storage:
            with pytest.raises(StorageUnavailable):
                await storage.load(["k"])
            for write in (Write({}, ABSENT), Write({}, '"1"'), Write(None, ANY)):
                with pytest.raises(StorageUnavailable):
                    await storage.save({"k": write})

    async def test_a_wrong_key_is_refused_by_name(self, blob_settings: Settings) -> None:
        connection = blob_settings.blob_connection_string
        wrong = ";".join("AccountKey=AAAA" if part.startswith("AccountKey") else part for part in connection.split(";"))

        with pytest.raises(StorageUnavailable, match="credentials are refused"):
            await create_storage(replace(blob_settings, blob_connection_string=wrong)).__aenter__()


@pytest.mark.cosmos
class TestMissingCosmosContainer:
    async def test_open_names_it_and_says_what_to_do(self, cosmos_settings: Settings) -> None:
        storage = create_storage(replace(cosmos_settings, storage_create=False))

        with pytest.raises(StorageUnavailable, match=f"{cosmos_settings.cosmos_database}.*STORAGE_CREATE"):
            await storage.__aenter__()

    async def test_a_container_lost_meanwhile_is_no_absent_document(self, cosmos_settings: Settings) -> None:
        async with aclosing(create_storage(replace(cosmos_settings, storage_create=False))) as storage:
            with pytest.raises(StorageUnavailable):
                await storage.load(["k"])
            for write in (Write({}, ABSENT), Write({}, '"1"'), Write(None, ANY)):
                with pytest.raises(StorageUnavailable):
                    await storage.save({"k": write})
