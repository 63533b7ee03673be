"""What holds of every ledger, over random cities: no gap is hidden, and no 'none' that nobody stated."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.answer import ALLERGIES, MEDICINES, allergy_status
from gateway.coverage import Assessment, statement_status
from gateway.ledger import as_value
from gateway.line import Line
from schema.coverage import Completeness, Outcome, StatementStatus
from schema.elements import Feed, RecordKind
from tests.gateway.ledgers import ALLERGY, ASKED, Made, assessed, ledger

relaxed = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))


@relaxed
@given(assessed())
def test_every_located_facility_and_every_one_that_is_behind_has_exactly_one_line(made: Made) -> None:
    located = {s.facility for s in made.plan.skipped} | {t.facility for r in made.plan.requests for t in r.targets}
    assert [line.facility for line in made.ledger.located] == sorted(located)
    assert sorted(b.facility for b in made.ledger.behind) == sorted(made.stale)
    assert {b.outcome for b in made.ledger.behind} <= {Outcome.LOCATOR_BEHIND}
    shown = [x["facility"]["code"] for x in as_value(made.ledger, made.city, [])["facilities"]]
    assert len(shown) == len(set(shown)) and set(shown) == located | made.stale


@relaxed
@given(assessed())
def test_complete_is_said_only_when_nothing_is_known_to_be_missing(made: Made) -> None:
    unknown = made.stale or made.silent or made.doubtful or not made.ledger.located
    expected = Completeness.INCOMPLETE if made.missing else Completeness.UNCERTAIN if unknown else Completeness.COMPLETE
    assert made.ledger.completeness is expected


@relaxed
@given(assessed())
def test_no_line_looks_better_than_the_worst_of_its_facility(made: Made) -> None:
    for line in made.ledger.located:
        skipped = [s for s in made.plan.skipped if s.facility == line.facility]
        results = [r for r in made.results if any(t.facility == line.facility for t in r.request.targets)]
        worse = {s.outcome for s in skipped if s.reason != "IDENTITY_DOUBTFUL"} | {r.outcome for r in results}
        if worse - {Outcome.ANSWERED}:
            assert line.outcome in worse - {Outcome.ANSWERED}
        assert line.doubtful is any(s.reason == "IDENTITY_DOUBTFUL" for s in skipped)
        assert line.doubtful or line.reason != "IDENTITY_DOUBTFUL"
        mine = [
            e
            for r in results
            for e, t in zip(r.entities, r.request.targets, strict=False)
            if t.facility == line.facility
        ]
        assert line.failed_items == sum(e.ledger.failedItems for e in mine)
        counts = {kind: count for kind, _, _, count in line.kinds}
        # The timeline shows at most four, so that each encounter counts in both lists.
        assert counts[RecordKind.ENCOUNTER] == sum(
            len(e.c0.edges) + sum(x.kind is RecordKind.ENCOUNTER for x in e.c1.edges) for e in mine
        )


@relaxed
@given(assessed(), st.randoms(use_true_random=False))
def test_the_ledger_does_not_depend_on_who_answered_first(made: Made, shuffle: random.Random) -> None:
    mixed = list(made.results)
    shuffle.shuffle(mixed)
    assert ledger(ASKED, made.city, mixed, made.plan) == made.ledger


@relaxed
@given(assessed(), st.booleans(), st.sampled_from([ALLERGIES, MEDICINES]))
def test_nothing_is_said_to_be_absent_while_something_located_is_missing(
    made: Made, stated: bool, kinds: frozenset[RecordKind]
) -> None:
    status = statement_status(made.ledger, kinds, False, stated)
    assert statement_status(made.ledger, kinds, True, stated) is StatementStatus.RECORDED
    if made.missing or made.doubtful or not made.ledger.located or made.plan.not_permitted & kinds:
        assert status is StatementStatus.UNKNOWN
    if status is StatementStatus.STATED_NONE:
        assert stated
    if status is StatementStatus.NOT_RECORDED:
        assert made.ledger.completeness is Completeness.COMPLETE and not stated
        held = [made.city.facilities[line.facility].feeds for line in made.ledger.located]
        assert kinds != ALLERGIES or Feed.BHYT_XML not in {f for feeds in held for f in feeds}


@relaxed
@given(assessed())
def test_an_allergy_somebody_recorded_is_never_hidden_and_none_is_said_only_by_a_clinician(made: Made) -> None:
    nodes = [edge.node for e in made.entities for edge in e.probe.edges]
    real = [n for n in nodes if n.verificationStatus != "refuted"]
    status = allergy_status(made.entities, made.ledger)
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


@pytest.mark.parametrize("kinds", [ALLERGIES, MEDICINES])
def test_of_a_kind_nobody_was_asked_about_nothing_is_said(kinds: frozenset[RecordKind]) -> None:
    line = Line("A", Outcome.ANSWERED, None, ((RecordKind.ENCOUNTER, Outcome.ANSWERED, None, 1),))
    made = Assessment(Completeness.COMPLETE, (line,), (), 1, 1, 1)
    for stated in (True, False):
        assert statement_status(made, kinds, False, stated) is StatementStatus.UNKNOWN


@pytest.mark.parametrize("kinds", [ALLERGIES, MEDICINES])
@pytest.mark.parametrize("outcome", list(Outcome))
def test_only_an_answer_in_full_lets_anything_be_called_absent(outcome: Outcome, kinds: frozenset[RecordKind]) -> None:
    well = Line("A", Outcome.ANSWERED, None, tuple((k, Outcome.EMPTY, None, 0) for k in kinds))
    other = Line("B", outcome, None, tuple((k, outcome, None, 0) for k in kinds))
    made = Assessment(Completeness.COMPLETE, (well, other), (), 2, 2, 2)
    told = [statement_status(made, kinds, False, stated) for stated in (True, False)]
    if outcome in (Outcome.ANSWERED, Outcome.EMPTY):
        assert told == [StatementStatus.STATED_NONE, StatementStatus.NOT_RECORDED]
    elif outcome is Outcome.NOT_HELD:
        assert told == [StatementStatus.STATED_NONE, StatementStatus.UNKNOWN]
    else:
        assert told == [StatementStatus.UNKNOWN] * 2
