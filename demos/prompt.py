"""Lines typed at a terminal, with history and several lines in one message; what others say appears above them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress

from prompt_toolkit import PromptSession
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.patch_stdout import patch_stdout


@contextmanager
def prompt() -> Iterator[AsyncIterator[str]]:
    """Give what is typed, until Ctrl-D; within the block, what is printed leaves the prompt in its place."""
    with patch_stdout():
        yield _typed()


async def _typed() -> AsyncIterator[str]:
    keys = KeyBindings()

    @keys.add("escape", "enter")
    def _new_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    @keys.add("enter")
    def _send(event: KeyPressEvent) -> None:
        event.current_buffer.validate_and_handle()

    session: PromptSession[str] = PromptSession("you: ", multiline=True, key_bindings=keys, prompt_continuation="   | ")
    with suppress(EOFError, KeyboardInterrupt):
        while True:
            yield await session.prompt_async()
