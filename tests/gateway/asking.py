"""A question compiled as the gateway compiles it, nodes that answer naively, and the naive whole: what tests of the heart share."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import msgspec
from graphql import FieldNode

from gateway.answer import Prepared
from gateway.breaker import Breakers
from gateway.city.registry import City, FacilityState, Node
from gateway.connection import ConnectionWriter
from gateway.graph import city_schema
from gateway.identity.choice import Choice, Located, Withheld
from gateway.identity.city_key import PersonDigest
from gateway.plan import NodeRequest, QueryPlan, Target
from gateway.reading import Slice, check_entities, decode_answer
from gateway.scatter import NodeResult, ask_parts, gathered
from gateway.sending import Send
from gateway.shape import shape
from gateway.subquery import SubQuery, compile_subquery
from node_agent.records import ParsedPatient
from schema.elements import Feed, RecordKind
from schema.execution import Document, Executor, Request
from schema.identity import IdentifierKind
from schema.selection import Scope
from tests import plain
from tests.node_agent.naive import EVERYTHING, NODE, codes_of, naive_patient
from tests.plain import Json

EXECUTOR = Executor(city_schema())
CITY_SCHEMA = plain.plain_schema(city_schema())
NOW = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
FRESH = 300.0
HEAD = "query($by: PatientBy!, $access: AccessInput!"
COVERAGE = "coverage { completeness }"


def question(patient: str, more: str = "", coverage: str = COVERAGE, rest: str = "") -> str:
    """A whole query around a selection on Patient; `more` declares variables, `rest` adds fragments."""
    inner = f"patient {{ {patient} }}" if patient else ""
    return f"{HEAD}{more}) {{ patient(by: $by, access: $access) {{ {coverage} {inner} }} }} {rest}"


@dataclass(frozen=True)
class Question:
    """A compiled question with its variables."""

    document: Document
    scope: Scope
    subquery: SubQuery
    raw: Json

    @property
    def writers(self) -> tuple[ConnectionWriter, ...]:
        return tuple(ConnectionWriter(self.scope, c) for c in self.subquery.connections)

    @property
    def prepared(self) -> Prepared:
        coverage = tuple((s.key, shape(self.scope, s)) for s in self.subquery.answer if s.name == "coverage")
        return Prepared(self.subquery, b"", coverage, self.writers)


def compiled(query: str, **variables: Any) -> Question:
    """As gateway/graph.py does for the operation's first field."""
    document = EXECUTOR.document(query)
    assert not document.errors, document.errors
    (operation,) = document.operations.values()
    raw = document.variables(Request(query, variables))
    _, scope = document.scope(raw)
    nodes = tuple(f for f in operation.selection_set.selections if isinstance(f, FieldNode))
    return Question(document, scope, compile_subquery(scope, operation, nodes), raw)


def node(facility: str, revoked: bool = False) -> Node:
    return Node(f"node-{facility}", f"http://{facility}.example", (facility,), "{}", "1.0", revoked)


def state(
    code: str,
    age: float | None = 0.0,
    feeds: tuple[Feed, ...] = (Feed.FHIR,),
    connected: bool = True,
    lagging: bool = False,
) -> FacilityState:
    synced = None if age is None else NOW - timedelta(seconds=age)
    return FacilityState(
        code, f"Bệnh viện {code}", f"node-{code}" if connected else None, frozenset(feeds), synced, lagging
    )


def city(*states: FacilityState, without: tuple[str, ...] = (), revoked: tuple[str, ...] = ()) -> City:
    """A city in which every connected facility has a node, but for those `without`."""
    nodes = {f"node-{s.code}": node(s.code, s.code in revoked) for s in states if s.node_id and s.code not in without}
    return City(MappingProxyType({s.code: s for s in states}), MappingProxyType(nodes))


def located(facility: str, ref: str = "") -> Located:
    return Located(
        f"node-{facility}", facility, ref or f"ref-{facility}", IdentifierKind.CCCD, PersonDigest(), None, False
    )


