"""The commands that look: `list` and `show`; and the entry point of all."""

from __future__ import annotations

import io
import json
import shlex
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import click

from storage.base import StateStorage
from storage.cli import report
from storage.cli.changing import check, delete, upgrade
from storage.cli.export import entry, export
from storage.cli.output import JsonArray, as_json, count, parsed, progress, say, spelled, visible
from storage.cli.reading import Found, each, read
from storage.cli.record import TURN
from storage.cli.session import FOUND_PROBLEMS, Problem, on_storage, person_named

INTERRUPTED: Final = 130  # exit code: as a shell has it, 128 and the number of SIGINT

_PREFIX: Final = click.argument("prefix", metavar="[PREFIX]", type=parsed, default="")
_JSON: Final = click.option("--json", "as_data", is_flag=True, help="JSON on stdout, for another program.")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def cli() -> None:
    """The bot's documents, on the storage that its settings (environment, .env) name. The bot may run meanwhile.

    A KEY is written as `list` shows it. Exit codes: 0 all is well, 1 something was not found, not readable or not
    done, 2 wrong options or settings, or no storage.
    """


@cli.command("list")
@_PREFIX
@click.option("--user", metavar="USER", help="What is kept about USER: CHANNEL/users/ID, or an ID.")
@click.option("--long", is_flag=True, help="Read the documents too: bytes of JSON, and the names of properties.")
@_JSON
def list_documents(prefix: str, user: str | None, long: bool, as_data: bool) -> int:
    """List the keys of all documents, or of those whose keys start with PREFIX."""
    if user is not None and (prefix or long):
        raise click.UsageError("--user goes without PREFIX and --long")
    if user is not None:
        return on_storage(lambda storage: _list_person(storage, user, as_data))
    return on_storage(lambda storage: _list(storage, prefix, long, as_data))


async def _list(storage: StateStorage, prefix: str, long: bool, as_data: bool) -> int:
    array = JsonArray(_write) if as_data else None
    number = bad = 0
    async for item in _long(storage, prefix) if long else _short(storage, prefix):
        number, bad = number + 1, bad + ("error" in item)
        if array:
            array.add(item)
        else:
            click.echo(_line(item))
    if array:
        array.end()
    elif sys.stdout.isatty():
        click.echo(f"{count(number, 'document')} in {storage}", err=True)
    return FOUND_PROBLEMS if bad else 0


async def _short(storage: StateStorage, prefix: str) -> AsyncIterator[dict[str, Any]]:
    async for key in storage.keys(prefix):
        yield {"key": key}


async def _long(storage: StateStorage, prefix: str) -> AsyncIterator[dict[str, Any]]:
    async for found in each(storage, storage.keys(prefix)):
        if found.document is None:
            yield {"key": found.key, "error": str(found.error)}
            continue
        value = found.document.value
        size = len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="surrogatepass"))
        properties = [name for name in value if name != TURN]
        yield {"key": found.key, "etag": found.document.etag, "bytes": size, "properties": properties}


def _line(item: dict[str, Any]) -> str:
    if "error" in item:
        return f"{'?':>9}  {spelled(item['key'])}  {item['error']}"
    if "bytes" not in item:
        return spelled(item["key"])
    return f"{item['bytes']:>9,}  {spelled(item['key'])}  {' '.join(map(spelled, item['properties']))}"


async def _list_person(storage: StateStorage, user: str, as_data: bool) -> int:
    with progress("read") as done:
        person, kept = await person_named(storage, user, done)
    if as_data:
        click.echo(as_json(report.kept_json(person, kept)))
    elif kept.found:
        say(*report.what_is_kept(person, kept))
    else:
        say(*report.nothing_is_kept(person, kept), err=True)
    return 0 if kept.found and kept.is_all else FOUND_PROBLEMS


@cli.command()
@click.argument("keys", metavar="KEY...", nargs=-1, required=True, type=parsed)
@click.option("--raw", is_flag=True, help="The bytes that are stored of one KEY, which need not be JSON: to mend it.")
@_JSON
def show(keys: tuple[str, ...], raw: bool, as_data: bool) -> int:
    """Show documents as they are stored. Needs to know none of their classes."""
    if raw and (as_data or len(keys) > 1):
        raise click.UsageError("--raw goes with one KEY, and without --json")
    return on_storage(lambda storage: _show_raw(storage, keys[0]) if raw else _show(storage, keys, as_data))


async def _show_raw(storage: StateStorage, key: str) -> int:
    text = await storage.text(key)
    if text is None:
        raise Problem(f"no document {spelled(key)}")
    if sys.stdout.isatty():
        click.echo(visible(text.decode(errors="backslashreplace")))
    else:
        click.echo(text, nl=False)
    return 0


async def _show(storage: StateStorage, keys: tuple[str, ...], as_data: bool) -> int:
    found = {each.key: each for each in await read(storage, list(keys))}
    for key in keys:
        if key not in found or found[key].error:
            click.echo(f"{found[key].error if key in found else f'no document {spelled(key)}'}", err=True)
        if key not in found:
            continue
        if as_data:
            click.echo(as_json(await entry(storage, found[key])))
        elif found[key].error:
            click.echo(f"its text, as it is stored: show --raw {shlex.quote(spelled(key))}", err=True)
        else:
            _show_one(found[key])
    return 0 if all(key in found and found[key].document for key in keys) else FOUND_PROBLEMS


def _show_one(found: Found) -> None:
    assert found.document is not None
    if sys.stderr.isatty():
        click.secho(f"{spelled(found.key)}  (ETag {found.document.etag})", bold=True, err=True)
    click.echo(as_json(found.document.value, indent=2))


def _write(text: str) -> None:
    click.echo(text, nl=False)


def main(run: Callable[..., Any] = cli) -> int:
    """Run the command of the process's arguments and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        return int(run(prog_name="python -m storage", standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted; what was done is done, and running it again goes on", err=True)
        return INTERRUPTED


for _command in (export, delete, upgrade, check):
    cli.add_command(_command)
