"""The storage of the bot's settings, opened for a command; and how a command fails: with one line."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final, TypeVar

import click

from config import ConfigError, Settings, environment
from storage.base import StateStorage
from storage.cli.output import count
from storage.cli.person import Kept, Person, look_up
from storage.cosmos_account import SPELLING
from storage.errors import StorageError
from storage.factory import create_storage

FOUND_PROBLEMS: Final = 1  # exit code: it ran, and not all is well
CANNOT_RUN: Final = 2  # exit code: wrong settings or options, or a storage that cannot be opened
OPEN_SECONDS: Final = 10.0

T = TypeVar("T")


class Problem(click.ClickException):
    """Raised to end a command with one line."""

    exit_code = FOUND_PROBLEMS


class CannotRunError(Problem):
    """Raised to end a command that has not begun, with one line."""

    exit_code = CANNOT_RUN


def on_storage(work: Callable[[StateStorage], Awaitable[T]], *, changes: bool = False) -> T:
    """Run `work` on the storage that the environment names, which has to be there already.

    Unless it `changes` something, what is over stays in the storage: the environment may say wrongly what is.

    Raises `CannotRunError` for settings that do not work or a storage that cannot be opened, `Problem` for one that
    fails later; also once `work` is done, where a listing has met items that these settings do not find.
    """
    logging.getLogger("azure").setLevel(logging.CRITICAL)  # it logs what is raised anyway
    try:
        return asyncio.run(_run(_settings(), work, changes))
    except StorageError as error:
        raise Problem(f"{error}; what was done is done, and running it again goes on") from error


async def _run(settings: Settings, work: Callable[[StateStorage], Awaitable[T]], changes: bool) -> T:
    async with AsyncExitStack() as stack:
        try:
            storage = create_storage(settings)
            storage.only_looks = not changes
            storage.stock_jsonpickle = settings.stock_jsonpickle  # unset: here a person can be asked
            async with asyncio.timeout(OPEN_SECONDS):
                await stack.enter_async_context(storage)
        except ValueError as error:  # its text may hold a secret: an SDK repeats what it cannot parse
            raise CannotRunError(f"STATE_STORAGE={settings.state_storage}: its SDK cannot use the settings") from error
        except TimeoutError as error:
            raise CannotRunError(f"{storage} did not answer within {OPEN_SECONDS:.0f} s") from error
        except StorageError as error:
            raise CannotRunError(f"STATE_STORAGE={settings.state_storage}: {error}") from error
        try:
            done = await work(storage)
        except Problem as problem:
            if type(problem) is Problem and storage.skipped.misnamed:
                raise Problem(f"{problem.message}; {_misnamed(storage)}") from problem
            raise
        if storage.skipped.misnamed:
            raise Problem(_misnamed(storage))
        return done


def _misnamed(storage: StateStorage) -> str:
    number = storage.skipped.misnamed
    return f"{count(number, 'item')} {'is' if number == 1 else 'are'} spelled otherwise: {SPELLING}"


def _settings() -> Settings:
    try:
        settings = dataclasses.replace(Settings.from_env(environment()), storage_create=False)
    except ConfigError as error:
        raise CannotRunError(str(error)) from error
    if settings.state_storage == "memory":
        raise CannotRunError("STATE_STORAGE=memory: that state is in the bot's process, and nobody else sees it")
    if settings.state_storage == "sqlite" and not Path(settings.sqlite_path).is_file():
        raise CannotRunError(f"SQLITE_PATH: there is no file {settings.sqlite_path}")
    return settings


async def person_named(storage: StateStorage, name: str, done: Callable[[], None]) -> tuple[Person, Kept]:
    """Return whom `name` means and what is kept about them. Raises `CannotRunError` where it is several."""
    found = await look_up(storage, name, done)
    if len(found) > 1:
        raise CannotRunError(f"several channels know that id, say which: {', '.join(map(str, found))}")
    return next(iter(found.items()))
