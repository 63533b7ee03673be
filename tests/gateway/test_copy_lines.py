"""The ledger of facilities that a warehouse holds as well: the own node decides, and copies never make anything complete."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.answer import ALLERGIES, allergy_status
from gateway.city.registry import City, Copy, Node
from gateway.copy_lines import ANSWERS, MISSING, ONLY, SHOWN, heed
from gateway.coverage import Assessment, statement_status
from gateway.identity.choice import Choice, Located, Withheld, choose, choose_beside
from gateway.identity.city_key import PersonDigest, agrees
from gateway.ledger import as_value
from gateway.line import Line
from gateway.plan import QueryPlan, plan_query
from gateway.scatter import NodeResult
from schema.coverage import Completeness, Outcome, StatementStatus
from schema.elements import Feed, RecordKind
from schema.messages import NodeRole
from tests.gateway.asking import city, located, node, state
from tests.gateway.ledgers import ALLERGY, ASKED, entity, ledger, rows

relaxed = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
WAREHOUSE = "node-Z"
CODES = "ABC"
CALLED = [o for o in Outcome if o not in (Outcome.EMPTY, Outcome.NOT_HELD, Outcome.NOT_ASKED, Outcome.LAGGING)]


def with_warehouse(own: str = CODES, revoked: bool = False) -> City:
    """Facilities A, B, C, those of `own` with a node of their own, and a warehouse that has copies of all."""
    made = city(*(state(c, age=0.0 if c in own else None, connected=c in own) for c in CODES))
    store = Node(WAREHOUSE, "http://z.example", tuple(CODES), "{}", "1.0", revoked, NodeRole.WAREHOUSE)
    copies = {c: (Copy(WAREHOUSE, frozenset({Feed.FHIR})),) for c in CODES}
    return City(
        made.facilities,
        MappingProxyType({**made.nodes, WAREHOUSE: store}),
        MappingProxyType({} if revoked else copies),
    )


def copy_of(facility: str) -> Located:
    return replace(located(facility, f"copy-{facility}"), node_id=WAREHOUSE)


def planned(of: City, *kept: Located, withheld: tuple[tuple[Located, Withheld], ...] = ()) -> QueryPlan:
    return plan_query(ASKED.subquery, {}, Choice(kept, withheld), of, None)


def answering(plan: QueryPlan, outcomes: dict[str, Outcome], encounters: int = 2, failed: int = 0) -> list[NodeResult]:
    """A result each; those that answer have `encounters` at each facility, and the warehouse one more."""
    results = []
    for to in plan.requests:
        outcome = outcomes.get(to.node.id, Outcome.ANSWERED)
        count = encounters + to.node.warehouse
        entities: tuple[Any, ...] = ()
        if outcome is Outcome.ANSWERED:
            entities = tuple(
                entity(ASKED, t.facility, rows(t.facility, *[RecordKind.ENCOUNTER] * count), failed) for t in to.targets
            )
        results.append(NodeResult(to, outcome, None, 5, entities))
    return results


def told(of: City, plan: QueryPlan, results: list[NodeResult]) -> tuple[Assessment, dict[str, Line]]:
    made = ledger(ASKED, of, list(heed(results)), plan)
    return made, {line.facility: line for line in made.located}


@relaxed
@given(
    st.sets(st.sampled_from(CODES)),
    st.sets(st.sampled_from(CODES)),
    st.sets(st.sampled_from(CODES)),
    st.dictionaries(st.sampled_from(["node-A", "node-B", "node-C", WAREHOUSE]), st.sampled_from(CALLED)),
    st.booleans(),
)
def test_the_own_node_decides_and_a_warehouse_never_makes_anything_look_better(
    own: set[str], here: set[str], copied: set[str], outcomes: dict[str, Outcome], revoked: bool
) -> None:
    of = with_warehouse("".join(sorted(own)), revoked)
    kept = [located(c) for c in sorted(here & own)]
    alone = planned(of, *kept)
    plan = planned(of, *kept, *(copy_of(c) for c in sorted(copied)))
    _, before = told(of, alone, answering(alone, outcomes))
    made, after = told(of, plan, answering(plan, outcomes))
    assert set(after) == (here & own) | copied
    for code, line in before.items():
        assert (after[code].outcome, after[code].sound) == (line.outcome, line.sound)
    for code in copied - here.intersection(own):
        expected = Outcome.UNREACHABLE if revoked else outcomes.get(WAREHOUSE, Outcome.ANSWERED)
        assert after[code].outcome is expected
        assert after[code].reason == ONLY or expected is Outcome.WITHHELD
    if any(not line.sound for line in after.values()):
        assert made.completeness is Completeness.INCOMPLETE
    if copied - (here & own) or (copied and (revoked or outcomes.get(WAREHOUSE, Outcome.ANSWERED) not in ANSWERS)):
        assert made.completeness is not Completeness.COMPLETE
    if not copied:
        assert told(of, alone, answering(alone, outcomes))[0] == made


def both(outcome: Outcome, warehouse: Outcome = Outcome.ANSWERED, failed: int = 0) -> tuple[Completeness, Line]:
    of = with_warehouse()
    plan = planned(of, located("A"), copy_of("A"))
    results = answering(plan, {"node-A": outcome, WAREHOUSE: warehouse}, failed=failed)
    made, lines = told(of, plan, results)
    return made.completeness, lines["A"]


def encounters(line: Line) -> int:
    return next(count for kind, _, _, count in line.kinds if kind is RecordKind.ENCOUNTER)


@pytest.mark.parametrize("outcome", [Outcome.TIMED_OUT, Outcome.UNREACHABLE, Outcome.CIRCUIT_OPEN, Outcome.OVER_BUDGET])
def test_where_the_own_node_failed_the_copies_are_counted_and_the_line_says_what_they_are(outcome: Outcome) -> None:
    completeness, line = both(outcome)
    assert (completeness, line.outcome, line.reason) == (Completeness.INCOMPLETE, outcome, SHOWN)
    assert encounters(line) > 0 and {o for _, o, _, _ in line.kinds} == {outcome}
    value = as_value(ledger_of(line), with_warehouse(), [])
    assert "bản sao" in value["facilities"][0]["advice"]["VI"]


def ledger_of(line: Line) -> Assessment:
    return Assessment(Completeness.INCOMPLETE, (line,), (), 1, 1, 1)


def test_where_the_own_node_answered_its_counts_stand_and_a_silent_warehouse_leaves_a_doubt() -> None:
    completeness, line = both(Outcome.ANSWERED)
    assert (completeness, line.outcome, line.reason) == (Completeness.COMPLETE, Outcome.ANSWERED, None)
    alone = planned(with_warehouse(), located("A"))
    assert line == told(with_warehouse(), alone, answering(alone, {}))[1]["A"]
    completeness, line = both(Outcome.ANSWERED, Outcome.TIMED_OUT)
    assert (completeness, line.outcome, line.reason) == (Completeness.UNCERTAIN, Outcome.ANSWERED, MISSING)


def test_where_both_failed_the_line_is_the_own_node_s() -> None:
    completeness, line = both(Outcome.TIMED_OUT, Outcome.UNREACHABLE)
    assert (completeness, line.outcome, line.reason, line.records) == (
        Completeness.INCOMPLETE, Outcome.TIMED_OUT, None, 0,
    )  # fmt: skip


def test_a_hospital_that_refuses_is_heeded_no_copy_of_its_records_is_shown() -> None:
    of = with_warehouse()
    plan = planned(of, located("A"), located("B"), copy_of("A"), copy_of("B"))
    results = heed(answering(plan, {"node-A": Outcome.REFUSED}))
    assert [t.facility for r in results if r.request.node.warehouse for t in r.request.targets] == ["B"]
    shown = [e.ref for r in results for e in r.entities]
    assert shown == ["ref-B", "ref-B"]  # the naive node's refs go by facility
    made = ledger(ASKED, of, list(results), plan)
    line = made.located[0]
    assert (line.facility, line.outcome, line.records) == ("A", Outcome.REFUSED, 0)
    assert made.completeness is Completeness.INCOMPLETE


def test_where_the_source_s_own_rows_are_withheld_its_copies_are_too() -> None:
    of = with_warehouse()
    plan = planned(of, copy_of("A"), copy_of("B"), withheld=((located("A"), Withheld.IDENTITY_CONFLICT),))
    assert plan.as_json()["ask"] == {WAREHOUSE: ["B"]}
    made, lines = told(of, plan, answering(plan, {}))
    assert (lines["A"].outcome, lines["A"].reason) == (Outcome.WITHHELD, "IDENTITY_CONFLICT")
    assert made.completeness is Completeness.INCOMPLETE


def test_a_doubtful_row_beside_one_that_is_shown_closes_no_copy() -> None:
    of = with_warehouse()
    doubt = (located("A", "child"), Withheld.IDENTITY_DOUBTFUL)
    plan = planned(of, located("A"), copy_of("A"), withheld=(doubt,))
    assert plan.as_json()["ask"] == {"node-A": ["A"], WAREHOUSE: ["A"]}


def test_a_copy_can_tell_of_an_allergy_and_never_that_there_is_none() -> None:
    of = with_warehouse()
    plan = planned(of, located("A"), copy_of("A"))

    def status(own: bool | None, copy: bool | None) -> StatementStatus:
        """Each: None for no statement, True for a stated none, False for an allergy."""
        entities = []
        for said in (own, copy):
            found = rows("A", *([] if said is None else [ALLERGY]))
            for row in found:
                row["body"] |= {"statedNone": said, "verificationStatus": "confirmed"}
                row["body"]["code"] = {**row["body"]["code"], "code": "716186003" if said else "91936005"}
            entities.append(entity(ASKED, "A", found))
        results = [
            NodeResult(to, Outcome.ANSWERED, None, 1, (e,)) for to, e in zip(plan.requests, entities, strict=True)
        ]
        made, _ = told(of, plan, results)
        return allergy_status(entities, made, [r.request.node.warehouse for r in results])

    assert status(None, False) is StatementStatus.RECORDED
    assert status(True, None) is StatementStatus.STATED_NONE
    assert status(None, True) is not StatementStatus.STATED_NONE


def test_of_a_facility_whose_copies_alone_answered_nothing_is_said_to_be_absent() -> None:
    of = with_warehouse()
    plan = planned(of, located("B"), copy_of("A"))
    made, _ = told(of, plan, answering(plan, {}))
    for stated in (True, False):
        assert statement_status(made, ALLERGIES, False, stated) is StatementStatus.UNKNOWN


def test_the_feeds_of_the_copies_decide_what_a_warehouse_cannot_hold() -> None:
    of = with_warehouse("BC")
    of = City(of.facilities, of.nodes, MappingProxyType({"A": (Copy(WAREHOUSE, frozenset({Feed.BHYT_XML})),)}))
    plan = planned(of, copy_of("A"))
    _, lines = told(of, plan, answering(plan, {}))
    assert {k: o for k, o, _, _ in lines["A"].kinds}[ALLERGY] is Outcome.NOT_HELD


def test_an_ordinary_city_has_no_copies() -> None:
    assert not city(state("A")).copies and not node("A").warehouse


def test_a_copy_that_contradicts_its_own_source_is_withheld_alone() -> None:
    of = with_warehouse()
    then, now = (PersonDigest(day, b"y" * 8, b"s" * 8) for day in (b"1" * 8, b"2" * 8))
    own, old = replace(located("A"), person=now), replace(copy_of("A"), person=then)
    assert agrees(then, now) is False
    assert not choose((own, old)).kept, "without the rule both are withheld"
    choice = choose_beside((own, old), of.warehouses)
    assert choice.kept == (own,) and choice.withheld == ((old, Withheld.IDENTITY_CONFLICT),)
    plan = plan_query(ASKED.subquery, {}, choice, of, None)
    made, lines = told(of, plan, answering(plan, {}))
    assert (lines["A"].outcome, lines["A"].reason) == (Outcome.ANSWERED, MISSING)
    assert made.completeness is Completeness.UNCERTAIN
    # Of another facility it is a conflict like any other.
    choice = choose_beside((own, replace(old, facility="B")), of.warehouses)
    assert not choice.kept
    # And without a warehouse nothing is different.
    assert choose_beside((own, old), frozenset()) == choose((own, old))


@relaxed
@given(
    st.lists(st.tuples(st.sampled_from(CODES), st.booleans(), st.sampled_from([None, b"1" * 8, b"2" * 8])), max_size=6)
)
def test_every_row_found_is_kept_or_withheld_and_the_source_is_kept_as_if_no_copy_contradicted_it(
    found: list[tuple[str, bool, bytes | None]],
) -> None:
    rows_found = [
        replace(copy_of(code) if copy else located(code), ref=f"{code}{n}", person=PersonDigest(day, day, day))
        for n, (code, copy, day) in enumerate(found)
    ]
    choice = choose_beside(rows_found, frozenset({WAREHOUSE}))
    placed = [*choice.kept, *(row for row, _ in choice.withheld)]
    assert len(placed) == len(rows_found) and set(placed) == set(rows_found)
