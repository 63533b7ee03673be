"""What holds of every ledger, over random cities: no gap is hidden, and no 'none' that nobody stated."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.answer import ALLERGIES, allergy_status
from gateway.coverage import SOUND, Assessment, Line, as_value, statement_status
from gateway.plan import QueryPlan, Target, plan_query
from gateway.registry import City
from gateway.scatter import NodeResult
from schema.coverage import Completeness, Outcome, StatementStatus
from schema.elements import Feed, RecordKind
from tests.gateway.asking import (
    FRESH,
    NOW,
    choice,
    city,
    located,
    state,
)
from tests.gateway.ledgers import ASKED, answered, entity, ledger, rows

relaxed = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
facility_states: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    age=st.sampled_from([None, 0.0, FRESH - 1, FRESH + 1]), connected=st.booleans(), lagging=st.sampled_from([False, False, True]),
    feeds=st.sampled_from([(Feed.FHIR,), (Feed.BHYT_XML,), ()]),
)  # fmt: skip
outcomes = st.sampled_from([Outcome.ANSWERED] * 6 + list(Outcome))
ALLERGY = RecordKind.ALLERGY_INTOLERANCE


@st.composite
def assessed(draw: Any) -> tuple[City, QueryPlan, list[NodeResult], Assessment, list[Any]]:
    """A random city, plan and results, with the ledger that comes of them."""
    codes = sorted(draw(st.sets(st.sampled_from("ABCDE"), max_size=5)))
    of = city(
        *(state(c, **draw(facility_states)) for c in codes),
        without=tuple(c for c in codes if draw(st.integers(0, 9)) == 0),
    )
    kept = draw(st.lists(st.sampled_from(codes), max_size=5)) if codes else []
    withheld = tuple(draw(st.lists(st.sampled_from(codes), max_size=1))) if codes else ()
    permitted = draw(
        st.sampled_from([None, None, frozenset({RecordKind.ENCOUNTER}), frozenset({ALLERGY, RecordKind.PRESCRIPTION})])
    )
    kept_rows = [located(c, f"ref-{n}") for n, c in enumerate(kept)]
    plan = plan_query(ASKED.subquery, {}, choice(*kept_rows, withheld=withheld), of, permitted)
    results, entities = [], []
    for to in plan.requests:
        outcome = draw(outcomes)
        if outcome is not Outcome.ANSWERED:
            results.append(NodeResult(to, outcome, "WHY", 1))
            continue
        mine = [draw(entities_of(t)) for t in to.targets]
        entities += mine
        results.append(answered(to, *mine))
    return of, plan, results, ledger(ASKED, of, results, plan), entities


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


@relaxed
@given(assessed())
def test_every_located_facility_has_exactly_one_line(made: Any) -> None:
    of, plan, results, ledger_, _ = made
    expected = {s.facility for s in plan.skipped} | {t.facility for r in plan.requests for t in r.targets}
    assert [line.facility for line in ledger_.located] == sorted(expected)
    assert {b.facility for b in ledger_.behind} == {
        c for c, s in of.facilities.items() if s.synced_at is None or (NOW - s.synced_at).total_seconds() > FRESH
    }
    shown = [x["facility"]["code"] for x in as_value(ledger_, of, [])["facilities"]]
    assert len(shown) == len(set(shown)) and set(shown) == expected | {b.facility for b in ledger_.behind}
    assert sum(line.records for line in ledger_.located) >= 0 and len(results) == len(plan.requests)


@relaxed
@given(assessed())
def test_complete_is_said_only_when_nothing_is_known_to_be_missing(made: Any) -> None:
    of, plan, results, ledger_, entities = made
    missing = (
        any(r.outcome not in SOUND for r in results)
        or any(s.outcome not in SOUND for s in plan.skipped)
        or any(e.ledger.failedItems or e.ledger.lagging for e in entities)
    )
    behind = any(
        s.synced_at is None or (NOW - s.synced_at).total_seconds() > FRESH or (s.lagging and s.node_id)
        for s in of.facilities.values()
    )
    nobody = not plan.requests and not plan.skipped
    expected = (
        Completeness.INCOMPLETE if missing else Completeness.UNCERTAIN if behind or nobody else Completeness.COMPLETE
    )
    assert ledger_.completeness is expected


@relaxed
@given(
    assessed(),
    st.booleans(),
    st.sampled_from([ALLERGIES, frozenset({RecordKind.PRESCRIPTION, RecordKind.MEDICATION_ADMINISTRATION})]),
)
def test_nothing_is_said_to_be_absent_while_something_located_is_missing(
    made: Any, stated: bool, kinds: frozenset[RecordKind]
) -> None:
    of, plan, _, ledger_, _ = made
    status = statement_status(ledger_, kinds, False, stated)
    assert statement_status(ledger_, kinds, True, stated) is StatementStatus.RECORDED
    if ledger_.completeness is Completeness.INCOMPLETE or not ledger_.located or plan.not_permitted & kinds:
        assert status is StatementStatus.UNKNOWN
    if status is StatementStatus.STATED_NONE:
        assert stated
    if status is StatementStatus.NOT_RECORDED:
        assert ledger_.completeness is Completeness.COMPLETE and not stated
        held = [of.facilities[line.facility].feeds for line in ledger_.located]
        assert kinds != ALLERGIES or Feed.BHYT_XML not in {f for feeds in held for f in feeds}


@relaxed
@given(assessed())
def test_an_allergy_somebody_recorded_is_never_hidden_and_none_is_said_only_by_a_clinician(made: Any) -> None:
    _, _, _, ledger_, entities = made
    nodes = [edge.node for e in entities for edge in e.probe.edges]
    real = [n for n in nodes if n.verificationStatus != "refuted"]
    status = allergy_status(entities, ledger_)
    assert (status is StatementStatus.RECORDED) is any(not n.statedNone for n in real)
    if status is StatementStatus.STATED_NONE:
        assert any(n.statedNone and n.code.code == "716186003" for n in real)


def test_a_statement_of_none_stands_beside_a_hospital_that_cannot_hold_the_kind_but_not_beside_a_silent_one() -> None:
    def with_lines(*lines: Line, completeness: Completeness = Completeness.COMPLETE) -> Assessment:
        return Assessment(completeness, lines, (), 1, 1, 1)

    def line(outcome: Outcome, facility_outcome: Outcome = Outcome.ANSWERED, failed: int = 0) -> Line:
        return Line("A", facility_outcome, None, ((ALLERGY, outcome, None, 0),), failed)

    held, cannot = line(Outcome.EMPTY), line(Outcome.NOT_HELD)
    table: list[tuple[tuple[Line, ...], bool, StatementStatus]] = [
        ((held,), True, StatementStatus.STATED_NONE),
        ((held,), False, StatementStatus.NOT_RECORDED),
        ((held, cannot), True, StatementStatus.STATED_NONE),
        ((held, cannot), False, StatementStatus.UNKNOWN),
        ((cannot,), False, StatementStatus.UNKNOWN),
        ((held, line(Outcome.TIMED_OUT, Outcome.TIMED_OUT)), True, StatementStatus.UNKNOWN),
        ((held, line(Outcome.LAGGING, Outcome.LAGGING)), True, StatementStatus.UNKNOWN),
        ((line(Outcome.EMPTY, failed=1),), True, StatementStatus.UNKNOWN),
        ((held, line(Outcome.NOT_ASKED, Outcome.NOT_ASKED)), True, StatementStatus.UNKNOWN),
        ((), True, StatementStatus.UNKNOWN),
    ]
    for lines, stated, expected in table:
        assert statement_status(with_lines(*lines), ALLERGIES, False, stated) is expected
    uncertain = with_lines(held, completeness=Completeness.UNCERTAIN)
    assert statement_status(uncertain, ALLERGIES, False, False) is StatementStatus.UNKNOWN
