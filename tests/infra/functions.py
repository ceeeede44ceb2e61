"""The functions that the templates use, as far as they can be worked out before a deployment.

https://learn.microsoft.com/azure/azure-resource-manager/bicep/bicep-functions
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

TENANT: Final = "99999999-8888-7777-6666-555555555555"


def text(value: Any) -> str:
    """Return the value as Azure writes it into a string."""
    return json.dumps(value) if isinstance(value, bool) else str(value)


def _unique_string(*seeds: Any) -> str:
    return hashlib.sha256("/".join(map(text, seeds)).encode()).hexdigest()[:13]  # as long as Azure's, all small


FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "concat": lambda *lists: [item for each in lists for item in each],
    "empty": lambda value: not value,
    "guid": lambda *seeds: str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(map(text, seeds)))),
    "int": int,
    "json": json.loads,
    "string": text,
    "subscription": lambda: {"id": "/subscriptions/<subscription>"},
    "subscriptionResourceId": lambda kind, name: f"/subscriptions/<subscription>/providers/{kind}/{name}",
    "tenant": lambda: {"tenantId": TENANT},
    "toLower": lambda value: str(value).lower(),
    "uniqueString": _unique_string,
}
