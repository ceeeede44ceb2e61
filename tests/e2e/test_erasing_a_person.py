"""`python -m storage` beside a bot that runs, on every backend that survives its process."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

import pytest

from infra.local.channel import Channel
from tests.e2e.conftest import STRICT, Environment, Start

ASK: Final = "What is your name?"
ROOT: Final = Path(__file__).parents[2]

Storage = Callable[..., Coroutine[Any, Any, tuple[int, str]]]


@pytest.fixture
def storage(durable_environment: Environment, tmp_path: Path) -> Storage:
    """Runs `python -m storage` with the bot's settings; returns the exit code and what it printed."""

    async def run(*arguments: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *(*STRICT, "-m", "storage", *arguments),
            env=durable_environment | {"PYTHONPATH": str(ROOT)},
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        assert (process.returncode == 0) == (err == b""), err
        assert process.returncode is not None
        return process.returncode, out.decode()

    return run


async def test_a_person_is_found_exported_and_erased_while_the_bot_runs(
    durable_environment: Environment, start: Start, channel: Channel, storage: Storage
) -> None:
    own, group = channel.conversation(), channel.conversation()
    async with start(durable_environment) as bot:
        for conversation, user, name in (own, "u1", "Ada"), (group, "u2", "Grace"):
            await conversation.say("Hi", user, bot.url)
            await conversation.say(name, user, bot.url)
        await group.say("hello", "u1", bot.url)
        keys = [f"emulator/conversations/{own.id}", f"emulator/conversations/{group.id}", "emulator/users/u1"]

        assert sorted((await storage("list", "emulator/"))[1].split()) == sorted([*keys, "emulator/users/u2"])
        assert '"name": "Ada"' in (await storage("show", "emulator/users/u1"))[1]
        assert (await storage("check", "emulator/"))[1].split() == ["4", "up", "to", "date"]
        exported = json.loads((await storage("export", "--user", "u1"))[1])
        assert {item["key"] for item in exported} == set(keys)
        assert "Grace" not in str(exported)

        assert "Nothing was changed" in (await storage("delete", "--user", "u1"))[1]
        code, told = await storage("delete", "--user", "u1", "--clear-replies", "--execute")
        assert (code, "2 documents deleted" in told) == (0, True)

        assert sorted((await storage("list", "emulator/"))[1].split()) == sorted([keys[1], "emulator/users/u2"])
        left = (await storage("export"))[1]
        assert "Ada" not in left
        assert "u1" not in {item for key in json.loads(left) for item in key["key"].split("/")}
        assert '"emulator/users/u1"' not in left

        assert await own.say("Hi again", "u1", bot.url) == [ASK]
        assert (await group.say("still me", "u2", bot.url))[0] == "Grace sent: still me"


async def test_a_person_who_keeps_talking_is_told_apart_from_what_was_erased(
    durable_environment: Environment, start: Start, channel: Channel, storage: Storage
) -> None:
    async with start(durable_environment) as bot:
        conversation, other = channel.conversation(), channel.conversation()
        await other.say("Hi", "u2", bot.url)
        await conversation.say("Hi", "u1", bot.url)
        await conversation.say("Ada", "u1", bot.url)
        ended = asyncio.Event()

        async def talk() -> list[str]:
            said: list[str] = []
            while not ended.is_set():
                said += await conversation.say("Bob", "u1", bot.url)
            return said

        talking = asyncio.create_task(talk())
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *(*STRICT, "-m", "storage", "delete", "--user", "u1", "--execute", "--json"),
            env=durable_environment | {"PYTHONPATH": str(ROOT)},
            stdout=asyncio.subprocess.PIPE,
        )
        told = json.loads((await process.communicate())[0])
        ended.set()
        said = await talking

    assert "emulator/users/u1" in told["deleted"]
    assert process.returncode == (1 if told["left"] else 0)
    assert ASK in said or told["left"] == []  # the bot forgot the name, or the person had not spoken again
    assert json.loads((await storage("show", "--json", "emulator/users/u2"))[1])["key"] == "emulator/users/u2"
