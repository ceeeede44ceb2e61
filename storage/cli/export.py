"""`export`: documents as one JSON file, or a line each, for a backup or for the person whom they are about."""

from __future__ import annotations

import base64
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import click

from storage.base import StateStorage
from storage.cli import report
from storage.cli.output import JsonArray, as_json, count, parsed, progress, say, spelled
from storage.cli.person import Kept
from storage.cli.reading import Found, each
from storage.cli.session import FOUND_PROBLEMS, CannotRunError, on_storage, person_named


@click.command()
@click.argument("keys", metavar="[KEY]...", nargs=-1, type=parsed)
@click.option("--user", metavar="USER", help="What is kept about USER: CHANNEL/users/ID, or an ID.")
@click.option("--prefix", metavar="PREFIX", type=parsed, default="", help="Only documents whose keys start so.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="A new file, for its owner only. [stdout]")
@click.option("--json", is_flag=True, expose_value=False, help="As for the other commands; it is JSON anyway.")
@click.option("--lines", is_flag=True, help="A line of JSON for each document, instead of one array.")
def export(keys: tuple[str, ...], user: str | None, prefix: str, output: Path | None, lines: bool) -> int:
    """Write documents, all by default, as JSON: key, ETag, value.

    Of USER it writes what is theirs; of conversations with others only the keys and with how many they are shared.
    """
    if bool(keys) + (user is not None) + bool(prefix) > 1:
        raise click.UsageError("KEY, --user and --prefix exclude each other")

    async def work(storage: StateStorage) -> int:
        if user is None:
            return await _export(_of_keys(storage, keys, prefix), output, lines)
        person, kept = await person_named(storage, user, lambda: None)
        if not kept.found:
            say(*report.nothing_is_kept(person, kept), err=True)
            return FOUND_PROBLEMS
        code = await _export(_of_person(storage, kept), output, lines)
        say(*report.what_nobody_knows(kept), err=True)
        return code if kept.is_all else FOUND_PROBLEMS

    return on_storage(work)


async def _export(items: AsyncIterator[dict[str, Any]], output: Path | None, lines: bool) -> int:
    number = bad = 0
    try:
        with writing(output, lines=lines) as writer, progress("exported", quiet=sys.stdout.isatty()) as done:
            async for item in items:
                number, bad = number + 1, bad + ("error" in item)
                writer.add(item)
                done()
                if "error" in item:
                    click.echo(item["error"], err=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise CannotRunError(f"{output or 'stdout'} cannot be written: {error.strerror}") from error
    if output:
        click.echo(f"{count(number, 'document')} in {output}", err=True)
    return FOUND_PROBLEMS if bad else 0


async def _of_keys(storage: StateStorage, keys: tuple[str, ...], prefix: str) -> AsyncIterator[dict[str, Any]]:
    missing = dict.fromkeys(keys)
    async for found in each(storage, _given(keys) if keys else storage.keys(prefix)):
        missing.pop(found.key, None)
        yield await entry(storage, found)
    for key in missing:
        yield {"key": key, "error": f"no document {spelled(key)}"}


async def _given(keys: Iterable[str]) -> AsyncIterator[str]:
    for key in keys:
        yield key


async def _of_person(storage: StateStorage, kept: Kept) -> AsyncIterator[dict[str, Any]]:
    for found in (*kept.own, *kept.alone):
        yield await entry(storage, found)
    for key, others in {**kept.shared, **kept.said_to_others}.items():
        yield {"key": key, "shared_with": others}
    async for found in each(storage, _given(kept.said)):
        yield await entry(storage, found)


async def entry(storage: StateStorage, found: Found) -> dict[str, Any]:
    """A document as it is exported: key, ETag and value; or why there is no value, and the text that is stored."""
    if found.document is None:
        return {"key": found.key, "error": str(found.error), **_as_stored(await storage.text(found.key))}
    return {"key": found.key, "etag": found.document.etag, "value": found.document.value}


def _as_stored(text: bytes | None) -> dict[str, str]:
    if text is None:
        return {}
    try:
        return {"text": text.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(text).decode()}


class Writer:
    """Writes entries to a file or to stdout."""

    def __init__(self, out: TextIO | None, lines: bool) -> None:
        self._out = out
        self._array = None if lines else JsonArray(self._write)

    def add(self, item: dict[str, Any]) -> None:
        """Write one more entry."""
        if self._array:
            self._array.add(item, indent=2)
        else:
            self._write(as_json(item) + "\n")

    def end(self) -> None:
        """Write what ends the file."""
        if self._array:
            self._array.end()

    def _write(self, text: str) -> None:
        click.echo(text, file=self._out, nl=False)


@contextmanager
def writing(path: Path | None, *, lines: bool) -> Iterator[Writer]:
    """Write to a new file that only its owner can read, or to stdout. A file is there when it is whole, or not at all.

    Raises OSError where the file cannot be written, or exists.
    """
    if path is None:
        writer = Writer(None, lines)
        yield writer
        writer.end()
        return
    if os.path.lexists(path):
        raise FileExistsError(17, "it exists already", str(path))
    file_number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.")
    part = Path(name)
    try:
        with open(file_number, "w", encoding="utf-8") as file:
            writer = Writer(file, lines)
            yield writer
            writer.end()
        part.rename(path)
    finally:
        part.unlink(missing_ok=True)
