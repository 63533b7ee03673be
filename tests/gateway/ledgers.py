"""Entities, results and the ledger that comes of them: chosen ones, and random ones over random cities."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

from gateway.city.registry import City
from gateway.coverage import Assessment, assess
from gateway.line import SOUND
from gateway.plan import NodeRequest, QueryPlan, Target, plan_query
from gateway.scatter import NodeResult
from schema.coverage import Outcome
from schema.elements import Feed, RecordKind
from tests.gateway.asking import (
    FRESH,
    NOW,
    Question,
    choice,
    city,
    compiled,
    located,
    make_row,
    node_answer,
    node_patient,
    question,
    state,
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
    doubtful: tuple[str, ...] = (),
    permitted: frozenset[RecordKind] | None = None,
) -> QueryPlan:
    return plan_query(asked.subquery, asked.raw, choice(*kept, withheld=withheld, doubtful=doubtful), of, permitted)


ALLERGY = RecordKind.ALLERGY_INTOLERANCE
facility_states: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    age=st.sampled_from([None, 0.0, FRESH - 1, FRESH + 1]), connected=st.booleans(), lagging=st.sampled_from([False, False, True]),
    feeds=st.sampled_from([(Feed.FHIR,), (Feed.BHYT_XML,), ()]),
)  # fmt: skip
outcomes = st.sampled_from([Outcome.ANSWERED] * 6 + list(Outcome))


@dataclass(frozen=True)
class Made:
    """A random city, plan and results, with the ledger that comes of them and what is true of it, worked out apart."""

    city: City
    plan: QueryPlan
    results: list[NodeResult]
    ledger: Assessment
    entities: list[Any]

    @property
    def missing(self) -> bool:
        """Something of a located facility is known to be missing; a row that may be a child's is not."""
        return (
            any(r.outcome not in SOUND for r in self.results)
            or any(s.outcome not in SOUND and s.reason != "IDENTITY_DOUBTFUL" for s in self.plan.skipped)
            or any(e.ledger.failedItems or e.ledger.lagging for e in self.entities)
        )

    @property
    def doubtful(self) -> bool:
        """A row located may be a child's."""
        return any(s.reason == "IDENTITY_DOUBTFUL" for s in self.plan.skipped)

    @property
    def stale(self) -> frozenset[str]:
        """Registered facilities whose locator is not current."""
        return frozenset(
            code
            for code, s in self.city.facilities.items()
            if s.synced_at is None or (NOW - s.synced_at).total_seconds() > FRESH
        )

    @property
    def silent(self) -> bool:
        """A connected facility anywhere has a feed beyond its rhythm."""
        return any(s.lagging for s in self.city.facilities.values() if s.node_id)


@st.composite
def assessed(draw: Any) -> Made:
    codes = sorted(draw(st.sets(st.sampled_from("ABCDE"), max_size=5)))
    some = st.sampled_from([True, *[False] * 9])
    of = city(
        *(state(c, **draw(facility_states)) for c in codes),
        without=tuple(c for c in codes if draw(some)),
        revoked=tuple(c for c in codes if draw(some)),
    )
    kept = draw(st.lists(st.sampled_from(codes), max_size=5)) if codes else []
    few = st.lists(st.sampled_from(kept or codes), max_size=1) if codes else st.just([])
    # Now and then a second node holds rows of the facility: one that was replaced, or moved.
    at = {n: f"node-{draw(st.sampled_from(codes))}" for n in range(len(kept)) if draw(some)}
    found = choice(
        *(replace(located(c, f"ref-{n}"), node_id=at.get(n, f"node-{c}")) for n, c in enumerate(kept)),
        withheld=tuple(draw(few)), doubtful=tuple(draw(few)),
    )  # fmt: skip
    permitted = draw(
        st.sampled_from([None, None, frozenset({RecordKind.ENCOUNTER}), frozenset({ALLERGY, RecordKind.PRESCRIPTION})])
    )
    plan = plan_query(ASKED.subquery, {}, found, of, permitted)
    results, entities = [], []
    for to in plan.requests:
        outcome = draw(outcomes)
        if outcome is not Outcome.ANSWERED:
            # As scatter: several outcomes have no reason.
            results.append(NodeResult(to, outcome, draw(st.sampled_from([None, "WHY"])), 1))
            continue
        mine = [draw(entities_of(t)) for t in to.targets]
        entities += mine
        results.append(answered(to, *mine))
    return Made(of, plan, results, ledger(ASKED, of, results, plan), entities)


@st.composite
def entities_of(draw: Any, target: Target) -> Any:
    kinds = draw(st.lists(st.sampled_from([RecordKind.ENCOUNTER, ALLERGY, RecordKind.PRESCRIPTION]), max_size=3))
    found = rows(target.facility, *kinds)
    for row in found:
        if row["kind"] == ALLERGY.value:
            row["body"] |= {
                "statedNone": draw(st.booleans()),
                "verificationStatus": draw(st.sampled_from([None, "confirmed", "refuted"])),
            }
            row["body"]["code"] = {**row["body"]["code"], "code": draw(st.sampled_from(["716186003", "91936005"]))}
    return entity(
        ASKED,
        target.facility,
        found,
        draw(st.sampled_from([0, 0, 0, 2])),
        draw(st.sampled_from([False, False, False, True])),
    )
