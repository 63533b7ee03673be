"""Does a record's body fit its contract type? Walks the Strawberry definitions; knows no feed and no record
by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Any

from strawberry.schema.name_converter import NameConverter
from strawberry.types.base import StrawberryList, StrawberryOptional, has_object_definition
from strawberry.types.enum import StrawberryEnumDefinition
from strawberry.types.field import StrawberryField

from node_agent.records import ParsedFile, ParsedRecord
from schema.clinical import RECORD_TYPES
from schema.elements import Diagnosis
from schema.record import Record
from schema.scalars import DECIMAL, PARTIAL_DATE, Decimal, PartialDate

NAMES = NameConverter(auto_camel_case=True)
PLAIN: dict[Any, type] = {str: str, int: int, bool: bool, float: float}
MAX_INT = 2**31


def problems(parsed: ParsedFile) -> list[str]:
    """Every misfit of every record of a parsed file, and source keys used twice; empty when all is well."""
    found: list[str] = []
    for unit in parsed.units:
        keys = [record.source_key for record in unit.records]
        found += [f"{key} used twice" for key in keys if keys.count(key) > 1]
        for record in unit.records:
            found += [f"{record.source_key}: {problem}" for problem in record_problems(record)]
            found += [
                f"{record.source_key}: {relation} -> {key} unknown" for relation, key in _loose(record, set(keys))
            ]
    return found


def record_problems(record: ParsedRecord) -> list[str]:
    """The misfits of one record: its body by the contract, and its time."""
    found = list(
        _object(
            record.body,
            RECORD_TYPES[record.kind],
            record.kind.value,
            skip=_outside(RECORD_TYPES[record.kind]),
        )
    )
    if record.time is not None and not PARTIAL_DATE.fullmatch(record.time):
        found.append("time is no PartialDate")
    return found


def _loose(record: ParsedRecord, keys: set[str]) -> Iterator[tuple[str, str]]:
    for relation, targets in record.links.items():
        yield from ((relation, key) for key in targets if key not in keys)


def _fields(type_: type) -> list[StrawberryField]:
    return list(type_.__strawberry_definition__.fields)  # type: ignore[attr-defined]


def _outside(type_: type) -> set[str]:
    """Fields a feed leaves out: those of the Record interface, and relations to other records."""
    names = {field.python_name for field in _fields(Record)}
    for field in _fields(type_):
        inner = field.type.of_type if isinstance(field.type, StrawberryList) else field.type
        if isinstance(inner, type) and (issubclass(inner, Record) or inner is Diagnosis):
            names.add(field.python_name)
    return names


def _object(body: Any, type_: type, where: str, skip: set[str] = frozenset()) -> Iterator[str]:  # type: ignore[assignment]
    if not isinstance(body, dict):
        yield f"{where} is no object"
        return
    wanted = {NAMES.get_graphql_name(field): field for field in _fields(type_) if field.python_name not in skip}
    yield from (f"{where}.{name} is not in the contract" for name in body.keys() - wanted.keys())
    for name, field in wanted.items():
        if name not in body:
            yield f"{where}.{name} is missing"
        else:
            yield from _value(body[name], field.type, f"{where}.{name}")


def _value(value: Any, type_: Any, where: str) -> Iterator[str]:
    if isinstance(type_, StrawberryOptional):
        if value is not None:
            yield from _value(value, type_.of_type, where)
    elif value is None:
        yield f"{where} is null"
    elif isinstance(type_, StrawberryList):
        if not isinstance(value, list):
            yield f"{where} is no list"
        else:
            for place, item in enumerate(value):
                yield from _value(item, type_.of_type, f"{where}[{place}]")
    elif has_object_definition(type_):
        yield from _object(value, type_, where)
    else:
        yield from _leaf(value, type_, where)


def _leaf(value: Any, type_: Any, where: str) -> Iterator[str]:
    enum = type_.wrapped_cls if isinstance(type_, StrawberryEnumDefinition) else type_
    if isinstance(enum, type) and issubclass(enum, Enum):
        if not isinstance(value, str) or value not in enum.__members__:
            yield f"{where} is no {enum.__name__}"
    elif type_ is PartialDate or type_ is Decimal:
        shape = PARTIAL_DATE if type_ is PartialDate else DECIMAL
        if not isinstance(value, str) or not shape.fullmatch(value):
            yield f"{where} is no {type_.__name__}"
    elif type_ not in PLAIN:
        yield f"{where} has type {type_!r}, which this check does not know"
    elif type(value) is not PLAIN[type_]:
        yield f"{where} is no {type_.__name__}"
    elif isinstance(value, int) and not -MAX_INT <= value < MAX_INT:
        yield f"{where} does not fit Int"
    elif isinstance(value, str) and any("\ud800" <= char <= "\udfff" or char == "\x00" for char in value):
        yield f"{where} holds a character no store keeps"
