"""The classes that documents may hold, named on the command line: this package does not know the bot's."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Iterable
from contextlib import suppress

from storage.codec import Codec


def register(codec: Codec, names: Iterable[str]) -> None:
    """Register what `names` name: each is a module, for all dataclasses found in it, or `module:Class`.

    What dialogs keep is known too, where botbuilder-dialogs is installed.

    Raises ValueError for a name that cannot be used; its text says why.
    """
    with suppress(ImportError):
        codec.register_dialogs()
    for name in names:
        module_name, _, class_name = name.partition(":")
        try:
            module = importlib.import_module(module_name)
            if class_name:
                codec.register(getattr(module, class_name))
            else:
                for cls in vars(module).values():
                    if isinstance(cls, type) and dataclasses.is_dataclass(cls):
                        codec.register(cls)
        except Exception as error:  # a module may raise anything when it is imported
            raise ValueError(f"{name} cannot be used: {type(error).__name__}: {error}") from error
