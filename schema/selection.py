"""Reading a client's selection: fields by response key, fragments resolved, @include/@skip decided. Pure.

Both sides need it: the gateway to know what to ask and how to shape the answer, the node to compile a statement.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    BooleanValueNode,
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    Undefined,
    ValueNode,
    VariableNode,
    value_from_ast_untyped,
)

Variables = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Selected:
    """One response key of a selection: the field's name and all nodes that ask for it (merged duplicates)."""

    key: str
    name: str
    nodes: tuple[FieldNode, ...]

    def argument(self, name: str) -> ValueNode | None:
        """The AST of an argument; validation has made sure that merged nodes agree on it."""
        return next((a.value for a in self.nodes[0].arguments or () if a.name.value == name), None)


@dataclass(frozen=True, slots=True)
class Scope:
    """What reading a selection needs: the document's fragments and the Boolean variables of @include/@skip."""

    fragments: Mapping[str, FragmentDefinitionNode]
    booleans: Mapping[str, bool]

    def collect(
        self, nodes: Iterable[FieldNode], type_name: str, abstract: frozenset[str] = frozenset()
    ) -> tuple[Selected, ...]:
        """The fields selected below `nodes` on a concrete type; `abstract` are the interfaces it has."""
        found: dict[str, list[FieldNode]] = {}
        spread: set[str] = set()
        for node in nodes:
            if node.selection_set:
                self._walk(node.selection_set.selections, abstract | {type_name}, found, spread)
        return tuple(Selected(key, same[0].name.value, tuple(same)) for key, same in found.items())

    def _walk(
        self, selections: Iterable[Any], types: frozenset[str], found: dict[str, list[FieldNode]], spread: set[str]
    ) -> None:
        for node in selections:
            if not self._included(node.directives or ()):
                continue
            if isinstance(node, FieldNode):
                found.setdefault(node.alias.value if node.alias else node.name.value, []).append(node)
            elif isinstance(node, InlineFragmentNode):
                if node.type_condition is None or node.type_condition.name.value in types:
                    self._walk(node.selection_set.selections, types, found, spread)
            elif isinstance(node, FragmentSpreadNode):
                name = node.name.value
                if name in spread:  # once is enough, and fragments that spread each other twice would take 2^n steps
                    continue
                spread.add(name)
                fragment = self.fragments[name]
                if fragment.type_condition.name.value in types:
                    self._walk(fragment.selection_set.selections, types, found, spread)

    def _included(self, directives: Iterable[DirectiveNode]) -> bool:
        for directive in directives:
            if directive.name.value in ("include", "skip"):
                value = next(a.value for a in directive.arguments or () if a.name.value == "if")
                if isinstance(value, BooleanValueNode):
                    truth = value.value
                else:
                    truth = isinstance(value, VariableNode) and self.booleans.get(value.name.value, False)
                if truth is (directive.name.value == "skip"):
                    return False
        return True


def fragments_of(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    """The document's fragments by name."""
    return {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}


def condition_variables(document: DocumentNode) -> tuple[str, ...]:
    """Names of the variables that @include and @skip read, sorted. With the text they key every compiled plan."""
    names: set[str] = set()

    def walk(node: Any) -> None:
        for directive in getattr(node, "directives", None) or ():
            if directive.name.value in ("include", "skip"):
                names.update(a.value.name.value for a in directive.arguments or () if isinstance(a.value, VariableNode))
        for child in getattr(getattr(node, "selection_set", None), "selections", ()) or ():
            walk(child)

    for definition in document.definitions:
        walk(definition)
    return tuple(sorted(names))


def defaults_of(operation: OperationDefinitionNode) -> dict[str, Any]:
    """Default values of the operation's variables as plain JSON values."""
    return {
        d.variable.name.value: value_from_ast_untyped(d.default_value)
        for d in operation.variable_definitions or ()
        if d.default_value is not None
    }


def reader(value: ValueNode | None, default: Any = None) -> Callable[[Variables], Any]:
    """A function from raw variables to an argument's plain JSON value; constant where the AST holds no variable."""
    if value is None:
        return lambda _: default
    if isinstance(value, VariableNode):
        name = value.name.value
        return lambda variables: variables.get(name, default)
    if _has_variable(value):
        return lambda variables: _given(value_from_ast_untyped(value, dict(variables)))
    constant = value_from_ast_untyped(value)
    return lambda _: constant


def _given(value: Any) -> Any:
    """The value without the fields whose variable was not given: they count as not there (GraphQL, input coercion)."""
    if isinstance(value, dict):
        return {name: _given(v) for name, v in value.items() if v is not Undefined}
    return [None if v is Undefined else _given(v) for v in value] if isinstance(value, list) else value


def _has_variable(value: Any) -> bool:
    if isinstance(value, VariableNode):
        return True
    if hasattr(value, "fields"):
        return any(_has_variable(f.value) for f in value.fields)
    return any(_has_variable(v) for v in getattr(value, "values", ()) or ())
