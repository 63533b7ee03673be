"""A parsed record flattened into rows, checked against the contract on the way. Pure: no database, no clock.

The check is a safety net: feeds are ours, but a body that breaks the contract would spoil every answer it is copied into.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec
from strawberry.types.base import StrawberryList, StrawberryOptional, get_object_definition
from strawberry.types.enum import StrawberryEnumDefinition

from node_agent.columns import Children, Embedded, Field, Layout, Relation, Scalar, Shape, layout, scalars
from node_agent.errors import ContractViolation
from node_agent.records import Body, ParsedRecord
from schema.clinical import RECORD_TYPES
from schema.elements import RecordKind
from schema.scalars import DECIMAL, PARTIAL_DATE, Decimal, PartialDate, schema_config

Row = dict[str, Any]
Check = Callable[[Any], bool]
_NAMES = schema_config().name_converter
CODE_LETTERS = 400
_UNSEARCHED = str.maketrans("", "", ".*†  ")


@dataclass(frozen=True, slots=True)
class BodyRows:
    """A body as rows. children: (table, row without record); codes: what a code filter finds, sorted."""

    table: str
    detail: Row
    children: tuple[tuple[str, Row], ...]
    codes: tuple[str, ...]
    content_hash: str


def flatten(record: ParsedRecord) -> BodyRows:
    """The rows of one record's body. Raises ContractViolation naming table and field."""
    shape = layout(record.kind)
    walk = _Walk(record.table, [], set())
    detail: Row = dict.fromkeys(_columns(record.kind))
    walk.fill(shape.fields, record.body, shape.type_name, "", detail)
    codes = tuple(sorted(walk.codes))
    return BodyRows(shape.table, detail, tuple(walk.children), codes, content_hash(record))


def content_hash(record: ParsedRecord) -> str:
    """32 hex digits of SHA-256 over the canonical JSON of {kind, body}: keys sorted, no spaces, UTF-8.

    Nulls and empty lists are left out first, so a field that a later contract adds changes no hash.
    """
    try:
        text = msgspec.json.encode({"kind": record.kind.value, "body": _lean(record.body)}, order="sorted")
    except (UnicodeEncodeError, TypeError):
        raise ContractViolation(
            record.table, "*", "nội dung không phải JSON UTF-8", "the body is not UTF-8 JSON"
        ) from None
    return hashlib.sha256(text).hexdigest()[:32]


def document_key(record: ParsedRecord) -> str | None:
    """32 hex digits that recognise copies of one numbered document; None without an issuer's number."""
    if record.number is None:
        return None
    issuer, number = record.number
    return hashlib.sha256(f"{issuer}|{record.kind.value}|{number}".encode()).hexdigest()[:32]


def search_code(text: str) -> str:
    """'E11.9†' -> 'E119'. Only the beginning of a long text: PostgreSQL's indexes have no place for more than 2.7 kB."""
    return text.translate(_UNSEARCHED).upper()[:CODE_LETTERS]


def target_kind(record: ParsedRecord, role: str) -> RecordKind:
    """The kind of the records that a link of this role names. Raises ContractViolation for a role the kind has not."""
    try:
        return _link_kinds(record.kind)[role]
    except KeyError:
        raise ContractViolation(record.table, role, "không có quan hệ này", "no such relation") from None


