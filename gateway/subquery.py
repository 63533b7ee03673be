"""A client's selection on `patient` -> what every node is asked, and the shape of what comes back. Pure; once a document.

The gateway keeps the levels it owns (answer, patient, connection, edge) and prints only what lies below `node`, with the
fragments and variables that this needs. Aliases c0, c1 … name the connections, n0, n1 … a client's several `node`s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import GenericAlias
from typing import Annotated, Any, Literal

import msgspec
from cachetools import LRUCache
from graphql import FieldNode, VariableNode, Visitor, print_ast, visit
from graphql.language import FragmentDefinitionNode, FragmentSpreadNode, OperationDefinitionNode

from schema.connections import BY_FIELD
from schema.elements import RecordKind
from schema.filters import PAGE_DEFAULT
from schema.scalars import PARTIAL_DATE
from schema.selection import Scope, Selected, Variables, reader

SURVEYS_LIMIT = 16  # contracts other than ours in one city
EDGE_KEYS = "sortKey id facility subject"
COPY_KEYS = "key contentHash"  # asked only of kinds whose documents carry an issuer's number (DESIGN 5, copies)
NUMBERED = frozenset(
    {RecordKind.PRESCRIPTION, RecordKind.IMAGING_STUDY, RecordKind.REFERRAL, RecordKind.APPOINTMENT, None}
)
PROBES = {
    "allergyStatus": "probe: allergies(first: 200) { edges { subject node { statedNone verificationStatus code { code } } } "
    "pageInfo { hasNextPage } }",
    "medicationStatus": "m0: prescriptions(first: 1) { edges { subject } } "
    "m1: medicationAdministrations(first: 1) { edges { subject } }",
}
PROBE_PARTS = {"allergyStatus": ("probe",), "medicationStatus": ("m0", "m1")}


@dataclass(frozen=True, slots=True)
class ConnectionPlan:
    """One connection the client selected. `owner` is the response key of its `patient`, `part` finds it in a node's answer.

    edges: (response key, selection) of each `edges`, which may stand there under several aliases. nodes: (the response
    keys of an `edges` and of a `node` in it, n0 …).
    """

    owner: str
    key: str
    part: str
    field: str
    kind: RecordKind | None
    text: str
    parts: tuple[Selected, ...]
    edges: tuple[tuple[str, tuple[Selected, ...]], ...]
    nodes: tuple[tuple[tuple[str, str], str], ...]
    first: Callable[[Variables], Any]
    after: Callable[[Variables], Any]
    filter: Callable[[Variables], Any]

    def binding(self, variables: Variables) -> bytes:
        """What a cursor of this list is bound to: the field and its filter, which decide rows and order."""
        return self.field.encode() + b"|" + msgspec.json.encode(self.filter(variables), order="deterministic")


@dataclass(frozen=True, slots=True)
class SubQuery:
    """What is asked and how to read it. decoder: of the whole response; variables: names of the client's that are forwarded.

    patients: (response key, selection) of each `patient` below the answer. surveys: how nodes of other contracts are asked,
    kept here by reduced.py.
    """

    text: str
    prefix: str
    variables: tuple[str, ...]
    connections: tuple[ConnectionPlan, ...]
    answer: tuple[Selected, ...]
    patients: tuple[tuple[str, tuple[Selected, ...]], ...]
    probes: frozenset[str]
    decoder: msgspec.json.Decoder[Any]
    surveys: LRUCache[Any, Any] = field(default_factory=lambda: LRUCache(SURVEYS_LIMIT), compare=False, repr=False)


# A node's word is checked for what the contract promises a client; \Z since $ would take a line feed.
Date = Annotated[str, msgspec.Meta(pattern=rf"^(?:{PARTIAL_DATE.pattern})\Z")]


class Health(msgspec.Struct):
    """NodeLedger as a node answers it."""

    failedItems: int  # noqa: N815
    asOf: Date | None  # noqa: N815
    lagging: bool
    feedLagSeconds: int | None  # noqa: N815


class More(msgspec.Struct):
    """NodePageInfo."""

    hasNextPage: bool  # noqa: N815


class _Code(msgspec.Struct):
    code: str | None


class _Statement(msgspec.Struct):
    statedNone: bool  # noqa: N815
    verificationStatus: str | None  # noqa: N815
    code: _Code


class _StatementEdge(msgspec.Struct):
    subject: str
    node: _Statement


class _Subject(msgspec.Struct):
    subject: str


def compile_subquery(
    scope: Scope, operation: OperationDefinitionNode, nodes: tuple[FieldNode, ...], compare: bool = False
) -> SubQuery:
    """Compile the selection of one `patient` response key. compare: ask every edge for what recognises copies (copies.py)."""
    answer = scope.collect(nodes, "PatientAnswer")
    patients = tuple((s.key, scope.collect(s.nodes, "Patient")) for s in answer if s.name == "patient")
    prefix = "q_"
    while any(d.variable.name.value.startswith(prefix) for d in operation.variable_definitions or ()):
        prefix = "_" + prefix
    selected = [(owner, s) for owner, patient in patients for s in patient]
    lists = [(owner, s) for owner, s in selected if s.name in BY_FIELD]
    connections = [_connection(scope, owner, s, number, prefix, compare) for number, (owner, s) in enumerate(lists)]
    probes = frozenset(s.name for _, s in selected if s.name in ("allergyStatus", "medicationStatus"))
    body = [c.text for c in connections]
    body += [PROBES[name] for name in sorted(probes)]
    edges = [part for c in connections for _, edge in c.edges for part in edge]
    # What stands in a `node`; directives on the `node` itself are decided here and not printed.
    bodies = [n.selection_set for part in edges if part.name == "node" for n in part.nodes]
    fragments = _fragments(bodies, scope)
    variables = _variables([*(s.argument("filter") for _, s in lists), *bodies, *fragments])
    own = "".join(f",${prefix}first{i}:Int!,${prefix}after{i}:String" for i in range(len(connections)))
    definitions = "".join(
        "," + print_ast(d) for d in operation.variable_definitions or () if d.variable.name.value in variables
    )
    text = (
        f"query(${prefix}refs:[_Any!]!{own}{definitions}){{_entities(representations:${prefix}refs){{...on Patient{{"
        f"ledger{{failedItems asOf lagging feedLagSeconds}} ref name birthDate gender {' '.join(body)}}}}}}}"
        + "".join(print_ast(f) for f in fragments)
    )
    return SubQuery(
        text,
        prefix,
        tuple(sorted(variables)),
        tuple(connections),
        answer,
        patients,
        probes,
        _decoder(connections, probes, compare),
    )


def _connection(
    scope: Scope, owner: str, selected: Selected, number: int, prefix: str, compare: bool
) -> ConnectionPlan:
    types = BY_FIELD[selected.name]
    name = types.gateway.__name__.removesuffix("Connection")
    parts = scope.collect(selected.nodes, f"{name}Connection")
    edges = tuple((p.key, scope.collect(p.nodes, f"{name}Edge")) for p in parts if p.name == "edges")
    bodies = [(key, p) for key, edge in edges for p in edge if p.name == "node"]
    return ConnectionPlan(
        owner,
        selected.key,
        f"c{number}",
        selected.name,
        types.kind,
        _print(selected, number, prefix, [p for _, p in bodies], compare),
        parts,
        edges,
        tuple(((key, p.key), f"n{i}") for i, (key, p) in enumerate(bodies)),
        reader(selected.argument("first"), PAGE_DEFAULT),
        reader(selected.argument("after")),
        reader(selected.argument("filter")),
    )


def _print(selected: Selected, number: int, prefix: str, bodies: list[Selected], compare: bool) -> str:
    given = selected.argument("filter")
    filters = f",filter:{print_ast(given)}" if given is not None else ""
    copies = COPY_KEYS if compare or BY_FIELD[selected.name].kind in NUMBERED else ""
    kind = "" if BY_FIELD[selected.name].kind else " kind"
    inner = " ".join(
        f"n{i}:node{{{' '.join(_strip(print_ast(n.selection_set)) for n in body.nodes if n.selection_set)}}}"
        for i, body in enumerate(bodies)
    )
    return (
        f"c{number}:{selected.name}(first:${prefix}first{number},after:${prefix}after{number}{filters})"
        f"{{edges{{{EDGE_KEYS} {copies}{kind} {inner}}} pageInfo{{hasNextPage}}}}"
    )


def _strip(selection_set: str) -> str:
    return selection_set.strip()[1:-1]


class _Names(Visitor):
    """Collects the fragment spreads below a node."""

    def __init__(self) -> None:
        super().__init__()
        self.spreads: list[str] = []

    def enter_fragment_spread(self, node: FragmentSpreadNode, *_: Any) -> None:
        self.spreads.append(node.name.value)


def _fragments(bodies: Iterable[Any], scope: Scope) -> list[FragmentDefinitionNode]:
    """Every fragment that these selections reach."""
    found: dict[str, FragmentDefinitionNode] = {}
    waiting: list[Any] = list(bodies)
    while waiting:
        names = _Names()
        visit(waiting.pop(), names)
        for name in names.spreads:
            if name not in found:
                found[name] = scope.fragments[name]
                waiting.append(found[name])
    return list(found.values())


class _VariableNames(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def enter_variable(self, node: VariableNode, *_: Any) -> None:
        self.names.add(node.name.value)


def _variables(nodes: list[Any]) -> set[str]:
    names = _VariableNames()
    for node in nodes:
        if node is not None:
            visit(node, names)
    return names.names


def _decoder(connections: list[ConnectionPlan], probes: frozenset[str], compare: bool) -> msgspec.json.Decoder[Any]:
    fields: list[Any] = [
        ("ledger", Health),
        ("ref", str),
        ("name", str | None),
        ("birthDate", Date | None),
        ("gender", Literal["MALE", "FEMALE", "OTHER", "UNKNOWN"] | None),
    ]
    for plan in connections:
        edge_fields: list[Any] = [
            ("sortKey", str),
            ("facility", str),
            ("id", str),
            ("subject", str),
        ]
        edge_fields += [("kind", RecordKind)] if plan.kind is None else []
        edge_fields += [(alias, msgspec.Raw) for _, alias in plan.nodes]
        numbered = compare or plan.kind in NUMBERED
        edge_fields += [("key", str | None), ("contentHash", str)] if numbered else []
        edge_fields += [] if numbered else [("key", None, None)]
        edges: Any = GenericAlias(list, (msgspec.defstruct("Edge", edge_fields, gc=False),))
        fields.append((plan.part, msgspec.defstruct("Connection", [("edges", edges), ("pageInfo", More)])))
    if "allergyStatus" in probes:
        fields.append(("probe", msgspec.defstruct("Probe", [("edges", list[_StatementEdge]), ("pageInfo", More)])))
    if "medicationStatus" in probes:
        fields += [(m, msgspec.defstruct("Probe", [("edges", list[_Subject])])) for m in ("m0", "m1")]
    entities: Any = GenericAlias(list, (msgspec.defstruct("Entity", fields) | None,))
    data = msgspec.defstruct("Data", [("_entities", entities)])
    envelope = msgspec.defstruct("Envelope", [("data", data | None, None), ("errors", list[Any] | None, None)])
    return msgspec.json.Decoder(envelope)
