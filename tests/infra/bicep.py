"""Bicep expressions, evaluated as far as they can be before a deployment.

The grammar is tree-sitter-bicep's. What only the deployment will know, as the id of a resource, is a `Later`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import tree_sitter_bicep
from tree_sitter import Language, Node, Parser

from tests.infra.functions import FUNCTIONS, text

Lookup = Callable[[str], Any]

_PARSER: Final = Parser(Language(tree_sitter_bicep.language()))


class TemplateError(Exception):
    """Raised for a template that cannot be deployed: its syntax, an unknown name, a value that is not allowed."""


@dataclass(frozen=True, slots=True)
class Later:
    """A value that only the deployment knows, as `account.properties.documentEndpoint`.

    Attributes:
        path: as the template's text has it, the resource's symbol first.
        name: of a resource, which is known; None for anything else.
        owner: kind and name of the resource that it is of, the same in every file.
    """

    path: str
    name: Any = None
    owner: str = ""

    def __str__(self) -> str:
        symbol, dot, rest = self.path.partition(".")
        return f"<{self.owner or symbol}{dot}{rest}>"


def parse(code: str) -> Node:
    """Return the tree of a file. Raises `TemplateError` where it is not Bicep."""
    root = _PARSER.parse(code.encode()).root_node
    for node in walk(root):
        if node.is_error or node.is_missing:
            raise TemplateError(f"line {node.start_point.row + 1}: {source(node)[:60]!r} is not Bicep")
    return root


def walk(node: Node) -> Iterator[Node]:
    """Yield the node and everything below it."""
    yield node
    for child in node.children:
        yield from walk(child)


def source(node: Node) -> str:
    """Return the node's text."""
    return (node.text or b"").decode()


def inside(node: Node) -> list[Node]:
    """Return what the node is made of, comments left out."""
    return [child for child in node.named_children if child.type != "comment"]


def evaluate(node: Node, lookup: Lookup) -> Any:
    """Return the expression's value: JSON's types, or a `Later`.

    Args:
        node: the expression.
        lookup: gives the value of a name, or raises `TemplateError`.

    Raises `TemplateError` for what cannot be known, or is no expression.
    """
    rule = _RULES.get(node.type)
    if rule is None:
        raise TemplateError(f"line {node.start_point.row + 1}: {node.type} is outside the part of Bicep used here")
    return rule(node, lookup)


def properties(node: Node, lookup: Lookup) -> Iterator[tuple[str, Node]]:
    """Yield an object's names and the expressions of their values."""
    for each in inside(node):
        name, value = inside(each)
        yield (source(name) if name.type == "identifier" else evaluate(name, lookup)), value


def _string(node: Node, lookup: Lookup) -> Any:
    parts: list[Any] = []
    for child in inside(node):
        if child.type == "interpolation":
            parts.append(evaluate(inside(child)[0], lookup))
        else:
            parts.append(source(child).replace("\\'", "'"))
    return "".join(text(part) for part in parts)


def _member(node: Node, lookup: Lookup, *further: str) -> Any:
    held, names = _part(node, "object"), (source(_part(node, "property")), *further)
    if held.type == "member_expression":
        return _member(held, lookup, *names)
    if held.type == "ternary_expression":  # `a ? b : c.d`: the grammar takes the whole of it for what `.d` belongs to
        if _known(_part(held, "condition"), lookup):
            return evaluate(_part(held, "consequence"), lookup)
        held = _part(held, "alternative")
    value = evaluate(held, lookup)
    for name in names:
        if isinstance(value, Later):
            value = value.name if name == "name" and value.name else Later(f"{value.path}.{name}", owner=value.owner)
        elif isinstance(value, Mapping) and name in value:
            value = value[name]
        else:
            raise TemplateError(f"line {node.start_point.row + 1}: {source(node)}: there is no {name}")
    return value


def _ternary(node: Node, lookup: Lookup) -> Any:
    chosen = "consequence" if _known(_part(node, "condition"), lookup) else "alternative"
    return evaluate(_part(node, chosen), lookup)


def _binary(node: Node, lookup: Lookup) -> Any:
    sign = node.children[1].type
    left = _known(_part(node, "left"), lookup)
    if sign in ("&&", "||"):
        return left if left is (sign == "||") else _known(_part(node, "right"), lookup)
    return _OPERATORS[sign](left, _known(_part(node, "right"), lookup))


def _unary(node: Node, lookup: Lookup) -> Any:
    value = _known(_part(node, "argument"), lookup)
    return -value if source(node).startswith("-") else not value


def _known(node: Node, lookup: Lookup) -> Any:
    value = evaluate(node, lookup)
    if isinstance(value, Later):
        raise TemplateError(f"line {node.start_point.row + 1}: {value} is not known when the deployment begins")
    return value


def _call(node: Node, lookup: Lookup) -> Any:
    name = source(_part(node, "function"))
    if name not in FUNCTIONS:
        raise TemplateError(f"line {node.start_point.row + 1}: {name}() is no function that may be used here")
    return FUNCTIONS[name](*(evaluate(argument, lookup) for argument in inside(_part(node, "arguments"))))


def _part(node: Node, name: str) -> Node:
    found = node.child_by_field_name(name)
    assert found is not None, f"{node.type} has no {name}"
    return found


_OPERATORS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "%": operator.mod,
}
_RULES: Final[Mapping[str, Callable[[Node, Lookup], Any]]] = {
    "array": lambda node, lookup: [evaluate(item, lookup) for item in inside(node)],
    "binary_expression": _binary,
    "boolean": lambda node, _: source(node) == "true",
    "call_expression": _call,
    "identifier": lambda node, lookup: lookup(source(node)),
    "member_expression": _member,
    "number": lambda node, _: int(source(node)),
    "object": lambda node, lookup: {name: evaluate(value, lookup) for name, value in properties(node, lookup)},
    "parenthesized_expression": lambda node, lookup: evaluate(inside(node)[0], lookup),
    "string": _string,
    "ternary_expression": _ternary,
    "unary_expression": _unary,
}
