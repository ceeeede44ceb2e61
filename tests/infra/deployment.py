"""What templates make: the resources with their values, the outputs, and what stays readable of the parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource that the deployment makes.

    Attributes:
        file: the template's name, and `symbol` its name in it.
        kind: as `Microsoft.App/containerApps`; `version` the API's, a date.
        body: what is said of it, `parent` and `scope` as `Later`.
    """

    file: str
    symbol: str
    kind: str
    version: str
    body: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.file}: {self.symbol} ({self.kind})"

    def __getitem__(self, path: str) -> Any:
        """Return the value at `path`, names with dots between them, or None where there is none."""
        value: Any = self.body
        for name in path.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        return value

    def ref(self, member: str = "") -> str:
        """Return how a text says the resource, or its `member` that only the deployment will know."""
        return f"<{self.kind}/{self.body['name']}{'.' if member else ''}{member}>"


@dataclass(frozen=True, slots=True)
class Deployment:
    """What a template makes of its parameters, modules included.

    Attributes:
        shown: the values of the parameters that are not `@secure()`, by file and name: Azure keeps and shows them.
    """

    resources: list[Resource] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    shown: dict[str, Any] = field(default_factory=dict)

    def of(self, kind: str) -> list[Resource]:
        """Return the resources of one kind."""
        return [resource for resource in self.resources if resource.kind == kind]
