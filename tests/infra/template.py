"""A Bicep file deployed on paper: its parameters checked as Azure checks them, its resources with their values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Self

from tree_sitter import Node

from tests.infra.bicep import Later, TemplateError, evaluate, inside, parse, properties, source, walk
from tests.infra.deployment import Deployment, Resource

_TYPES: Final[Mapping[str, type]] = {"string": str, "int": int, "bool": bool, "array": list, "object": dict}
_LIMITS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "allowed": lambda value, limit: bool(value in limit),
    "minLength": lambda value, limit: bool(len(value) >= limit),
    "maxLength": lambda value, limit: bool(len(value) <= limit),
    "minValue": lambda value, limit: bool(value >= limit),
    "maxValue": lambda value, limit: bool(value <= limit),
}


def deploy(path: Path, parameters: Mapping[str, Any]) -> Deployment:
    """Return what the template at `path` makes of `parameters`. Raises `TemplateError` where Azure would refuse."""
    return _Template.read(path).deploy(parameters)


def declared(path: Path) -> dict[str, Any]:
    """Return the template's parameters and their defaults; a parameter that must be given has `...`."""
    template = _Template.read(path)
    return {
        name: ... if len(inside(node)) < 3 else evaluate(inside(node)[2], template.lookup)
        for name, (_, node) in template.parameters.items()
    }


class _Template:
    def __init__(self, path: Path, root: Node) -> None:
        self.path = path
        self.parameters: dict[str, tuple[Node | None, Node]] = {}
        self.variables: dict[str, Node] = {}
        self.resources: dict[str, Node] = {}
        self.modules: dict[str, Node] = {}
        self.outputs: dict[str, Node] = {}
        self._values: dict[str, Any] = {}
        self._deployment = Deployment()
        kept = {
            "variable_declaration": self.variables,
            "resource_declaration": self.resources,
            "module_declaration": self.modules,
            "output_declaration": self.outputs,
        }
        decorators: Node | None = None
        for node in inside(root):
            name = source(inside(node)[0])
            if node.type == "parameter_declaration":
                self.parameters[name] = decorators, node
            elif node.type in kept:
                kept[node.type][name] = node
            decorators = node if node.type == "decorators" else None
        self._refuse_unused(root)

    @classmethod
    def read(cls, path: Path) -> Self:
        try:
            return cls(path, parse(path.read_text()))
        except TemplateError as error:
            raise TemplateError(f"{path.name}: {error}") from None

    def deploy(self, given: Mapping[str, Any]) -> Deployment:
        if unknown := given.keys() - self.parameters.keys():
            raise TemplateError(f"{self.path.name}: there is no parameter {', '.join(sorted(unknown))}")
        try:
            for name, (decorators, node) in self.parameters.items():
                self._values[name] = self._parameter(name, decorators, node, given)
            for name in (*self.modules, *self.resources):
                self.lookup(name)
            for name, node in self.outputs.items():
                _, kind, value = inside(node)
                self._deployment.outputs[name] = _typed(evaluate(value, self.lookup), source(kind), f"output {name}")
        except TemplateError as error:
            raise TemplateError(f"{self.path.name}: {error}") from None
        return self._deployment

    def lookup(self, name: str) -> Any:
        """Return the value of a name, worked out when it is first asked for."""
        if name not in self._values:
            self._values[name] = self._work_out(name)
        return self._values[name]

    def _work_out(self, name: str) -> Any:
        if name in self.variables:
            return evaluate(inside(self.variables[name])[1], self.lookup)
        if name in self.resources:
            return self._resource(name, self.resources[name])
        if name in self.modules:
            return self._module(name, self.modules[name])
        raise TemplateError(f"{name} is not defined")

    def _parameter(self, name: str, decorators: Node | None, node: Node, given: Mapping[str, Any]) -> Any:
        _, kind, *default = inside(node)
        if name not in given and not default:
            raise TemplateError(f"parameter {name} is missing")
        value = _typed(given[name] if name in given else evaluate(default[0], self.lookup), source(kind), name)
        said = [inside(inside(decorator)[0]) for decorator in (inside(decorators) if decorators else ())]
        for called, arguments in said:
            check = _LIMITS.get(source(called))
            if check and not isinstance(value, Later):
                limit = evaluate(inside(arguments)[0], self.lookup)
                if not check(value, limit):
                    raise TemplateError(f"parameter {name} is {value!r}; {source(called)} {limit}")
        if "secure" not in (source(called) for called, _ in said):
            self._deployment.shown[f"{self.path.name}: {name}"] = value
        return value

    def _resource(self, name: str, node: Node) -> Any:
        kind, _, version = str(evaluate(inside(node)[1], self.lookup)).partition("@")
        body = self._body(node)
        if body is None:
            return Later(f"{name} is not deployed")
        values = {each: evaluate(value, self.lookup) for each, value in properties(body, self.lookup)}
        if not any(child.type == "existing" for child in node.children):
            self._deployment.resources.append(Resource(self.path.name, name, kind, version, values))
        return Later(name, values["name"], f"{kind}/{values['name']}")

    def _module(self, name: str, node: Node) -> Any:
        body = self._body(node)
        if body is None:
            return Later(f"{name} is not deployed")
        values = {each: evaluate(value, self.lookup) for each, value in properties(body, self.lookup)}
        file = self.path.parent / str(evaluate(inside(node)[1], self.lookup))
        made = deploy(file, values.get("params", {}))
        self._deployment.resources.extend(made.resources)
        self._deployment.shown.update(made.shown)
        return {"outputs": made.outputs, "name": values["name"]}

    def _body(self, node: Node) -> Node | None:
        last = inside(node)[-1]
        if last.type != "if_statement":
            return last
        condition, body = inside(last)
        return body if evaluate(condition, self.lookup) else None

    def _refuse_unused(self, root: Node) -> None:
        used = [source(node) for node in walk(root) if node.type == "identifier"]
        for name in (*self.parameters, *self.variables):
            if used.count(name) < 2:
                raise TemplateError(f"{name} is declared and never used")


def _typed(value: Any, kind: str, name: str) -> Any:
    if not isinstance(value, Later) and (type(value) is not _TYPES[kind]):
        raise TemplateError(f"{name} is {value!r}, expected {kind}")
    return value


def text_files(folder: Path) -> Iterator[Path]:
    """Yield the Bicep files of a folder and its modules."""
    yield from sorted(folder.glob("*.bicep"))
    yield from sorted(folder.glob("modules/*.bicep"))
