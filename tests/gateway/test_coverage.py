"""The ledger: one line a facility, never better than the worst that is known, and no 'none' that nobody stated."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.advice import ADVICE
from gateway.answer import ALLERGIES, allergy_status
from gateway.coverage import SOUND, Assessment, Line, as_value, assess, statement_status
from gateway.plan import NodeRequest, QueryPlan, Target, plan_query
from gateway.registry import City
from gateway.scatter import NodeResult
from schema.coverage import Completeness, Outcome, StatementStatus
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
FAILED = [o for o in Outcome if o not in (Outcome.ANSWERED, Outcome.EMPTY, Outcome.NOT_HELD)]
relaxed = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))


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


def simple(of: City, *, asked: Question = PLAIN, found: int = 1, **options: Any) -> Assessment:
    """The ledger when A alone is located and answers with `found` encounters."""
    plan = planned(asked, of, "A")
    results = [
        answered(r, entity(asked, "A", rows("A", *[RecordKind.ENCOUNTER] * found), **options)) for r in plan.requests
    ]
    return ledger(asked, of, results, plan)


def test_all_well_is_complete() -> None:
    made = simple(city(state("A"), state("B")))
    assert made.completeness is Completeness.COMPLETE
    assert (made.registered, made.connected, made.current, made.behind) == (2, 2, 2, ())
    (line,) = made.located
    assert (line.facility, line.outcome, line.reason, line.records, line.took_ms) == ("A", Outcome.ANSWERED, None, 1, 7)
    assert line.kinds == ((RecordKind.ENCOUNTER, Outcome.ANSWERED, None, 1),) and line.lag_seconds == 5
    assert line.as_of == "2026-03-01T09:03:04+07:00"


def test_an_answer_without_rows_is_empty_and_complete() -> None:
    made = simple(city(state("A")), found=0)
    assert made.located[0].outcome is Outcome.EMPTY and made.completeness is Completeness.COMPLETE


@pytest.mark.parametrize("outcome", FAILED)
def test_a_located_facility_that_failed_makes_it_incomplete(outcome: Outcome) -> None:
    of = city(state("A"), state("B"))
    plan = planned(PLAIN, of, "A", "B")
    a, b = plan.requests
    made = ledger(
        PLAIN, of, [answered(a, entity(PLAIN, "A", rows("A", RecordKind.ENCOUNTER))), failing(b, outcome)], plan
    )
    assert [(x.facility, x.outcome, x.reason, x.records) for x in made.located] == [
        ("A", Outcome.ANSWERED, None, 1),
        ("B", outcome, "WHY", 0),
    ]
    assert made.located[1].kinds == ((RecordKind.ENCOUNTER, outcome, "WHY", 0),)
    if outcome is not Outcome.NOT_ASKED:
        assert made.completeness is Completeness.INCOMPLETE


def test_failed_items_of_this_patient_make_it_incomplete_though_the_node_answered() -> None:
    made = simple(city(state("A")), failed=2)
    assert made.completeness is Completeness.INCOMPLETE
    assert (made.located[0].outcome, made.located[0].reason, made.located[0].failed_items) == (
        Outcome.ANSWERED,
        "FAILED_ITEMS",
        2,
    )


def test_a_feed_silent_beyond_its_rhythm_is_lagging_and_incomplete() -> None:
    made = simple(city(state("A")), lagging=True)
    assert made.completeness is Completeness.INCOMPLETE
    assert (made.located[0].outcome, made.located[0].reason) == (Outcome.LAGGING, "FEED_SILENT")
    assert made.located[0].records == 1


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (state("B", None, connected=False), "NOT_CONNECTED"),
        (state("B", None), "SYNC_BEHIND"),
        (state("B", FRESH + 1), "SYNC_BEHIND"),
        (state("B", 21 * 86_400), "SYNC_BEHIND"),
    ],
)
def test_a_registered_facility_whose_index_is_not_current_makes_it_uncertain(other: Any, reason: str) -> None:
    made = simple(city(state("A"), other))
    assert made.completeness is Completeness.UNCERTAIN
    assert [(b.facility, b.outcome, b.reason) for b in made.behind] == [("B", Outcome.LOCATOR_BEHIND, reason)]
    assert (made.registered, made.current) == (2, 1)


def test_a_located_facility_whose_own_index_is_behind_makes_it_uncertain_too() -> None:
    made = simple(city(state("A", FRESH + 1)))
    assert made.completeness is Completeness.UNCERTAIN and made.located[0].outcome is Outcome.ANSWERED


def test_a_feed_silent_anywhere_in_the_city_makes_it_uncertain() -> None:
    assert simple(city(state("A"), state("B", lagging=True))).completeness is Completeness.UNCERTAIN


def test_nobody_located_is_never_complete() -> None:
    of = city(state("A"), state("B"))
    made = ledger(PLAIN, of, [], planned(PLAIN, of))
    assert made.completeness is not Completeness.COMPLETE and made.located == ()
    value = as_value(made, of, [])
    assert value["located"] == 0 and "Không tìm thấy" in value["summary"]["VI"]


def test_an_empty_city_is_never_complete() -> None:
    of = city()
    assert ledger(PLAIN, of, [], planned(PLAIN, of)).completeness is not Completeness.COMPLETE


def test_a_kind_no_feed_carries_is_not_held_and_never_empty() -> None:
    of = city(state("A", feeds=(Feed.BHYT_XML,)))
    plan = planned(ASKED, of, "A")
    made = ledger(ASKED, of, [answered(plan.requests[0], entity(ASKED, "A", rows("A", RecordKind.ENCOUNTER)))], plan)
    kinds = {k: o for k, o, _, _ in made.located[0].kinds}
    assert kinds[RecordKind.ALLERGY_INTOLERANCE] is Outcome.NOT_HELD and kinds[RecordKind.CONDITION] is Outcome.EMPTY
    assert kinds[RecordKind.ENCOUNTER] is Outcome.ANSWERED and made.located[0].outcome is Outcome.ANSWERED
    only = compiled(question("allergies { edges { node { id } } }"))
    plan = planned(only, of, "A")
    alone = ledger(only, of, [answered(plan.requests[0], entity(only, "A", []))], plan)
    assert alone.located[0].outcome is Outcome.NOT_HELD


def test_kinds_beyond_the_grant_are_not_asked_and_say_why() -> None:
    of = city(state("A"))
    plan = planned(ASKED, of, "A", permitted=frozenset({RecordKind.ENCOUNTER}))
    made = ledger(ASKED, of, [answered(plan.requests[0], entity(ASKED, "A", rows("A", RecordKind.ENCOUNTER)))], plan)
    kinds = {k: (o, why) for k, o, why, _ in made.located[0].kinds}
    assert kinds[RecordKind.ENCOUNTER] == (Outcome.ANSWERED, None)
    assert {v for k, v in kinds.items() if k is not RecordKind.ENCOUNTER} == {(Outcome.NOT_ASKED, "NOT_PERMITTED")}
    assert statement_status(made, ALLERGIES, False, True) is StatementStatus.UNKNOWN


def test_two_rows_of_one_facility_make_one_line_and_the_worse_one_speaks() -> None:
    of = city(state("A"))
    plan = planned(PLAIN, of, located("A", "1"), located("A", "2"))
    (request,) = plan.requests
    assert [t.ref for t in request.targets] == ["1", "2"]
    full, none = entity(PLAIN, "A", rows("A", RecordKind.ENCOUNTER, RecordKind.ENCOUNTER)), entity(PLAIN, "A", [])
    for pair in ((full, none), (none, full)):
        (line,) = ledger(PLAIN, of, [answered(request, *pair)], plan).located
        assert (line.outcome, line.records, line.kinds) == (
            Outcome.ANSWERED,
            2,
            ((RecordKind.ENCOUNTER, Outcome.ANSWERED, None, 2),),
        )
    broken = entity(PLAIN, "A", [], failed=1)
    made = ledger(PLAIN, of, [answered(request, full, broken)], plan)
    assert (made.located[0].failed_items, made.completeness) == (1, Completeness.INCOMPLETE)


def test_a_facility_both_kept_and_withheld_is_withheld_in_its_one_line() -> None:
    of = city(state("A"))
    plan = planned(PLAIN, of, "A", withheld=("A",))
    made = ledger(PLAIN, of, [answered(plan.requests[0], entity(PLAIN, "A", rows("A", RecordKind.ENCOUNTER)))], plan)
    (line,) = made.located
    assert (line.outcome, line.reason, line.records) == (Outcome.WITHHELD, "IDENTITY_CONFLICT", 1)
    assert made.completeness is Completeness.INCOMPLETE


def test_every_outcome_has_advice_in_both_languages() -> None:
    assert ADVICE.keys() == set(Outcome)
    assert all(set(a) == {"VI", "EN"} and all(a.values()) for a in ADVICE.values())


def test_the_ledger_shows_a_facility_that_is_behind_once_even_if_it_is_located() -> None:
    of = city(state("A", None), state("B", None, connected=False))
    value = as_value(simple(of), of, [])
    assert [(x["facility"]["code"], x["outcome"]) for x in value["facilities"]] == [
        ("A", "ANSWERED"),
        ("B", "LOCATOR_BEHIND"),
    ]
    assert (value["registered"], value["connected"], value["current"], value["located"]) == (2, 1, 0, 1)
    assert msgspec.json.encode(value)


# ---- over random cities --------------------------------------------------------------------------------------------

facility_states = st.builds(
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
