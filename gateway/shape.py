"""Shaping values the gateway owns (coverage, page info, facility) as the client selected them. Pure.

A value is a mapping by GraphQL name, a list, or a plain JSON value; bilingual texts are mappings by language.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphql import EnumValueNode

from schema.selection import Scope, Selected, Variables, reader

# Object types below the gateway's own fields, by field name.
TYPES: dict[str, str] = {
    "coverage": "Coverage",
    "facilities": "FacilityCoverage",
    "facility": "Facility",
    "kinds": "KindCoverage",
    "pageInfo": "PageInfo",
    "alsoAt": "Facility",
}
BILINGUAL = frozenset({"advice", "summary", "notices"})


@dataclass(frozen=True, slots=True)
class Shape:
    """A compiled selection on one gateway-owned type."""

    type_name: str
    fields: tuple[tuple[str, str, Any], ...]  # (response key, name, Shape | language reader | None)

    def of(self, value: Any, variables: Variables) -> Any:
        """The value with only the selected fields, under the client's keys, in the client's order."""
        if value is None:
            return None
        if isinstance(value, list | tuple):
            return [self.of(item, variables) for item in value]
        return {key: self._one(value, name, inner, variables) for key, name, inner in self.fields}

    def _one(self, value: Mapping[str, Any], name: str, inner: Any, variables: Variables) -> Any:
        if name == "__typename":
            return self.type_name
        if inner is None:
            return value[name]
        return inner.of(value[name], variables) if isinstance(inner, Shape) else value[name][inner(variables)]


def shape(scope: Scope, selected: Selected, type_name: str | None = None) -> Shape:
    """Compile the selection of a gateway-owned field."""
    own = type_name or TYPES[selected.name]
    fields: list[tuple[str, str, Any]] = []
    for part in scope.collect(selected.nodes, own):
        inner: Any = None
        if part.name in BILINGUAL:
            inner = _language(part)
        elif part.name in TYPES:
            inner = shape(scope, part)
        fields.append((part.key, part.name, inner))
    return Shape(own, tuple(fields))


def _language(part: Selected) -> Any:
    value = part.argument("language")
    if isinstance(value, EnumValueNode):
        name = value.value
        return lambda _: name
    return reader(value, "VI")
