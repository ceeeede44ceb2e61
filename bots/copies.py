"""Copies of activities, at a tenth of the cost of `copy.deepcopy`: they are trees of the SDK's models and of JSON."""

from __future__ import annotations

import copy
from datetime import datetime
from typing import Any, Final

from msrest.serialization import Model

_UNCHANGING: Final = frozenset((str, bool, int, float, datetime))


def copy_of(value: Any) -> Any:
    """Return a copy of an activity, or of anything that one may hold, that shares nothing with it that can change."""
    kind = type(value)
    if value is None or kind in _UNCHANGING:
        return value
    if kind is list:
        return [copy_of(item) for item in value]
    if kind is dict:
        return {key: copy_of(item) for key, item in value.items()}
    if isinstance(value, Model):
        copied = object.__new__(kind)
        copied.__dict__ = {  # most fields are empty or texts: a call for each would take half of the time
            name: item if item is None or type(item) in _UNCHANGING else copy_of(item)
            for name, item in vars(value).items()
        }
        return copied
    return copy.deepcopy(value)
