"""The ledger, case by case: one line a facility, never better than the worst that is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from gateway.advice import ADVICE
from gateway.answer import ALLERGIES
from gateway.city.registry import City
from gateway.coverage import Assessment, statement_status
from gateway.ledger import as_value
from gateway.line import SOUND, Line
from gateway.scatter import NodeResult
from schema.coverage import Completeness, Outcome, StatementStatus
from schema.elements import Feed, RecordKind
from tests.gateway.asking import (
    FRESH,
    Question,
    city,
    compiled,
    located,
    question,
    state,
)
from tests.gateway.ledgers import ASKED, PLAIN, answered, entity, failing, ledger, planned, rows

FAILED = [o for o in Outcome if o not in (Outcome.ANSWERED, Outcome.EMPTY, Outcome.NOT_HELD)]


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


def test_an_unhealthy_node_never_leaves_the_denominator() -> None:
    well, sick = city(state("A"), state("B")), city(state("A"), state("B", None, lagging=True), revoked=("B",))
    for of in (well, sick):
        plan = planned(PLAIN, of, "A", "B")
        results = [
            answered(r, entity(PLAIN, "A", rows("A", RecordKind.ENCOUNTER)))
            for r in plan.requests
            if r.node.id == "node-A"
        ]
        results += [failing(r, Outcome.CIRCUIT_OPEN) for r in plan.requests if r.node.id == "node-B"]
        made = ledger(PLAIN, of, results, plan)
        assert [line.facility for line in made.located] == ["A", "B"] and made.registered == made.connected == 2
        assert made.completeness is Completeness.INCOMPLETE


def test_a_planned_node_that_gave_no_result_has_a_line_and_is_never_an_empty_success() -> None:
    of = city(state("A"), state("B"))
    plan = planned(PLAIN, of, "A", "B")
    made = ledger(PLAIN, of, [answered(plan.requests[0], entity(PLAIN, "A", []))], plan)
    assert [(x.facility, x.outcome, x.reason) for x in made.located] == [
        ("A", Outcome.EMPTY, None),
        ("B", Outcome.UNREACHABLE, "NO_RESULT"),
    ]
    assert made.completeness is Completeness.INCOMPLETE


def test_nothing_planned_is_never_an_empty_success() -> None:
    of = city(state("A"), state("B"))
    made = ledger(PLAIN, of, [], planned(PLAIN, of))
    assert made.completeness is Completeness.UNCERTAIN and made.located == ()
    for stated in (True, False):
        assert statement_status(made, ALLERGIES, False, stated) is StatementStatus.UNKNOWN
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


def test_a_row_that_may_be_a_childs_makes_it_uncertain_and_never_incomplete() -> None:
    of = city(state("A"), state("B"))
    plan = planned(PLAIN, of, "A", doubtful=("A", "B"))
    made = ledger(PLAIN, of, [answered(plan.requests[0], entity(PLAIN, "A", rows("A", RecordKind.ENCOUNTER)))], plan)
    assert [(x.facility, x.outcome, x.reason, x.records, x.doubtful) for x in made.located] == [
        ("A", Outcome.ANSWERED, "IDENTITY_DOUBTFUL", 1, True),
        ("B", Outcome.WITHHELD, "IDENTITY_DOUBTFUL", 0, True),
    ]
    assert made.completeness is Completeness.UNCERTAIN
    assert statement_status(made, ALLERGIES, False, True) is StatementStatus.UNKNOWN


@pytest.mark.parametrize("outcome", [o for o in FAILED if o is not Outcome.NOT_ASKED])
def test_a_doubtful_row_never_excuses_the_failure_beside_it(outcome: Outcome) -> None:
    of = city(state("A"))
    plan = planned(PLAIN, of, "A", doubtful=("A",))
    made = ledger(PLAIN, of, [NodeResult(plan.requests[0], outcome, None, 9)], plan)
    assert made.completeness is Completeness.INCOMPLETE and not made.located[0].sound
    assert as_value(made, of, [])["facilities"][0]["advice"] == ADVICE[outcome]
    both = planned(PLAIN, of, withheld=("A",), doubtful=("A",))
    assert ledger(PLAIN, of, [], both).completeness is Completeness.INCOMPLETE


def test_a_facility_that_moves_has_one_line_and_the_node_that_has_it_no_longer_is_not_asked_but_missed() -> None:
    of = city(state("A"), state("B"))
    former = replace(located("A", "2"), node_id="node-B")
    plan = planned(PLAIN, of, located("A", "1"), former)
    assert [[t.ref for t in r.targets] for r in plan.requests] == [["1"]]
    made = ledger(PLAIN, of, [answered(plan.requests[0], entity(PLAIN, "A", rows("A", RecordKind.ENCOUNTER)))], plan)
    (line,) = made.located
    assert (line.facility, line.outcome, line.reason, line.records) == ("A", Outcome.UNREACHABLE, "HANDED_OVER", 1)
    assert line.kinds == ((RecordKind.ENCOUNTER, Outcome.UNREACHABLE, "HANDED_OVER", 1),)
    assert made.completeness is Completeness.INCOMPLETE


def test_rows_of_a_kind_no_known_feed_carries_are_answered_and_counted() -> None:
    """The registry learns of a new feed later than its first rows can come."""
    of = city(state("A", feeds=(Feed.BHYT_XML,)))
    asked = compiled(question("allergies { edges { node { id } } }"))
    plan = planned(asked, of, "A")
    found = entity(asked, "A", rows("A", RecordKind.ALLERGY_INTOLERANCE))
    (line,) = ledger(asked, of, [answered(plan.requests[0], found)], plan).located
    assert (line.outcome, line.kinds) == (
        Outcome.ANSWERED,
        ((RecordKind.ALLERGY_INTOLERANCE, Outcome.ANSWERED, None, 1),),
    )


def test_the_ledger_shows_a_facility_that_is_behind_once_even_if_it_is_located() -> None:
    of = city(state("A", None), state("B", None, connected=False))
    value = as_value(simple(of), of, [])
    assert [(x["facility"]["code"], x["outcome"]) for x in value["facilities"]] == [
        ("A", "ANSWERED"),
        ("B", "LOCATOR_BEHIND"),
    ]
    assert (value["registered"], value["connected"], value["current"], value["located"]) == (2, 1, 0, 1)
    assert msgspec.json.encode(value)


@pytest.mark.parametrize(
    "outcome", [o for o in Outcome if o not in SOUND and o is not Outcome.WITHHELD], ids=lambda o: o.value
)
def test_a_doubtful_row_beside_a_failure_does_not_excuse_the_failure(outcome: Outcome) -> None:
    line = Line("01001", outcome, "IDENTITY_DOUBTFUL", doubtful=True)
    assert not line.sound


def test_a_doubtful_row_alone_is_no_failure_but_a_failed_file_is() -> None:
    assert Line("01001", Outcome.WITHHELD, "IDENTITY_DOUBTFUL", doubtful=True).sound
    assert not Line("01001", Outcome.WITHHELD, "IDENTITY_DOUBTFUL", failed_items=1, doubtful=True).sound
    assert not Line("01001", Outcome.WITHHELD, "IDENTITY_CONFLICT").sound
