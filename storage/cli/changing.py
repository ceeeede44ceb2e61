"""The commands that change documents, or say which have to be changed: `delete`, `upgrade`, `check`."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable
from typing import Final

import click

from storage.base import StateStorage
from storage.cli import report
from storage.cli.erase import Erased, erase
from storage.cli.erase import delete as delete_one
from storage.cli.models import register
from storage.cli.output import as_json, count, parsed, progress, say, spelled
from storage.cli.reading import read
from storage.cli.session import FOUND_PROBLEMS, on_storage, person_named
from storage.cli.upgrade import State, Tally
from storage.cli.upgrade import check as check_all
from storage.cli.upgrade import upgrade as upgrade_all

_PREFIX: Final = click.argument("prefix", metavar="[PREFIX]", type=parsed, default="")
_JSON: Final = click.option("--json", "as_data", is_flag=True, help="JSON on stdout, for another program.")
_Work = Callable[[StateStorage, AsyncIterable[str], Callable[[], None]], Awaitable[Tally]]
_MODELS: Final = click.option(
    "--models",
    multiple=True,
    metavar="NAME",
    default=("data_models",),
    show_default="data_models",
    help="Where the classes of the state are: a module, for all its classes, or module:Class. Repeatable.",
)


@click.command()
@click.argument("keys", metavar="[KEY]...", nargs=-1, type=parsed)
@click.option("--user", metavar="USER", help="Everything kept about USER: CHANNEL/users/ID, or an ID.")
@click.option("--clear-replies", is_flag=True, help="With --user: clear the replies kept in shared conversations too.")
@click.option("--execute", is_flag=True, help="Do it. Without it nothing is changed.")
@_JSON
def delete(keys: tuple[str, ...], user: str | None, clear_replies: bool, execute: bool, as_data: bool) -> int:
    """Delete documents, or everything kept about a user. Only shows what it would do, unless told to --execute.

    Of USER go their own documents and conversations in which nobody else took part. Conversations with others stay, and
    those whose record of who took part is not whole; they no longer name the user.
    """
    if bool(keys) == (user is not None):
        raise click.UsageError("name either KEYs or a --user")
    if clear_replies and user is None:
        raise click.UsageError("--clear-replies goes with --user")

    async def work(storage: StateStorage) -> int:
        if user is not None:
            return await _delete_person(storage, user, clear_replies, execute, as_data)
        return await _delete_keys(storage, keys, execute, as_data)

    return on_storage(work, changes=execute)


async def _delete_person(storage: StateStorage, user: str, replies: bool, execute: bool, as_data: bool) -> int:
    with progress("read") as done:
        person, kept = await person_named(storage, user, done)
    if not kept.found:
        if execute:
            await storage.purge()
        if as_data:
            click.echo(as_json(report.kept_json(person, kept) | {"executed": execute}))
        else:
            say(*report.nothing_is_kept(person, kept), err=True)
        return FOUND_PROBLEMS
    lines = list(report.what_is_kept(person, kept))
    data = report.kept_json(person, kept) | {"executed": execute}
    if execute:
        with progress("erasing, read") as done:
            erased = await erase(storage, person, kept, replies=replies, done=done)
        await storage.purge()
        kept = erased.left
        lines = [lines[0], *report.what_was_done(erased)]
        data |= report.erased_json(erased)
    else:
        lines += report.what_would_go(kept, replies=replies)
    click.echo(as_json(data) if as_data else "\n".join(lines))
    return FOUND_PROBLEMS if not kept.is_all or (execute and kept.found) else 0


async def _delete_keys(storage: StateStorage, keys: tuple[str, ...], execute: bool, as_data: bool) -> int:
    found = await read(storage, list(dict.fromkeys(keys)))
    missing = [key for key in dict.fromkeys(keys) if key not in {each.key for each in found}]
    erased = Erased()
    left = [each.key for each in found if execute and not await delete_one(storage, each, erased)]
    if execute:
        await storage.purge()
    data = {"documents": [each.key for each in found], "missing": missing, "executed": execute}
    if as_data:
        click.echo(as_json(data | {"deleted": erased.deleted, "changed": sorted(erased.changed), "left": left}))
    else:
        for each in found:
            click.echo(f"{'deleted' if each.key in erased.deleted else 'to delete'}  {spelled(each.key)}")
        if found and not execute:
            click.echo(f"{count(len(found), 'document')}. Nothing was changed: add --execute to do it.")
    for key in missing:
        click.echo(f"no document {spelled(key)}", err=True)
    for key in left:
        click.echo(f"{spelled(key)} is changed by turns all the time; run it again", err=True)
    return FOUND_PROBLEMS if missing or left else 0


@click.command()
@_PREFIX
@_MODELS
@_JSON
def check(prefix: str, models: tuple[str, ...], as_data: bool) -> int:
    """Say which documents cannot be read as the bot would, where and why, and which are of an older version."""
    return _over_all("checked", check_all, prefix, models, as_data)


@click.command()
@_PREFIX
@_MODELS
@click.option("--dry-run", is_flag=True, help="Only list what would be written.")
@_JSON
def upgrade(prefix: str, models: tuple[str, ...], dry_run: bool, as_data: bool) -> int:
    """Write documents of older versions as the models are now. What cannot be read is listed and left as it is.

    It may be stopped and run again.
    """
    return _over_all("read", check_all if dry_run else upgrade_all, prefix, models, as_data)


def _over_all(label: str, what: _Work, prefix: str, models: tuple[str, ...], as_data: bool) -> int:
    async def work(storage: StateStorage) -> int:
        try:
            register(storage.codec, models)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--models") from error
        with progress(label) as done:
            tally = await what(storage, storage.keys(prefix), done)
        tally.states[State.OVER] = storage.skipped.over
        click.echo(as_json(_tally_json(tally)) if as_data else "\n".join(_tally_lines(tally)))
        return FOUND_PROBLEMS if tally.bad else 0

    return on_storage(work, changes=what is upgrade_all)


def _tally_lines(tally: Tally) -> list[str]:
    words = {
        State.UPGRADED: "brought up to date",
        State.CURRENT: "up to date",
        State.OLD: "of an older version",
        State.BUSY: "of an older version, waiting for the bot: a turn has left an undo note in it",
        State.AMBIGUOUS: "can mean two things, by STOCK_JSONPICKLE",
        State.BAD: "cannot be read",
        State.OVER: "over, by EXPIRE_*_DAYS: absent for the bot",
    }
    lines = [str(error) for error in tally.bad]
    lines += [f"waiting: {spelled(key)}" for key in tally.busy]
    lines += [f"old: {spelled(key)}" for key in tally.old]
    lines += [f"{tally.states[state]:>9,}  {text}" for state, text in words.items() if tally.states[state]]
    return lines or ["no documents"]


def _tally_json(tally: Tally) -> dict[str, object]:
    bad = [{"key": error.key, "where": error.where, "reason": str(error)} for error in tally.bad]
    return {state.value: tally.states[state] for state in State} | {
        "unreadable": bad,
        "waiting": tally.busy,
        "older": tally.old,
    }
