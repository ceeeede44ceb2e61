"""The classes that the Bot Framework SDK itself puts into state.

Two kinds. What the SDK always works with (activities, their parts and enumerations, store items) is known without
registration. What botbuilder-dialogs keeps of a dialog becomes known when a program registers dialogs, which it does by
using them. A document makes the program import nothing: only modules that it has imported itself are looked into.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from typing import Final

DIALOG_STATE: Final = "botbuilder.dialogs.dialog_state.DialogState"
_DIALOGS: Final = (
    DIALOG_STATE,
    "botbuilder.dialogs.dialog_instance.DialogInstance",
    "botbuilder.dialogs.persisted_state.PersistedState",
    "botbuilder.dialogs.prompts.prompt_options.PromptOptions",
    "botbuilder.dialogs.prompts.datetime_resolution.DateTimeResolution",
    "botbuilder.dialogs.prompts.oauth_prompt.CallerInfo",
    "botbuilder.dialogs.choices.choice.Choice",
    "botbuilder.dialogs.choices.choice_factory_options.ChoiceFactoryOptions",
    "botbuilder.dialogs.choices.found_choice.FoundChoice",
    "botbuilder.dialogs.choices.list_style.ListStyle",
    "botbuilder.dialogs.skills.begin_skill_dialog_options.BeginSkillDialogOptions",
)
_CORE: Final = frozenset(
    (
        "botbuilder.core.storage.StoreItem",
        "botbuilder.core.skills.skill_conversation_reference.SkillConversationReference",
    )
)
_SCHEMA: Final = frozenset(  # plain data, every class of it
    (
        "botbuilder.schema._models_py3",
        "botbuilder.schema._connector_client_enums",
        "botbuilder.schema._sign_in_enums",
        "botbuilder.schema.teams._models_py3",
    )
)


def sdk_type(tag: str) -> type | None:
    """Return the SDK's class of that `module.Class` name where state may hold it without registration, else None."""
    module, _, name = tag.rpartition(".")
    if module not in _SCHEMA and tag not in _CORE:
        return None
    found = getattr(sys.modules.get(module), name, None)
    return found if isinstance(found, type) and found.__module__ == module else None


def dialog_types() -> Iterator[type]:
    """The classes of a dialog's state. Raises ImportError where botbuilder-dialogs is not installed."""
    for tag in _DIALOGS:
        module, _, name = tag.rpartition(".")
        yield getattr(importlib.import_module(module), name)
