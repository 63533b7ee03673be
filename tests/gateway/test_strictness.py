"""onIncomplete, require and partialErrors over chosen and random ledgers: what fails, what passes, who is named."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.coverage import Assessment
from gateway.line import Line
from gateway.plan import PlanRefused
from gateway.strictness import (
    LENIENT,
    IncompleteAnswer,
    RequiredFacilityMissing,
    Strictness,
    check_known,
    facility_errors,
    failure_of,
)
from schema.coverage import Completeness, Outcome
from tests.gateway.asking import city, state
from tests.gateway.ledgers import Made, assessed

relaxed = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
CITY = city(state("A"), state("B"), state("C", lagging=True), state("D", None, connected=False))
BEHIND = (Line("D", Outcome.LOCATOR_BEHIND, "NOT_CONNECTED"),)


def told(*lines: Line, completeness: Completeness = Completeness.UNCERTAIN) -> Assessment:
    return Assessment(completeness, lines, BEHIND, 4, 3, 3)


def requiring(*codes: str) -> Strictness:
    return Strictness(require=frozenset(codes))


@relaxed
@given(assessed())
def test_fail_takes_away_exactly_the_incomplete_answers_and_names_every_cause(made: Made) -> None:
    failure = failure_of(Strictness(fail=True), made.ledger, made.city)
    assert (failure is not None) is (made.ledger.completeness is Completeness.INCOMPLETE)
    if failure is not None:
        assert isinstance(failure, IncompleteAnswer) and failure.code == "INCOMPLETE_ANSWER"
        assert set(failure.facilities) == {line.facility for line in made.ledger.located if not line.sound} != set()
    assert failure_of(LENIENT, made.ledger, made.city) is None


@relaxed
@given(assessed(), st.data())
def test_a_required_facility_is_given_only_when_all_it_knows_is_there(made: Made, data: st.DataObject) -> None:
    codes = sorted(made.city.facilities)
    needed = data.draw(st.sets(st.sampled_from(codes))) if codes else set()
    failure = failure_of(requiring(*needed), made.ledger, made.city)
    missing = set()
    lines = {line.facility: line for line in made.ledger.located}
    for code in needed:
        if code in lines:
            line = lines[code]
            good = line.sound and line.outcome in (Outcome.ANSWERED, Outcome.EMPTY)
        else:
            good = code not in made.stale and not made.city.facilities[code].lagging
        missing |= set() if good else {code}
    assert (set(failure.facilities) if failure else set()) == missing
    assert failure is None or isinstance(failure, RequiredFacilityMissing)
    both = failure_of(Strictness(fail=True, require=frozenset(needed)), made.ledger, made.city)
    if missing:  # the more telling of two failures speaks
        assert isinstance(both, RequiredFacilityMissing)
    else:
        assert isinstance(both, IncompleteAnswer) is (made.ledger.completeness is Completeness.INCOMPLETE)


@relaxed
@given(assessed())
def test_every_facility_of_which_something_is_missing_has_one_error_and_no_other(made: Made) -> None:
    errors = facility_errors(made.ledger, made.city)
    unsound = [line for line in made.ledger.located if not line.sound]
    assert [e["extensions"]["facility"] for e in errors] == [line.facility for line in unsound]
    for error, line in zip(errors, unsound, strict=True):
        assert error["extensions"]["code"] == "FACILITY_FAILED"
        assert (error["extensions"]["outcome"], error["extensions"]["reason"]) == (line.outcome.value, line.reason)
        assert error["message"].startswith(f"Bệnh viện {line.facility}: ")
    assert bool(errors) is (made.ledger.completeness is Completeness.INCOMPLETE)


@pytest.mark.parametrize(
    ("line", "enough"),
    [
        (Line("A", Outcome.ANSWERED, None), True),
        (Line("A", Outcome.EMPTY, None), True),
        (Line("A", Outcome.NOT_ASKED, "ANSWERED_BEFORE"), True),
        (Line("A", Outcome.ANSWERED, "IDENTITY_DOUBTFUL", doubtful=True), True),
        (Line("A", Outcome.NOT_HELD, None), False),
        (Line("A", Outcome.NOT_ASKED, "FILTERED"), False),
        (Line("A", Outcome.NOT_ASKED, "NEW_SINCE_FIRST_PAGE"), False),
        (Line("A", Outcome.WITHHELD, "IDENTITY_DOUBTFUL", doubtful=True), False),
        (Line("A", Outcome.ANSWERED, "FAILED_ITEMS", failed_items=1), False),
        *((Line("A", outcome, None), False) for outcome in list(Outcome)[4:]),
    ],
    ids=lambda value: f"{value.outcome.value}-{value.reason}" if isinstance(value, Line) else None,
)
def test_what_a_required_facility_must_have_done(line: Line, enough: bool) -> None:
    assert (failure_of(requiring("A"), told(line), CITY) is None) is enough


def test_a_required_facility_that_is_not_located_must_be_known_to_know_nothing() -> None:
    here = told(Line("A", Outcome.ANSWERED, None))
    assert failure_of(requiring("B"), here, CITY) is None
    for unsure in ("C", "D"):  # a silent feed; no node at all
        failure = failure_of(requiring("B", unsure), here, CITY)
        assert failure is not None and failure.facilities == (unsure,)


def test_an_unknown_required_facility_is_refused_whatever_else_is_known() -> None:
    check_known(requiring("A", "D"), CITY)
    check_known(LENIENT, city())
    with pytest.raises(PlanRefused) as caught:
        check_known(requiring("A", "001085067891"), CITY)
    assert caught.value.code == "UNKNOWN_FACILITY" and "001085067891" not in str(caught.value)


def test_only_a_strict_caller_is_told_more_of_facilities_than_the_ledger_tells() -> None:
    assert not LENIENT.speaks_of_facilities
    for strict in (Strictness(fail=True), requiring("A"), Strictness(partial_errors=True)):
        assert strict.speaks_of_facilities
