"""The classes that documents may hold, named on the command line: this package does not know the bot's."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from operator import attrgetter
from types import ModuleType

from storage.codec import Codec
from storage.models import is_storable


def register(codec: Codec, names: Iterable[str]) -> None:
    """Register what `names` name: each is a module, or `module:Class`, or `module:Class.Nested`.

    Of a module these are the classes that it or a module inside it defines and that can be stored, nested ones too, and
    the dataclasses that it imports.

    What dialogs keep is known too, where botbuilder-dialogs is installed.

    Raises ValueError for a name that cannot be used; its text says why.
    """
    with suppress(ImportError):
        codec.register_dialogs()
    for name in names:
        module_name, _, class_name = name.partition(":")
        try:
            module = importlib.import_module(module_name)
            for cls in [attrgetter(class_name)(module)] if class_name else _classes_of(module):
                codec.register(cls)
        except Exception as error:  # a module may raise anything when it is imported
            raise ValueError(f"{name} cannot be used: {type(error).__name__}: {error}") from error


def _classes_of(module: ModuleType) -> list[type]:
    classes = list(_found_in(module))
    if not classes:
        raise LookupError("it has no class that can be stored")
    return classes


def _found_in(module: ModuleType) -> Iterator[type]:
    found = [cls for cls in vars(module).values() if isinstance(cls, type)]
    while found:
        cls = found.pop()
        is_defined = f"{cls.__module__}.".startswith(f"{module.__name__}.")
        if is_storable(cls) and (is_defined or dataclasses.is_dataclass(cls)):
            yield cls
        if is_defined:
            found += [
                inner
                for inner in vars(cls).values()
                if isinstance(inner, type) and inner.__qualname__.startswith(f"{cls.__qualname__}.")
            ]
