"""The service's process is killed with SIGKILL in the middle of traffic, and started again."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import unused_port

from config import Settings
from infra.local import emulators
from storage import ABSENT, Write, create_storage
from tests.faults.results import CELLS, Cell
from tests.faults.rig import BOTH, ONE, Talk, rig

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for the process in /proc")
Emulator = Callable[[], AbstractContextManager[dict[str, str]]]


def pid_of(port: int) -> int:
    """The child of this process that was told to listen on `port`."""
    for task in Path("/proc/self/task").iterdir():
        for child in (task / "children").read_text().split():
            if str(port) in Path(f"/proc/{child}/cmdline").read_text().split("\0"):
                return int(child)
    raise LookupError(port)


def kill(port: int) -> None:
    os.kill(pid_of(port), signal.SIGKILL)


async def documents(settings: Settings, *keys: str) -> dict[str, Any]:
    async with create_storage(settings) as storage:
        return await storage.load(keys)


async def refused(talk: Talk, text: str) -> Any:
    """Deliver messages until one is refused, and return that one."""
    while True:
        message = talk.message(text)
        if (await talk.deliver(message)).status >= 300:
            return message


@pytest.mark.blob
async def test_azurite_killed_and_restarted_costs_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    port = unused_port()
    emulator: Emulator = partial(emulators.azurite, port, tmp_path)
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        settings = replace(Settings.from_env(stack.enter_context(emulator())), storage_create=True)
        async with rig(settings, patch) as running:
            talk = running.talk()
            await talk.say(BOTH)
            last = await talk.say(ONE)
            assert last
            await flushed(settings, talk, tmp_path)
            kill(port)
            messages = await asyncio.gather(*(refused(talk, text) for text in (ONE, BOTH)))
            stack.close()
            stack.enter_context(emulator())
            recoveries = [await talk.until_acknowledged(message) for message in messages]
            await talk.check()
    CELLS.extend(Cell("blob", "any", "killed", False, recovery) for recovery in recoveries)


async def flushed(settings: Settings, talk: Talk, folder: Path) -> None:
    """Wait until Azurite has written its table of blobs, which it does every few seconds and not when it is killed."""
    key = f"emulator/conversations/{talk.conversation.id}"
    etag = (await documents(settings, key))[key].etag.strip('"')
    async with asyncio.timeout(30):
        while etag not in (folder / "__azurite_db_blob__.json").read_text():  # noqa: ASYNC110 - a file of Azurite's
            await asyncio.sleep(0.1)


@pytest.mark.cosmos
async def test_a_cosmos_server_that_comes_back_empty_is_no_crowd_of_new_users() -> None:
    """The server keeps nothing: until its items are put back, as from a backup, every message is refused."""
    port = unused_port()
    emulator: Emulator = partial(emulators.cosmos, port)
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        settings = replace(Settings.from_env(stack.enter_context(emulator())), storage_create=True)
        async with rig(settings, patch) as running:
            talk = running.talk()
            for text in BOTH, ONE:
                await talk.say(text)
            keys = [f"emulator/conversations/{talk.conversation.id}", f"emulator/users/{talk.user}"]
            kept = await documents(settings, *keys)
            kill(port)
            message = await refused(talk, BOTH)
            stack.close()
            stack.enter_context(emulator())
            assert (await talk.deliver(message)).status == 503
            async with create_storage(settings) as storage:
                await storage.save({key: Write(document.value, ABSENT) for key, document in kept.items()})
            recovery = await talk.until_acknowledged(message)
            await talk.check()
    CELLS.append(Cell("cosmos", "any", "killed", False, recovery))
