"""How a contract type lies in tables: one walk over schema/clinical.py gives the columns, the rows and the JSON.

The tables (tables.py), the writer (store) and the compiler (compile.py) all read this; nothing else knows the rule:
a scalar or enum is a column of its snake_case name; an object (Code, Period …) is columns with its field's name in
front, and is null when all of them are; a list of objects is rows of a child table named after the object's type, with
the field's name as role; a list of records, or of Diagnosis, is a relation to other records and has no column.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any

from strawberry.types.base import StrawberryList, StrawberryOptional, get_object_definition
from strawberry.types.enum import StrawberryEnumDefinition

from schema.clinical import RECORD_TYPES
from schema.elements import Diagnosis, RecordKind
from schema.record import Record
from schema.scalars import schema_config

_NAMES = schema_config().name_converter
SPINE_FIELDS = frozenset(f.python_name for f in Record.__strawberry_definition__.fields)  # type: ignore[attr-defined]


class Shape(Enum):
    """How a scalar column holds its value: TEXT, INTEGER, BOOLEAN (0/1), or LIST (a JSON array of strings as text)."""

    TEXT = "TEXT"
    INTEGER = "INTEGER"
    BOOLEAN = "BOOLEAN"
    LIST = "LIST"


@dataclass(frozen=True, slots=True)
class Scalar:
    """One column. `name` is the GraphQL name, `column` the SQL name."""

    name: str
    column: str
    shape: Shape
    nullable: bool


@dataclass(frozen=True, slots=True)
class Embedded:
    """An object flattened into this table."""

    name: str
    type_name: str
    nullable: bool
    fields: tuple[Scalar | Embedded, ...]


@dataclass(frozen=True, slots=True)
class Children:
    """A list of objects in a child table, rows (record, role, ord, columns)."""

    name: str
    type_name: str
    table: str
    role: str
    fields: tuple[Scalar | Embedded, ...]


@dataclass(frozen=True, slots=True)
class Relation:
    """A list of other records: of the same encounter, or (by_link) named by this record. A view flattens Condition."""

    name: str
    type_name: str
    kind: RecordKind
    by_link: bool
    view: bool


Field = Scalar | Embedded | Children | Relation


@dataclass(frozen=True, slots=True)
class Layout:
    """A record type: its GraphQL name, its detail table, its fields without those of the spine."""

    kind: RecordKind
    type_name: str
    table: str
    fields: tuple[Field, ...]


def snake(name: str) -> str:
    """'weightKg' -> 'weight_kg', 'DocumentReference' -> 'document_reference'."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _fields(of: type, prefix: str, skip: frozenset[str] = frozenset()) -> tuple[Field, ...]:
    definition = get_object_definition(of, strict=True)
    return tuple(_field(f, prefix, definition.name) for f in definition.fields if f.python_name not in skip)


def _field(field: Any, prefix: str, owner: str) -> Field:
    name = _NAMES.get_graphql_name(field)
    kind = field.type
    nullable = isinstance(kind, StrawberryOptional)
    inner = kind.of_type if nullable else kind
    column = prefix + snake(name)
    if isinstance(inner, StrawberryList):
        return _list(name, column, inner.of_type, owner)
    if get_object_definition(inner):
        parts = _plain(_fields(inner, column + "_"))
        return Embedded(name, get_object_definition(inner, strict=True).name, nullable, parts)
    if isinstance(inner, StrawberryEnumDefinition):
        return Scalar(name, column, Shape.TEXT, nullable)
    shape = Shape.BOOLEAN if inner is bool else Shape.INTEGER if inner is int else Shape.TEXT
    return Scalar(name, column, shape, nullable)


def _list(name: str, column: str, item: Any, owner: str) -> Field:
    if not get_object_definition(item):
        return Scalar(name, column, Shape.LIST, False)
    type_name = get_object_definition(item, strict=True).name
    kinds = [kind for kind, record in RECORD_TYPES.items() if record is item]
    if kinds or item is Diagnosis:
        return Relation(
            name, type_name, kinds[0] if kinds else RecordKind.CONDITION, owner != "Encounter", item is Diagnosis
        )
    return Children(name, type_name, snake(type_name), column, _plain(_fields(item, "")))


def _plain(fields: tuple[Field, ...]) -> tuple[Scalar | Embedded, ...]:
    if any(isinstance(f, Children | Relation) for f in fields):
        raise TypeError("a list inside an embedded object has no place in the tables")
    return tuple(f for f in fields if isinstance(f, Scalar | Embedded))


@cache
def layout(kind: RecordKind) -> Layout:
    """The layout of one record kind."""
    record = RECORD_TYPES[kind]
    name = get_object_definition(record, strict=True).name
    return Layout(kind, name, snake(name), _fields(record, "", SPINE_FIELDS))


@cache
def child_layouts() -> dict[str, tuple[Scalar | Embedded, ...]]:
    """Child table name -> its fields, over all record kinds."""
    return {f.table: f.fields for kind in RecordKind for f in layout(kind).fields if isinstance(f, Children)}


def scalars(fields: tuple[Field, ...]) -> list[Scalar]:
    """The columns of these fields, embedded objects flattened, in contract order."""
    out: list[Scalar] = []
    for f in fields:
        if isinstance(f, Scalar):
            out.append(f)
        elif isinstance(f, Embedded):
            out.extend(scalars(f.fields))
    return out
