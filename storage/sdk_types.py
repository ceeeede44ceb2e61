"""The classes that the Bot Framework SDK itself puts into state, so that dialogs and store items need no registration.

Only these are named: a document cannot make the program import or build anything else of the SDK.
"""

from __future__ import annotations

import importlib
from functools import cache

_DIALOG_STATE = {
    "botbuilder.dialogs.dialog_state": {"DialogState"},
    "botbuilder.dialogs.dialog_instance": {"DialogInstance"},
    "botbuilder.dialogs.prompts.prompt_options": {"PromptOptions"},
    "botbuilder.dialogs.persisted_state": {"PersistedState"},
    "botbuilder.dialogs.choices.choice": {"Choice"},
    "botbuilder.dialogs.choices.list_style": {"ListStyle"},
    "botbuilder.dialogs.choices.found_choice": {"FoundChoice"},
    "botbuilder.core.storage": {"StoreItem"},
}
_SCHEMA = "botbuilder.schema._models_py3"  # activities, cards, attachments: plain data, kept in prompt options


@cache
def sdk_type(tag: str) -> type | None:
    """Return the SDK's class with that `module.Class` name where it is one that state may hold, else None."""
    module, _, name = tag.rpartition(".")
    if name not in _DIALOG_STATE.get(module, ()) and module != _SCHEMA:
        return None
    try:
        found = getattr(importlib.import_module(module), name, None)
    except ModuleNotFoundError:  # botbuilder-dialogs is not installed: then no document of ours holds its state
        return None
    return found if isinstance(found, type) else None
