"""Talk to the bot in a terminal.

To run: `make run` in one terminal and `make chat` in another, or `python -m demos.chat` with requirements.txt and
prompt_toolkit installed (a pipe does without the latter). Enter sends, Alt+Enter begins a new line, the arrow up brings
back what was said.

    /restart    a new process takes the place of the bot's, as after kill -9
    /resend     deliver the last message again, as a channel does that got no answer
    /state      the documents, as they are stored
    /new        the same user in a new conversation
    /quit       or Ctrl-D

You should see the bot's answers; after /restart and /resend it knows your name and counts nothing twice. Lines from a
pipe work as well: `printf 'hi\\nAda\\n/restart\\nDo you know me?\\n' | python -m demos.chat`.
"""

from __future__ import annotations

import argparse
import asyncio
import getpass
import json
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, AsyncExitStack, nullcontext, suppress
from typing import Final

from aiohttp import ClientSession

from demos.line_client import BotAwayError, LineClient, RefusedError

LOOK_EVERY: Final = 1.0  # seconds, for what others say in the conversation
CANNOT_START: Final = 2  # exit code
COMMANDS: Final = "/restart /resend /state /new /quit"


class CannotTypeError(Exception):
    """Raised when what reads a terminal is not installed; the message says how to install it."""


class Console:
    """What is typed goes to the bot or is a command; what is said is printed."""

    def __init__(self, line: LineClient) -> None:
        self._line = line
        self._showing = asyncio.Lock()
        self._last: str | None = None

    async def handle(self, text: str) -> None:
        """Say `text`, or do what it orders, and print what comes of it."""
        try:
            await self._do(text)
            await self.show_new()
        except (BotAwayError, RefusedError) as error:
            print(f"-- {printable(str(error))}")

    async def show_new(self) -> None:
        """Print what has been said since the last time, one's own messages left out."""
        async with self._showing:
            for activity in await self._line.new_activities():
                sender = activity["from"]
                if sender["id"] != self._line.user:
                    name = "bot" if sender.get("role") == "bot" else sender.get("name") or sender["id"]
                    print(f"{printable(name)}: {printable(activity.get('text') or '(' + activity['type'] + ')')}")

    async def _do(self, text: str) -> None:
        if text == "/restart":
            print(f"-- a new process: {await self._line.restart()}")
        elif text == "/resend":
            if self._last is None:
                print("-- nothing was said yet")
            else:
                await self._line.redeliver(self._last)
                print("-- delivered again")
        elif text == "/state":
            for document in await self._line.state():
                print(printable(json.dumps(document, indent=2, ensure_ascii=False)))
        elif text == "/new":
            await self._line.begin()
            self._last = None
        elif text.startswith("/"):
            print(f"-- commands: {COMMANDS}")
        else:
            self._last = await self._line.say(text)


def printable(text: str) -> str:
    """`text` without what a terminal would take for an order: a name may have been given by anybody."""
    return "".join(char if char.isprintable() or char in "\n\t" else "\N{REPLACEMENT CHARACTER}" for char in text)


async def piped() -> AsyncIterator[str]:
    """The lines of standard input, each shown as if it had been typed."""
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(f"you: {line.rstrip()}")
        yield line


def lines() -> AbstractContextManager[AsyncIterator[str]]:
    """Give what the user says, typed or piped. Raises `CannotTypeError`."""
    if not sys.stdin.isatty():
        return nullcontext(piped())
    try:
        from demos.prompt import prompt  # of the packages for tests and local work: a pipe does without
    except ModuleNotFoundError as error:
        raise CannotTypeError(
            f"typing needs {error.name}: `pip install prompt_toolkit`, or `make chat`, or pipe the lines in"
        ) from error
    return prompt()


async def look(console: Console) -> None:
    """Print what others say, now and then; while the bot is away there is nothing."""
    while True:
        with suppress(BotAwayError, RefusedError):
            await console.show_new()
        await asyncio.sleep(LOOK_EVERY)


async def talk(url: str, user: str) -> None:
    """Talk until the end of input. Raises `BotAwayError`, `RefusedError` and `CannotTypeError` where none can begin."""
    reading = lines()
    async with AsyncExitStack() as stack:
        line = LineClient(await stack.enter_async_context(ClientSession()), url, user)
        await line.begin()
        console = Console(line)
        await console.show_new()
        said = stack.enter_context(reading)
        if sys.stdin.isatty():
            stack.callback(asyncio.create_task(look(console)).cancel)
        async for text in said:
            if text.strip() == "/quit":
                return
            if text.strip():
                await console.handle(text.strip())


def user_id(text: str) -> str:
    """Return the text, an argument. Raises `argparse.ArgumentTypeError` for a blank one."""
    if not text.strip():
        raise argparse.ArgumentTypeError("expected an id: the bot keeps nothing of nobody")
    return text


def main() -> int:
    """Run the console and return its exit code."""
    parser = argparse.ArgumentParser(description="Talk to the bot in a terminal.", epilog=f"Commands: {COMMANDS}")
    parser.add_argument("--url", default="http://localhost:3978", help="where the bot listens (%(default)s)")
    me = f"console-{getpass.getuser()}"
    parser.add_argument("--user", type=user_id, default=me, help="who you are to the bot (%(default)s)")
    given = parser.parse_args()
    try:
        asyncio.run(talk(given.url.rstrip("/"), given.user))
    except (BotAwayError, CannotTypeError, RefusedError) as error:
        print(f"chat: {error}", file=sys.stderr)
        return CANNOT_START
    except KeyboardInterrupt:
        print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