def choice(*kept: str | Located, withheld: tuple[str, ...] = (), doubtful: tuple[str, ...] = ()) -> Choice:
    rows = tuple(located(k) if isinstance(k, str) else k for k in kept)
    conflicts = tuple((located(w), Withheld.IDENTITY_CONFLICT) for w in withheld)
    return Choice(rows, conflicts + tuple((located(d, "child"), Withheld.IDENTITY_DOUBTFUL) for d in doubtful))


def request(*facilities: str) -> NodeRequest:
    return NodeRequest(node(facilities[0]), tuple(Target(f, f"ref-{f}") for f in facilities))


def make_row(
    rng: random.Random,
    facility: str,
    number: int,
    kind: RecordKind,
    sort: str,
    key: str | None = None,
    digest: str = "",
) -> Json:
    """One record of a facility as the naive node knows it."""
    body = plain.completed(NODE, plain.type_of(kind), plain.make_body(NODE, plain.type_of(kind), rng))
    rid = f"{facility}-{number:03d}"
    spine = {
        "id": rid, "kind": kind.value, "feed": "FHIR", "encounterId": None, "receivedAt": "2026-03-01", "notResent": False,
        "facility": {"__typename": "Facility", "code": facility, "name": f"Bệnh viện {facility}"},
    }  # fmt: skip
    body |= spine
    return {
        "name": facility, "seq": number, "body": body, "labels": 0, "hash": digest or f"h{rid}", "key": key, "links": {},
        "sort": sort, "facility": facility, "id": rid, "kind": kind.value, "encounter": None, "codes": sorted(codes_of(body)),
    }  # fmt: skip


def node_patient(facility: str, rows: list[Json]) -> Json:
    """A node's Patient over these rows."""
    patient = ParsedPatient(facility, "p", (), f"Tên ở {facility}", "1980-03-05", "FEMALE")
    return naive_patient(f"ref-{facility}", patient, rows, EVERYTHING)


def node_answer(
    asked: Question, sizes: tuple[int, ...], *patients: Json | None, after: tuple[str | None, ...] = ()
) -> bytes:
    """The bytes of a node that answers the sub-query naively for these patients."""
    prefix = asked.subquery.prefix
    variables: Json = {name: asked.raw[name] for name in asked.subquery.variables if name in asked.raw}
    for i, size in enumerate(sizes):
        variables[f"{prefix}first{i}"] = size
        variables[f"{prefix}after{i}"] = after[i] if after else None
    variables[f"{prefix}refs"] = [{}] * len(patients)
    root = {"_entities": lambda representations: list(patients)}
    return msgspec.json.encode({"data": plain.answer(NODE, asked.subquery.text, root, variables)})


async def scatter(
    plan: QueryPlan,
    send: Send,
    subquery: SubQuery,
    pages: tuple[Slice, ...] | Mapping[str, tuple[Slice, ...]],
    deadline: float = math.inf,
    breakers: Breakers | None = None,
) -> tuple[NodeResult, ...]:
    """All planned nodes asked about one patient, as History asks them; results in the plan's order. pages: what of each list is asked, of all nodes
    alike or by node id. `send` keeps the deadline of each call; see gathered for `deadline`.
    """
    by_node = (lambda _: pages) if isinstance(pages, tuple) else pages.__getitem__
    asked = [ask_parts(r, (r,), send, subquery, by_node(r.node.id), breakers) for r in plan.requests]
    return tuple(r for results in await gathered(asked, [(r,) for r in plan.requests], deadline) for r in results)


def read_answer(body: bytes, request: NodeRequest, subquery: SubQuery, pages: tuple[Slice, ...]) -> tuple[Any, ...]:
    """The decoded entities, one a target; raises InvalidAnswer."""
    return check_entities(decode_answer(body, request, subquery), request, subquery, pages)
