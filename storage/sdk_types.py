"""The classes that the Bot Framework SDK itself puts into state: known without registration, and no others of it.

A document makes the program import nothing: only modules that the program has imported itself are looked into. So what
botbuilder-dialogs keeps of a dialog is known where dialogs are used, and in other programs after `import_dialogs`.
"""

from __future__ import annotations

import importlib
import sys
from typing import Final

_DIALOGS: Final = (
    "botbuilder.dialogs.dialog_state.DialogState",
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
_SINGLE: Final = {
    *_DIALOGS,
    "botbuilder.core.storage.StoreItem",
    "botbuilder.core.skills.skill_conversation_reference.SkillConversationReference",
}
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
    if module not in _SCHEMA and tag not in _SINGLE:
        return None
    found = getattr(sys.modules.get(module), name, None)
    return found if isinstance(found, type) and found.__module__ == module else None


def import_dialogs() -> None:
    """Make the classes of a dialog's state known. Raises ImportError where botbuilder-dialogs is not installed."""
    for tag in _DIALOGS:
        importlib.import_module(tag.rpartition(".")[0])
