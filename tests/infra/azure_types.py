"""Resources held against Azure's published types: unknown and missing properties, wrong types, values outside an enum.

The types are the data of Azure/bicep-types-az (MIT), which this repository does not carry: AZURE_TYPES names a folder
that has them, its `generated` for one, otherwise they are looked for in ../shared/azure-types.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

from tests.infra.bicep import Later
from tests.infra.deployment import Resource
from tests.infra.production import ROOT

FOLDER: Final = Path(os.environ.get("AZURE_TYPES") or ROOT.parent / "shared" / "azure-types")
OF_BICEP: Final = {"parent", "scope", "dependsOn"}  # said of a resource to Bicep, not to Azure
NOT_AMONG_THEM: Final = {"Microsoft.Resources/resourceGroups"}  # of the data; it has a name, a location and tags
_REQUIRED, _READ_ONLY = 1, 2
_LIMITS: Final = ("minValue", "maxValue", "minLength", "maxLength", "pattern")
_PLACE_OF_LATER: Final = re.compile("<[^<>]+>")  # its text will be longer or shorter: such a value cannot be judged

Type = dict[str, Any]


def problems(resource: Resource) -> Iterator[str]:
    """Yield a sentence for everything in the resource that the published types do not allow."""
    if resource.kind in NOT_AMONG_THEM:
        return
    namespace = resource.kind.partition("/")[0].lower()
    for types in _published(namespace, resource.version):
        for each in types:
            if (
                each["$type"] == "ResourceType"
                and each["name"].lower() == f"{resource.kind}@{resource.version}".lower()
            ):
                body = {name: value for name, value in resource.body.items() if name not in OF_BICEP}
                yield from (f"{resource}: {said}" for said in _Check(types).value(body, each["body"], ""))
                return
    yield f"{resource}: there is no API version {resource.version}"


@cache
def _published(namespace: str, version: str) -> list[list[Type]]:
    return [json.loads(file.read_text()) for file in sorted(FOLDER.glob(f"**/{namespace}/{version}/*.json"))]


class _Check:
    def __init__(self, types: list[Type]) -> None:
        self._types = types

    def value(self, value: Any, reference: Type, where: str) -> Iterator[str]:
        kind = self._type(reference)
        if isinstance(value, Later) or kind["$type"] in ("AnyType", "NullType"):
            return
        match kind["$type"]:
            case "ObjectType":
                yield from self._object(value, kind["properties"], kind.get("additionalProperties"), where)
            case "DiscriminatedObjectType":
                yield from self._one_of_several(value, kind, where)
            case "ArrayType":
                if not isinstance(value, list):
                    yield f"{where} is no list"
                    return
                if not _within(len(value), kind, "Length"):
                    yield f"{where} has {len(value)} items; expected {self._named(kind)}"
                for number, item in enumerate(value):
                    yield from self.value(item, kind["itemType"], f"{where}[{number}]")
            case _:
                if not self._fits(value, kind):
                    yield f"{where} cannot be {value!r}; expected {self._named(kind)}"

    def _object(self, value: Any, known: dict[str, Type], others: Type | None, where: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield f"{where} is no object"
            return
        for name, each in known.items():
            if each["flags"] & _REQUIRED and not each["flags"] & _READ_ONLY and name not in value:
                yield f"{where}.{name} is missing"
        for name, item in value.items():
            if name in known and not known[name]["flags"] & _READ_ONLY:
                yield from self.value(item, known[name]["type"], f"{where}.{name}")
            elif name in known:
                yield f"{where}.{name} is read-only"
            elif others:
                yield from self.value(item, others, f"{where}.{name}")
            else:
                yield f"{where}.{name} is unknown"

    def _one_of_several(self, value: Any, kind: Type, where: str) -> Iterator[str]:
        chosen = value.get(kind["discriminator"]) if isinstance(value, dict) else None
        if chosen not in kind["elements"]:
            yield f"{where}.{kind['discriminator']} cannot be {chosen!r}; expected {', '.join(kind['elements'])}"
            return
        element = self._type(kind["elements"][chosen])
        yield from self._object(value, kind["baseProperties"] | element["properties"], None, where)

    def _fits(self, value: Any, kind: Type) -> bool:
        match kind["$type"]:
            case "StringLiteralType":
                return bool(value == kind["value"])
            case "UnionType":
                # "or any other string" is there for values that Azure may add: what is written here is known today.
                named = [each for each in map(self._type, kind["elements"]) if each["$type"] != "StringType"]
                return any(self._fits(value, each) for each in named)
            case "IntegerType":  # the types have no fractions; json('0.5') is how Bicep says one
                return isinstance(value, int | float) and not isinstance(value, bool) and _within(value, kind, "Value")
            case "BooleanType":
                return isinstance(value, bool)
            case "StringType":
                return isinstance(value, str) and (bool(_PLACE_OF_LATER.search(value)) or _spelled(value, kind))
        raise ValueError(f"a type of an unknown kind: {kind['$type']}")

    def _named(self, kind: Type) -> str:
        if kind["$type"] == "UnionType":
            return " or ".join(self._named(self._type(each)) for each in kind["elements"])
        if "value" in kind:
            return repr(kind["value"])
        limits = [f"{name} {kind[name]}" for name in _LIMITS if name in kind]
        return " ".join([str(kind["$type"].removesuffix("Type").lower()), *limits])

    def _type(self, reference: Type) -> Type:
        return self._types[int(reference["$ref"].removeprefix("#/"))]


def _within(number: float, kind: Type, what: str) -> bool:
    return bool(kind.get(f"min{what}", number) <= number <= kind.get(f"max{what}", number))


def _spelled(text: str, kind: Type) -> bool:
    return _within(len(text), kind, "Length") and bool(re.search(kind.get("pattern", ""), text))
