"""Who is asked about whom, and a stated reason for everyone else."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.plan import PlanRefused, QueryPlan, Skipped, cannot_hold, page_sizes, plan_query, request_variables
from schema.coverage import Outcome
from schema.elements import Feed, RecordKind
from tests.gateway.asking import Question, choice, city, compiled, located, question, state
from tests.plain import Json

ENCOUNTERS = question("encounters { edges { node { id } } }")
FILTERED = question("encounters(filter: {facility: $f}) { edges { node { id } } }", ", $f: String")
CITY = city(state("A"), state("B"), state("C"), state("D", connected=False))


def planned(
    query: Question, *kept: str, withheld: tuple[str, ...] = (), permitted: frozenset[RecordKind] | None = None
) -> QueryPlan:
    return plan_query(query.subquery, query.raw, choice(*kept, withheld=withheld), CITY, permitted)


def test_every_located_facility_is_asked_at_its_node() -> None:
    plan = planned(compiled(ENCOUNTERS), "B", "A")
    assert plan.as_json() == {"ask": {"node-A": ["A"], "node-B": ["B"]}, "skip": {}, "kinds": ["ENCOUNTER"]}
    assert [r.node.id for r in plan.requests] == ["node-A", "node-B"]


def test_nobody_located_is_nobody_asked_and_nobody_skipped() -> None:
    plan = planned(compiled(ENCOUNTERS))
    assert plan.requests == () == plan.skipped


def test_a_plan_does_not_depend_on_the_order_of_what_it_is_made_of() -> None:
    rows = [located("B", "2"), located("A", "1"), located("B", "1"), located("A", "0")]
    made = [plan_query(compiled(ENCOUNTERS).subquery, {}, choice(*order), CITY, None) for order in (rows, rows[::-1])]
    assert made[0] == made[1]
    assert [[t.ref for t in r.targets] for r in made[0].requests] == [["0", "1"], ["1", "2"]]


def test_a_facility_without_a_node_is_located_and_unreachable() -> None:
    without = city(state("A"), state("B"), without=("B",))
    plan = plan_query(compiled(ENCOUNTERS).subquery, {}, choice("A", "B"), without, None)
    assert plan.as_json()["skip"] == {"B": [["UNREACHABLE", "NODE_NOT_CONNECTED"]]}


def test_a_revoked_node_is_never_asked_and_its_facility_never_forgotten() -> None:
    made = city(state("A"), state("B"), revoked=("B",))
    plan = plan_query(compiled(ENCOUNTERS).subquery, {}, choice("A", "B"), made, None)
    assert plan.as_json() == {
        "ask": {"node-A": ["A"]},
        "skip": {"B": [["UNREACHABLE", "NODE_REVOKED"]]},
        "kinds": ["ENCOUNTER"],
    }


healths: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    age=st.sampled_from([None, 0.0, 1e9]), lagging=st.booleans(), feeds=st.sampled_from([(), (Feed.FHIR,), (Feed.BHYT_XML,)]),
)  # fmt: skip


@given(st.fixed_dictionaries(dict.fromkeys("ABC", healths)), st.lists(st.sampled_from("ABC"), max_size=4))
def test_an_unhealthy_node_never_leaves_the_set(health: dict[str, Any], found: list[str]) -> None:
    sick = city(*(state(code, **given) for code, given in health.items()))
    made = compiled(ENCOUNTERS)
    assert plan_query(made.subquery, {}, choice(*found), sick, None) == planned(made, *found)


@pytest.mark.parametrize("kind", ["encounters", "allergies", "immunizations", "imagingStudies"])
def test_a_stale_advertised_range_never_skips_a_node_that_may_have_data(kind: str) -> None:
    """Neither what feeds are known to carry nor when they last spoke spares a hospital the question."""
    query = compiled(
        question(f'{kind}(filter: {{period: {{from: "2026-02-28"}}}}) {{ edges {{ node {{ id }} }} }}'),
    )
    old = replace(state("A", 1e9, (Feed.BHYT_XML,)), as_of=datetime(2019, 1, 1, tzinfo=UTC))
    plan = plan_query(query.subquery, query.raw, choice("A"), city(old), None)
    assert (plan.as_json()["ask"], plan.skipped) == ({"node-A": ["A"]}, ())


def test_a_facility_skipped_for_several_reasons_tells_them_all() -> None:
    plan = plan_query(
        compiled(ENCOUNTERS).subquery,
        {},
        choice("A", withheld=("A",), doubtful=("A",)),
        city(state("A"), revoked=("A",)),
        None,
    )
    assert plan.as_json() == {
        "ask": {},
        "skip": {
            "A": [["WITHHELD", "IDENTITY_CONFLICT"], ["WITHHELD", "IDENTITY_DOUBTFUL"], ["UNREACHABLE", "NODE_REVOKED"]]
        },
        "kinds": ["ENCOUNTER"],
    }


def test_a_plan_as_json_holds_no_ref() -> None:
    row = located("A", "ref-that-is-nobody-elses")
    plan = plan_query(compiled(ENCOUNTERS).subquery, {}, choice(row, withheld=("B",)), CITY, None)
    assert "ref-" not in json.dumps(plan.as_json()) and json.dumps(plan.as_json())


def test_withheld_rows_are_skipped_with_their_reason_beside_kept_ones() -> None:
    plan = planned(compiled(ENCOUNTERS), "A", withheld=("A", "B"))
    assert plan.as_json() == {
        "ask": {"node-A": ["A"]},
        "skip": {"A": [["WITHHELD", "IDENTITY_CONFLICT"]], "B": [["WITHHELD", "IDENTITY_CONFLICT"]]},
        "kinds": ["ENCOUNTER"],
    }


def test_a_facility_filter_spares_the_others_and_says_so() -> None:
    plan = planned(compiled(FILTERED, f="A"), "A", "B", withheld=("C",))
    assert plan.as_json()["ask"] == {"node-A": ["A"]}
    assert plan.as_json()["skip"] == {"B": [["NOT_ASKED", "FILTERED"]], "C": [["WITHHELD", "IDENTITY_CONFLICT"]]}


@pytest.mark.parametrize("value", [{}, {"f": None}])
def test_no_facility_in_the_filter_means_all(value: dict[str, None]) -> None:
    assert planned(compiled(FILTERED, **value), "A", "B").as_json()["ask"] == {"node-A": ["A"], "node-B": ["B"]}


def test_one_list_without_the_filter_asks_everybody_and_two_filters_ask_both() -> None:
    one = compiled(
        question('encounters(filter: {facility: "A"}) { edges { node { id } } } conditions { edges { node { id } } }')
    )
    two = compiled(
        question(
            'encounters(filter: {facility: "A"}) { edges { node { id } } } conditions(filter: {facility: "B"}) { edges { node { id } } }'
        )
    )
    assert set(planned(one, "A", "B", "C").as_json()["ask"]) == {"node-A", "node-B", "node-C"}
    assert set(planned(two, "A", "B", "C").as_json()["ask"]) == {"node-A", "node-B"}


def test_a_facility_the_city_does_not_have_is_refused_without_repeating_it() -> None:
    with pytest.raises(PlanRefused) as caught:
        planned(compiled(FILTERED, f="CANARY"), "A")
    assert caught.value.code == "UNKNOWN_FACILITY" and "CANARY" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"kinds": []}, "BAD_KINDS"),
        ({"code": "E11%"}, "BAD_CODE"),
        ({"period": {"from": "2025", "to": "2024"}}, "BAD_PERIOD"),
    ],
    ids=str,
)
def test_a_filter_nothing_can_pass_is_refused_of_any_list(given: Json, code: str) -> None:
    lists = "encounters { edges { cursor } } timeline(filter: $f) { edges { cursor } }"
    with pytest.raises(PlanRefused) as caught:
        planned(compiled(question(lists, ", $f: TimelineFilter"), f=given), "A")
    assert caught.value.code == code and caught.value.vi and caught.value.en


def test_the_kinds_of_a_plan_are_those_of_lists_probes_and_the_timelines_filter() -> None:
    kinds = {
        "allergyStatus": {"ALLERGY_INTOLERANCE"},
        "medicationStatus": {"PRESCRIPTION", "MEDICATION_ADMINISTRATION"},
        "name": set(),
        "encounters { edges { node { id } } } conditions { edges { node { id } } }": {"ENCOUNTER", "CONDITION"},
        "timeline { edges { node { id } } }": {k.value for k in RecordKind},
        "timeline(filter: {kinds: null}) { edges { node { id } } }": {k.value for k in RecordKind},
        "timeline(filter: {kinds: CONDITION}) { edges { node { id } } }": {"CONDITION"},
        "timeline(filter: {kinds: [CONDITION, ENCOUNTER]}) { edges { node { id } } }": {"CONDITION", "ENCOUNTER"},
    }
    for text, expected in kinds.items():
        assert planned(compiled(question(text)), "A").as_json()["kinds"] == sorted(expected)


def test_kinds_beyond_the_grant_are_named_as_not_permitted() -> None:
    text = compiled(question("allergyStatus encounters { edges { node { id } } }"))
    plan = planned(text, "A", permitted=frozenset({RecordKind.ENCOUNTER, RecordKind.PROCEDURE}))
    assert plan.not_permitted == {RecordKind.ALLERGY_INTOLERANCE}
    assert planned(text, "A").not_permitted == frozenset()


@pytest.mark.parametrize("size", [0, -1, 201, 5.0, "5", None])
def test_a_page_size_out_of_range_is_refused(size: object) -> None:
    made = compiled(question("encounters(first: $n) { edges { node { id } } }", ", $n: Int"), n=size)
    with pytest.raises(PlanRefused) as caught:
        page_sizes(made.subquery.connections, made.raw)
    assert caught.value.code == "BAD_PAGE_SIZE" and caught.value.vi and caught.value.en


def test_page_sizes_come_in_the_order_of_the_lists_with_their_defaults() -> None:
    made = compiled(
        question(
            "a: encounters(first: 1) { edges { node { id } } } conditions { edges { node { id } } } b: encounters(first: $n) { edges { node { id } } }",
            ", $n: Int = 200",
        )
    )
    assert page_sizes(made.subquery.connections, made.raw) == (1, 20, 200)


def test_the_variables_of_a_request_are_the_clients_that_are_used_and_the_pages() -> None:
    made = compiled(
        question(
            "encounters(filter: {code: $c}) { edges { node { id reason @include(if: $b) } } }",
            ", $c: String, $b: Boolean!",
        ),
        b=False,
        by={"value": "001090123456"},
    )
    assert request_variables(made.subquery, made.raw, (7,), (("x", "y", "z"),)) == {
        "b": False,
        "q_first0": 7,
        "q_after0": "x|y|z",
    }


def test_a_feed_that_cannot_carry_a_kind_is_known_before_anyone_is_asked() -> None:
    xml = city(
        state("X", feeds=(Feed.BHYT_XML,)),
        state("F"),
        state("B", feeds=(Feed.BHYT_XML, Feed.FHIR)),
        state("N", feeds=()),
    )
    for kind, code in product(RecordKind, "XFBN"):
        lacking = code == "X" and kind.value in ("ALLERGY_INTOLERANCE", "IMMUNIZATION", "IMAGING_STUDY")
        assert cannot_hold(xml, code, kind) is lacking
    assert not cannot_hold(xml, "unknown", RecordKind.ENCOUNTER)


codes = st.sampled_from("ABCDEFG")


@given(
    kept=st.lists(codes, max_size=6), withheld=st.lists(codes, max_size=3), doubtful=st.lists(codes, max_size=2),
    missing=st.sets(codes), revoked=st.sets(codes), wanted=st.none() | codes,
)  # fmt: skip
def test_every_located_row_is_either_asked_about_or_skipped_with_its_reason(
    kept: list[str],
    withheld: list[str],
    doubtful: list[str],
    missing: set[str],
    revoked: set[str],
    wanted: str | None,
) -> None:
    everyone = city(*map(state, "ABCDEFG"), without=tuple(missing), revoked=tuple(revoked))
    made = compiled(FILTERED, f=wanted)
    found = choice(*kept, withheld=tuple(withheld), doubtful=tuple(doubtful))
    plan = plan_query(made.subquery, made.raw, found, everyone, None)
    fate: dict[str, tuple[Outcome, str]] = {}
    for code in kept:
        if wanted not in (None, code):
            fate[code] = (Outcome.NOT_ASKED, "FILTERED")
        elif code in missing:
            fate[code] = (Outcome.UNREACHABLE, "NODE_NOT_CONNECTED", f"node-{code}")
        elif code in revoked:
            fate[code] = (Outcome.UNREACHABLE, "NODE_REVOKED", f"node-{code}")
    asked = [t.facility for r in plan.requests for t in r.targets]
    assert sorted(asked) == sorted(code for code in kept if code not in fate)
    skipped = {(code, *why) for code, why in fate.items()}
    skipped |= {(code, Outcome.WITHHELD, "IDENTITY_CONFLICT") for code in withheld}
    skipped |= {(code, Outcome.WITHHELD, "IDENTITY_DOUBTFUL") for code in doubtful}
    assert sorted(plan.skipped, key=repr) == sorted((Skipped(*s) for s in skipped), key=repr)
    of_the_person_alone = {*kept} - {*withheld, *doubtful}
    assert not of_the_person_alone & {*asked} & {s.facility for s in plan.skipped}
    assert [r.node.id for r in plan.requests] == sorted({f"node-{code}" for code in asked})
