"""The naive way to answer a query: graphql-core itself over plain dicts, on the same schema. The oracle of both sides' tests."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import strawberry
from graphql import (
    GraphQLEnumType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    execute_sync,
    get_named_type,
    parse,
    print_schema,
)

from schema.clinical import RECORD_TYPES
from schema.elements import RecordKind

Json = dict[str, Any]
RECORD_NAMES = frozenset(t.__name__ for t in RECORD_TYPES.values())
SPINE = frozenset({"id", "kind", "facility", "feed", "encounterId", "receivedAt", "notResent"})
TEXTS = (
    'quote " and \\ backslash',
    "tab\tline\nreturn\r",
    "\x01\x1f\x7f",
    "Nguyễn Thị Hoà, 45 tuổi",
    "mặt cười 😀",
    "\u2028\u00a0",
    "' OR 1=1 --",
    "%_|",
    "",
    "null",
    "'||'",
    "{}",
)
CODES = ("E11.9", "E11", "e11.65", "I10", "J45.0", "K21", "Z00.0*", "A 09")


def plain_schema(schema: strawberry.Schema) -> GraphQLSchema:
    """The same types without any of our resolvers."""
    return build_schema(print_schema(schema._schema))


def answer(schema: GraphQLSchema, query: str, root: Json, variables: Mapping[str, Any] | None = None) -> Any:
    """`data` of the query over dicts; a value that is callable is called with the field's arguments."""

    def resolve(source: Any, info: Any, **arguments: Any) -> Any:
        value = source[info.field_name]
        return value(**arguments) if isinstance(value, Callable) else value  # type: ignore[arg-type]

    done = execute_sync(
        schema,
        parse(query),
        root,
        variable_values=dict(variables or {}),
        field_resolver=resolve,
        type_resolver=lambda value, _info, _type: value["__typename"],
    )
    assert not done.errors, done.errors
    return done.data


def make_body(schema: GraphQLSchema, type_name: str, rng: random.Random, sparse: float = 0.3) -> Json:
    """A random body of a contract type: what a feed would hand on, by the printed schema and nothing else."""
    kind = schema.type_map[type_name]
    assert isinstance(kind, GraphQLObjectType)
    body: Json = {}
    for name, field in kind.fields.items():
        if type_name in RECORD_NAMES and name in SPINE:
            continue
        inner = get_named_type(field.type)
        if inner.name in RECORD_NAMES or inner.name == "Diagnosis":
            continue
        required = isinstance(field.type, GraphQLNonNull)
        bare: Any = field.type.of_type if isinstance(field.type, GraphQLNonNull) else field.type
        if isinstance(bare, GraphQLList):
            body[name] = [_value(schema, inner, name, rng, sparse) for _ in range(rng.choice((0, 1, 3)))]
        elif required or rng.random() > sparse:
            body[name] = _value(schema, inner, name, rng, sparse)
        else:
            body[name] = None
    if all(v is None or v == [] for v in body.values()) and type_name not in RECORD_NAMES:
        return make_body(schema, type_name, rng, 0.0)  # an object of nulls alone is null, and has its own test
    return body


def _value(schema: GraphQLSchema, kind: Any, name: str, rng: random.Random, sparse: float) -> Any:
    if isinstance(kind, GraphQLEnumType):
        return rng.choice(sorted(kind.values))
    if isinstance(kind, GraphQLObjectType):
        return make_body(schema, kind.name, rng, sparse)
    match kind.name:
        case "Int":
            return rng.choice((0, -1, 7, 2**31 - 1))
        case "Boolean":
            return rng.random() < 0.5
        case "Decimal":
            return rng.choice(("0", "0.500", "-12", "123456789.000000001"))
        case "PartialDate":
            return rng.choice(("2024", "2024-02", "2024-02-29", "2024-02-29T07:30+07:00"))
    return rng.choice(CODES) if name in ("code", "asSent") else rng.choice(TEXTS)


def completed(schema: GraphQLSchema, type_name: str, body: Json) -> Json:
    """The body with nulls and empty lists for what it leaves out."""
    kind = schema.type_map[type_name]
    assert isinstance(kind, GraphQLObjectType)
    out: Json = {"__typename": type_name}
    for name, field in kind.fields.items():
        bare: Any = field.type.of_type if isinstance(field.type, GraphQLNonNull) else field.type
        value = body.get(name)
        inner = get_named_type(field.type)
        if isinstance(bare, GraphQLList):
            value = [completed(schema, inner.name, v) if isinstance(v, dict) else v for v in value or []]
        elif isinstance(inner, GraphQLObjectType) and isinstance(value, dict):
            value = completed(schema, inner.name, value)
        out[name] = value
    return out


@cache
def full_selection(schema: GraphQLSchema, type_name: str, depth: int = 3) -> str:
    """Every field of a type, records below it `depth` levels deep."""
    kind = schema.type_map[type_name]
    assert isinstance(kind, GraphQLObjectType)
    parts = ["__typename"]
    for name, field in kind.fields.items():
        inner = get_named_type(field.type)
        if isinstance(inner, GraphQLObjectType):
            if inner.name in RECORD_NAMES and depth == 0:
                continue
            below = full_selection(schema, inner.name, depth - (inner.name in RECORD_NAMES))
            parts.append(f"{name} {{ {below} }}")
        else:
            parts.append(name)
    return " ".join(parts)


def type_of(kind: RecordKind) -> str:
    """'ENCOUNTER' -> 'Encounter'."""
    record: type = RECORD_TYPES[kind]
    return record.__name__
