"""Nodes of other ages: the contract's SDL with parts taken away or put in, and a node that serves it over the naive oracle.

A part is named by its coordinate: 'Encounter.reason', 'Patient.encounters(filter)', 'RecordFilter.code', 'Feed.EMR'.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    REMOVE,
    GraphQLEnumType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    Visitor,
    build_schema,
    execute_sync,
    get_named_type,
    parse,
    print_ast,
    validate,
    visit,
)

from gateway.contracts.contract import Contract, read_contract
from schema.elements import RecordKind
from schema.sdl import printed
from tests import plain
from tests.node_agent.naive import NODE
from tests.plain import Json

SDL = printed("node.graphql")


class _Without(Visitor):
    def __init__(self, drops: frozenset[str], types: frozenset[str]) -> None:
        super().__init__()
        self.drops, self.types = drops, types

    def enter(self, node: Any, _key: Any, _parent: Any, _path: Any, ancestors: Any) -> Any:
        """REMOVE for what is to go."""
        if node.kind == "object_type_definition" and node.name.value in self.types:
            return REMOVE
        if node.kind in ("field_definition", "enum_value_definition", "input_value_definition"):
            names = [a.name.value for a in ancestors if getattr(a, "name", None) is not None]
            at = f"{names[0]}.{names[1]}({node.name.value})" if len(names) > 1 else f"{names[0]}.{node.name.value}"
            if at in self.drops or (node.kind == "field_definition" and _named(node.type) in self.types):
                return REMOVE
        return None


def _named(node: Any) -> str:
    while hasattr(node, "type"):
        node = node.type
    return str(node.name.value)


def older(drops: Iterable[str], kinds: Iterable[RecordKind] = (), base: str = SDL) -> str:
    """The SDL without these parts, and without all that has to do with these kinds of record."""
    types = {f"{plain.type_of(k)}{end}" for k in kinds for end in ("", "Edge", "Connection")}
    drops = set(drops)
    # An interface may not promise what one of its types lacks.
    spine = {f"Record.{d.split('.')[1]}" for d in drops if d.split(".")[0] in plain.RECORD_NAMES}
    gone = frozenset({*drops, *spine, *(f"RecordKind.{k.value}" for k in kinds)})
    return print_ast(visit(parse(base), _Without(gone, frozenset(types))))


def newer(*changes: tuple[str, str]) -> str:
    """The SDL with each text replaced; every text must be there."""
    text = SDL
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


# A contract of the next release: a field, an argument, a filter field, enum values and a kind of record more.
NEXT = newer(
    ("  PHARMACY\n  OTHER", "  PHARMACY\n  TELEHEALTH\n  OTHER"),
    ("reason: String\n", "reason: String\n  triage: String\n"),
    ("code: String = null\n", "code: String = null\n  ward: String = null\n"),
    ("after: String = null", "after: String = null, deep: Boolean = null"),
    ("  OBSERVATION\n", "  OBSERVATION\n  DREAM\n"),
    ("type Quantity {", "type Dream implements Record { id: ID! kind: RecordKind! facility: Facility! feed: Feed! encounterId: ID receivedAt: PartialDate! notResent: Boolean! plot: String }\ntype Quantity {"),
)  # fmt: skip


@dataclass
class Aged:
    """A node that serves an SDL: it validates like any GraphQL server, then answers naively."""

    sdl: str
    schema: GraphQLSchema
    contract: Contract
    asked: list[str]

    @classmethod
    def of(cls, sdl: str) -> Aged:
        """From its printed schema."""
        return cls(sdl, build_schema(sdl, assume_valid_sdl=True), read_contract(sdl), [])

    def reply(self, body: bytes, patients: Mapping[str, Json]) -> bytes:
        """The answer to a request body. patients: by ref."""
        request = json.loads(body)
        self.asked.append(request["query"])
        document = parse(request["query"])
        faults = validate(self.schema, document)
        if faults:
            return json.dumps({"errors": [{"message": f.message} for f in faults]}).encode()
        root = {"_entities": lambda representations: [patients.get(r["ref"]) for r in representations]}
        done = run(self.schema, document, root, request["variables"])
        return json.dumps(done, ensure_ascii=False).encode()


def run(
    schema: GraphQLSchema, document: Any, root: Json, variables: Json, nulls: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """The naive execution; fields in `nulls` ('Encounter.reason') are null whatever the data says."""

    def resolve(source: Any, info: Any, **arguments: Any) -> Any:
        if f"{info.parent_type.name}.{info.field_name}" in nulls:
            return None
        value = source.get(info.field_name)
        arguments.pop("deep", None)  # the next contract's; its default changes nothing
        return value(**arguments) if callable(value) else value

    done = execute_sync(
        schema,
        document,
        root,
        variable_values=variables,
        field_resolver=resolve,
        type_resolver=lambda value, _info, _type: value["__typename"],
    )
    assert not done.errors, done.errors
    return {"data": done.data}


def coordinates() -> dict[str, bool]:
    """Every part of the contract that an older node may lack -> whether a node without it gives null instead."""
    out: dict[str, bool] = {}
    for name, kind in NODE.type_map.items():
        if name.startswith("_") or name in ("Query", "Facility"):
            continue
        if isinstance(kind, GraphQLObjectType):
            for f, field in kind.fields.items():
                out[f"{name}.{f}"] = not isinstance(field.type, GraphQLNonNull)
                out |= {f"{name}.{f}({a})": False for a in field.args}
        elif isinstance(kind, GraphQLEnumType):
            out |= {f"{name}.{v}": False for v in kind.values}
        elif hasattr(kind, "fields") and not isinstance(kind, GraphQLInterfaceType):
            out |= {f"{name}.{f}": False for f in kind.fields}
    # Without these there is no patient to speak of: a test of its own.
    spine = ("Patient.ref", "Patient.ledger", "NodeLedger.failedItems", "NodeLedger.lagging", "NodeLedger.facility")
    return {c: n for c, n in out.items() if c not in spine and not c.startswith("__")}


def scrubbed(value: Any, drops: frozenset[str]) -> Any:
    """Data as a node has it that never knew these enum values."""
    if isinstance(value, list):
        return [scrubbed(v, drops) for v in value]
    if not isinstance(value, dict) or "__typename" not in value:
        return value
    kind: Any = NODE.type_map[value["__typename"]]
    out = {}
    for name, inner in value.items():
        field = kind.fields.get(name)
        enum = get_named_type(field.type) if field is not None else None
        if isinstance(enum, GraphQLEnumType) and f"{enum.name}.{inner}" in drops:
            inner = next(v for v in enum.values if f"{enum.name}.{v}" not in drops)
        out[name] = scrubbed(inner, drops)
    return out


def is_list(kind: Any) -> bool:
    """Whether a type is a list, non-null or not."""
    return isinstance(kind.of_type if isinstance(kind, GraphQLNonNull) else kind, GraphQLList)
