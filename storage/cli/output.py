"""What the commands print: for a person, for another program, and how far they are."""

from __future__ import annotations

import itertools
import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import click

# What a terminal would obey or hide instead of showing it. In JSON text they occur in strings only.
_INVISIBLE: Final = re.compile("[\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")

_CONTROL: Final = re.compile(rf"[\x00-\x08\x0b-\x1f]|{_INVISIBLE.pattern}")  # lines and tabs are to be obeyed


def visible(text: str) -> str:
    """Return any text for a terminal: what it would obey or hide is spelled as in JSON."""
    return _CONTROL.sub(lambda found: json.dumps(found[0])[1:-1], text)


def as_json(value: object, *, indent: int | None = None) -> str:
    """Return readable JSON in one line, or indented."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return _INVISIBLE.sub(lambda found: json.dumps(found[0])[1:-1], text)


def spelled(key: str) -> str:
    """A key as the commands print it and take it: as it is, or as a JSON string where it would be misread."""
    plain = key.isprintable() and key == key.strip() and key and not key.startswith(('"', "-"))
    return key if plain else json.dumps(key)


def parsed(text: str) -> str:
    """The key that `spelled` prints so: a text that begins with a quotation mark is a JSON string."""
    if not text.startswith('"'):
        return text
    try:
        key = json.loads(text)
    except ValueError:
        key = None
    if not isinstance(key, str):
        raise click.BadParameter(f"{text} is no JSON string, which a key in quotation marks has to be")
    return key


def table(rows: list[tuple[str, ...]]) -> Iterator[str]:
    """Yield lines with the columns below each other; the last column is not padded."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)] if rows else []
    for row in rows:
        yield "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()


class JsonArray:
    """Writes a JSON array item by item."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._before = "["

    def add(self, item: object, *, indent: int | None = None) -> None:
        """Write one more item."""
        self._write(f"{self._before}\n{as_json(item, indent=indent)}")
        self._before = ","

    def end(self) -> None:
        """Write its end."""
        self._write("[]\n" if self._before == "[" else "\n]\n")


@contextmanager
def progress(label: str, *, quiet: bool = False) -> Iterator[Callable[[], None]]:
    """Show on a terminal how many documents are done; the block calls what it is given for each of them."""
    hidden = quiet or not sys.stderr.isatty()
    bar = click.progressbar(
        itertools.count(),
        label=label,
        file=sys.stderr,
        hidden=hidden,
        show_eta=False,
        show_pos=True,
        bar_template="%(label)s %(info)s",
        update_min_steps=50,
    )
    with bar:
        yield lambda: bar.update(1)


def count(number: int, thing: str) -> str:
    """`1 document`, `2,000 documents`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def say(*lines: str, err: bool = False) -> None:
    """Print lines."""
    for line in lines:
        click.echo(line, err=err)
