"""The bot survives kill -9: a conversation, the stored documents, the kill, a new process that goes on.

To run: `make demo-restart`, or `python -m demos.restart` with the requirements installed.

    STATE_STORAGE=blob make demo-restart      on Azurite, which the demo starts itself
    STATE_STORAGE=cosmos make demo-restart    on the local Cosmos server, likewise

With the service's own variables set (BLOB_CONNECTION_STRING, COSMOS_ENDPOINT, ... as in .env.example, from the
environment) it runs there; SQLite's file is a temporary one unless SQLITE_PATH is set. What it stores it deletes.

You should see, after a few seconds, the bot of a second process answer "Ada sent: ..." to somebody who gave that name
to the first one, and the line "The name survived.". The exit code is 0 then, and 1 if the bot has forgotten.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from config import ConfigError, Settings
from infra.local import emulators
from infra.local.bot_process import BotDidNotStartError, BotProcess, running
from infra.local.channel import CHANNEL_ID, Channel, Conversation
from infra.local.node import EmulatorError
from storage import StateStorage, StorageError, create_storage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

NAME = "Ada"
USER = f"demo-{uuid.uuid4()}"  # nobody whom the storage knows from another run


@contextmanager
def store(folder: Path) -> Iterator[dict[str, str]]:
    """Yield the environment for the bot, with an emulator running where the storage needs one and none is given."""
    given = {name: value for name, value in os.environ.items() if value and not name.startswith("MicrosoftApp")}
    # The channel of this demo is on this machine: no other can reach the bot, and none has to sign its requests.
    given |= {"HOST": "127.0.0.1", "PORT": "0"}
    kind = given.get("STATE_STORAGE", "sqlite").lower()
    if kind == "memory":
        raise ConfigError("STATE_STORAGE=memory is gone when the process ends; expected sqlite, blob or cosmos")
    if kind == "blob" and not given.keys() & {"BLOB_CONNECTION_STRING", "BLOB_ACCOUNT_URL"}:
        with emulators.azurite() as service:
            yield given | service
    elif kind == "cosmos" and "COSMOS_ENDPOINT" not in given:
        with emulators.cosmos() as service:
            yield given | service
    else:
        yield given | {"SQLITE_PATH": os.path.abspath(given.get("SQLITE_PATH", folder / "state.db"))}


async def demonstrate(environment: Mapping[str, str], folder: Path) -> bool:
    """Play the demo with the bot in `folder`; return whether the bot still knew the name after the kill."""
    async with Channel.open() as channel:
        conversation = channel.conversation()
        keys = [f"{CHANNEL_ID}/conversations/{conversation.id}", f"{CHANNEL_ID}/users/{USER}"]
        async with running(environment, folder) as bot:
            print(f"1. A bot, process {bot.pid}: {bot.start_line}\n")
            async with documents(environment, keys) as storage:
                for text in ("Hi", NAME):
                    await say(conversation, text, bot)
                print("\n2. What is stored now:\n")
                await show(storage, keys)
                print(f"3. kill -9 {bot.pid}. It could not save or close anything.\n")
                await bot.kill()
                return await go_on(environment, folder, conversation, storage, keys)


async def go_on(
    environment: Mapping[str, str], folder: Path, conversation: Conversation, storage: StateStorage, keys: list[str]
) -> bool:
    """Continue the conversation with a new process; return whether that one knows the name."""
    text = "Do you still know me?"
    async with running(environment, folder) as bot:
        print(f"4. A new bot, process {bot.pid}: {bot.start_line}\n")
        replies = await say(conversation, text, bot)
        print("\n5. What is stored now:\n")
        await show(storage, keys)
        await bot.stop()
    return replies[:1] == [f"{NAME} sent: {text}"]


async def say(conversation: Conversation, text: str, bot: BotProcess) -> list[str]:
    """Say `text` to the bot, print both sides, and return the bot's."""
    replies = await conversation.say(text, USER, bot.url)
    print(f"   user: {text}")
    for reply in replies:
        print(f"   bot:  {reply}")
    return replies


@asynccontextmanager
async def documents(environment: Mapping[str, str], keys: list[str]) -> AsyncIterator[StateStorage]:
    """Open the bot's storage beside the bot, to look into it; in the end delete the documents at `keys`."""
    async with create_storage(replace(Settings.from_env(environment), storage_create=False)) as storage:
        try:
            yield storage
        finally:
            await storage.delete(keys)


async def show(storage: StateStorage, keys: list[str]) -> None:
    """Print the documents at `keys` with their ETags."""
    for key, document in (await storage.load(keys)).items():
        print(f"   {key}   ETag {document.etag}")
        for line in json.dumps(document.value, indent=2, ensure_ascii=False).splitlines():
            print(f"   {line}")
        print()


def main() -> int:
    """Run the demo and return its exit code."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that a stopped demo stops what it has started
    try:
        with tempfile.TemporaryDirectory() as name, store(Path(name)) as environment:
            survived = asyncio.run(demonstrate(environment, Path(name)))
    except (ConfigError, StorageError, BotDidNotStartError, EmulatorError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    print("The name survived." if survived else "The bot has forgotten the name.")
    return 0 if survived else 1


if __name__ == "__main__":
    sys.exit(main())
