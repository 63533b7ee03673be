"""Shaping values the gateway owns (coverage, page info, facility) as the client selected them. Pure.

A value is a mapping by GraphQL name, a list, or a plain JSON value; bilingual texts are mappings by language.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from cachetools import LRUCache
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
SHAPES_KEPT = 8
_JSON = msgspec.json.Encoder()
BILINGUAL = frozenset({"advice", "summary", "notices"})


@dataclass(frozen=True, slots=True)
class Shape:
    """A compiled selection on one gateway-owned type."""

    type_name: str
    fields: tuple[tuple[str, str, Any], ...]  # (response key, name, Shape | language reader | None)

    def languages(self, variables: Variables) -> tuple[str, ...]:
        """All that the shape takes from a request's variables."""
        inner = [i for _, _, i in self.fields if i is not None]
        return tuple(n for i in inner for n in (i.languages(variables) if isinstance(i, Shape) else (i(variables),)))

    def of(self, value: Any, variables: Variables) -> Any:
        """The value with only the selected fields, under the client's keys, in the client's order."""
        if value is None:
            return None
        if isinstance(value, Tailed):
            return value.written(self, variables)
        if isinstance(value, list | tuple):
            return [self.of(item, variables) for item in value]
        return {key: self._one(value, name, inner, variables) for key, name, inner in self.fields}

    def _one(self, value: Mapping[str, Any], name: str, inner: Any, variables: Variables) -> Any:
        if name == "__typename":
            return self.type_name
        if inner is None:
            return value[name]
        return inner.of(value[name], variables) if isinstance(inner, Shape) else value[name][inner(variables)]


class Tail:
    """Values by key that many lists end with. What they are written as is remembered, for the last few shapes."""

    __slots__ = ("_texts", "values")

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values
        self._texts: LRUCache[Any, dict[str, bytes]] = LRUCache(SHAPES_KEPT)

    def texts(self, shape: Shape | None, variables: Variables) -> Mapping[str, bytes]:
        """The JSON of each, in its shape or whole."""
        key = shape and (shape, shape.languages(variables))
        texts = self._texts.get(key)
        if texts is None:
            cut = {k: shape.of(v, variables) if shape else v for k, v in self.values.items()}
            texts = self._texts[key] = {k: _JSON.encode(v) for k, v in cut.items()}
        return texts


class Tailed(list[Any]):
    """A list of its own values and a tail's, without those of some keys."""

    __slots__ = ("_but", "_own", "_tail")

    def __init__(self, own: list[Any], tail: Tail, but: frozenset[str]) -> None:
        super().__init__([*own, *(v for k, v in tail.values.items() if k not in but)])
        self._own, self._tail, self._but = own, tail, but

    def written(self, shape: Shape | None = None, variables: Variables | None = None) -> msgspec.Raw:
        """Its JSON, each value in the shape or whole."""
        variables = variables or {}
        own = [_JSON.encode(shape.of(v, variables) if shape else v) for v in self._own]
        tail = [text for key, text in self._tail.texts(shape, variables).items() if key not in self._but]
        return msgspec.Raw(b"[" + b",".join([*own, *tail]) + b"]")


def written(values: list[Any]) -> Any:
    """The list as msgspec encodes it without doing a tail's work again."""
    return values.written() if isinstance(values, Tailed) else values


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
    given = reader(value)
    return lambda variables: given(variables) or "VI"  # null, too, is what a variable may hold
