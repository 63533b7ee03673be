"""What is remembered of a city's state is what would be found now."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from gateway.ledger import as_value
from gateway.standing import Standing, standing_of
from schema.coverage import Outcome
from tests.gateway.asking import FRESH, NOW, city, compiled, question, state
from tests.gateway.ledgers import ledger, planned

AGES = st.none() | st.floats(0, 3 * FRESH)


@given(st.lists(AGES, min_size=1, max_size=6), st.lists(st.floats(-FRESH, 3 * FRESH), min_size=1, max_size=8))
def test_at_any_moment_the_standing_is_that_of_the_moment(ages: list[float | None], moments: list[float]) -> None:
    of = city(*(state(f"{n:05}", age) for n, age in enumerate(ages)))
    for seconds in moments:
        now = NOW + timedelta(seconds=seconds)
        found, anew = standing_of(of, now, FRESH), standing_of(replace(of), now, FRESH)
        assert (found.behind, found.silent, found.connected) == (anew.behind, anew.silent, anew.connected)
        stale = {
            c for c, s in of.facilities.items() if s.synced_at is None or (now - s.synced_at).total_seconds() > FRESH
        }
        assert {line.facility for line in found.behind} == stale


def test_it_is_made_once_for_a_city_that_does_not_change() -> None:
    of = city(state("A"), state("B", None))
    first = standing_of(of, NOW, FRESH)
    assert standing_of(of, NOW + timedelta(seconds=1), FRESH) is first
    assert standing_of(replace(of), NOW, FRESH) is not first and Standing not in replace(of).memory
    assert standing_of(of, NOW, FRESH / 2) is not first


def test_a_locator_that_ceases_to_be_current_is_told_by_the_next_answer() -> None:
    asked = compiled(question("encounters { edges { node { id } } }"))
    of = city(state("A"), state("B", FRESH - 1))
    plan = planned(asked, of, "A")

    def codes() -> list[str]:
        made = ledger(asked, of, [], plan)
        return [
            f["facility"]["code"]
            for f in as_value(made, of, [])["facilities"]
            if f["outcome"] == Outcome.LOCATOR_BEHIND.value
        ]

    assert codes() == []
    standing_of(of, NOW + timedelta(seconds=2), FRESH)
    assert codes() == [], "the clock of this answer decides, whatever was asked since"
