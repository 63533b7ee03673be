"""Entities, results and the ledger that comes of them."""

from __future__ import annotations

import random
from typing import Any

from gateway.coverage import Assessment, assess
from gateway.plan import NodeRequest, QueryPlan, plan_query
from gateway.registry import City
from gateway.scatter import NodeResult
from schema.coverage import Outcome
from schema.elements import RecordKind
from tests.gateway.asking import (
    FRESH,
    NOW,
    Question,
    choice,
    compiled,
    make_row,
    node_answer,
    node_patient,
    question,
)
from tests.plain import Json

ASKED = compiled(
    question(
        "allergyStatus medicationStatus encounters(first: 2) { edges { node { id } } } timeline(first: 4) { edges { node { id } } }"
    )
)
PLAIN = compiled(question("encounters { edges { node { id } } }"))
TIME = "2024-01-01T00:00:00.000000"


def entity(asked: Question, facility: str, rows: list[Json], failed: int = 0, lagging: bool = False) -> Any:
    patient = node_patient(facility, rows)
    patient["ledger"] = {**patient["ledger"], "failedItems": failed, "lagging": lagging, "feedLagSeconds": 5}
    sizes = tuple(c.first(asked.raw) for c in asked.subquery.connections)
    decoded = asked.subquery.decoder.decode(node_answer(asked, sizes, patient))
    return decoded.data._entities[0]


def answered(to: NodeRequest, *entities: Any) -> NodeResult:
    return NodeResult(to, Outcome.ANSWERED, None, 7, entities)


def failing(to: NodeRequest, outcome: Outcome) -> NodeResult:
    return NodeResult(to, outcome, "WHY", 9)


def rows(facility: str, *kinds: RecordKind) -> list[Json]:
    return [make_row(random.Random(n), facility, n, kind, TIME) for n, kind in enumerate(kinds)]


def ledger(asked: Question, of: City, results: list[NodeResult], plan: QueryPlan) -> Assessment:
    return assess(plan, results, of, asked.subquery, NOW, FRESH)


def planned(
    asked: Question,
    of: City,
    *kept: Any,
    withheld: tuple[str, ...] = (),
    permitted: frozenset[RecordKind] | None = None,
) -> QueryPlan:
    return plan_query(asked.subquery, asked.raw, choice(*kept, withheld=withheld), of, permitted)