@dataclass(slots=True)
class _Walk:
    """One pass over a body; `children` and `codes` fill up on the way."""

    table: str
    children: list[tuple[str, Row]]
    codes: set[str]

    def fill(self, fields: tuple[Field, ...], body: Body, owner: str, path: str, row: Row) -> None:
        names = _names_of(owner, fields)
        if not isinstance(body, dict):
            raise self._wrong(path or owner, "không phải đối tượng", "is not an object")
        if not names.issuperset(body):
            unknown = min(str(k) for k in body if k not in names)
            raise self._wrong(path + unknown, "không có trong hợp đồng", "is not in the contract")
        if owner == "Code" and (text := body.get("code") or body.get("asSent")):
            self.codes.add(search_code(str(text)))
        for field in fields:
            value = body.get(field.name)
            if isinstance(field, Scalar):
                row[field.column] = self._scalar(field, value, owner, path)
            elif isinstance(field, Embedded):
                if value is not None:
                    self.fill(field.fields, value, field.type_name, f"{path}{field.name}.", row)
                elif not field.nullable:
                    raise self._wrong(path + field.name, "thiếu", "is missing")
            elif isinstance(field, Children):
                self._list(field, value)

    def _scalar(self, field: Scalar, value: Any, owner: str, path: str) -> Any:
        if field.shape is Shape.LIST:
            items = [] if value is None else value
            if not isinstance(items, list) or not all(_is_text(i) for i in items):
                raise self._wrong(path + field.name, "không phải danh sách chữ", "is not a list of strings")
            return msgspec.json.encode(items).decode()
        if value is None:
            if field.nullable:
                return None
            raise self._wrong(path + field.name, "thiếu", "is missing")
        if not _checks()[owner, field.name](value):
            raise self._wrong(path + field.name, "sai kiểu hoặc giá trị", "has a wrong type or value")
        return value

    def _list(self, field: Children, value: Any) -> None:
        items = [] if value is None else value
        if not isinstance(items, list):
            raise self._wrong(field.name, "không phải danh sách", "is not a list")
        for index, item in enumerate(items):
            row: Row = {"role": field.role, "ord": index, **_blank(field.table, field.fields)}
            self.fill(field.fields, item, field.type_name, f"{field.name}[{index}].", row)
            self.children.append((field.table, row))

    def _wrong(self, field: str, vi: str, en: str) -> ContractViolation:
        return ContractViolation(self.table, field, vi, en)


def _lean(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: lean for k, v in value.items() if (lean := _lean(v)) is not None and lean != [] and lean != {}}
    return [_lean(v) for v in value] if isinstance(value, list) else value


@cache
def _columns(kind: RecordKind) -> tuple[str, ...]:
    return tuple(s.column for s in scalars(layout(kind).fields))


_BLANKS: dict[str, Row] = {}


def _blank(table: str, fields: tuple[Scalar | Embedded, ...]) -> Row:
    if table not in _BLANKS:
        _BLANKS[table] = dict.fromkeys(s.column for s in scalars(tuple(fields)))
    return _BLANKS[table]


_NAMES_OF: dict[str, frozenset[str]] = {}


def _names_of(owner: str, fields: tuple[Field, ...]) -> frozenset[str]:
    # By the type's name, which decides them: hashing the fields themselves for every object costs a tenth of all.
    if owner not in _NAMES_OF:
        _NAMES_OF[owner] = frozenset(f.name for f in fields if not isinstance(f, Relation))
    return _NAMES_OF[owner]


@cache
def _link_kinds(kind: RecordKind) -> dict[str, RecordKind]:
    shape: Layout = layout(kind)
    return {f.name: f.kind for f in shape.fields if isinstance(f, Relation) and f.by_link}


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and "\0" not in value  # PostgreSQL has no place for NUL in text


@cache
def _checks() -> dict[tuple[str, str], Check]:
    """(GraphQL type, field) -> whether a value fits, for every leaf that a record can hold."""
    checks: dict[tuple[str, str], Check] = {}
    waiting: list[Any] = list(RECORD_TYPES.values())
    seen: set[str] = set()
    while waiting:
        definition = get_object_definition(waiting.pop(), strict=True)
        if definition.name in seen:
            continue
        seen.add(definition.name)
        for field in definition.fields:
            kind: Any = field.type
            while isinstance(kind, StrawberryOptional | StrawberryList):
                kind = kind.of_type
            if get_object_definition(kind):
                waiting.append(kind)
            else:
                checks[definition.name, _NAMES.get_graphql_name(field)] = _leaf(kind)
    return checks


def _leaf(kind: Any) -> Check:
    if isinstance(kind, StrawberryEnumDefinition):
        names = frozenset(v.name for v in kind.values)
        return lambda value: isinstance(value, str) and value in names
    if kind is PartialDate:
        return lambda value: isinstance(value, str) and PARTIAL_DATE.fullmatch(value) is not None
    if kind is Decimal:
        return lambda value: isinstance(value, str) and DECIMAL.fullmatch(value) is not None
    if kind is bool:
        return lambda value: isinstance(value, bool)
    if kind is int:
        return lambda value: isinstance(value, int) and not isinstance(value, bool) and -(2**31) <= value < 2**31
    return _is_text
