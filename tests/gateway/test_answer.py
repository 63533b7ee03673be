"""The whole answer as finished bytes, against the naive whole: patient, lists and ledger under the client's keys."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from gateway.answer import Asked, allergy_status, most_said, write_answer
from gateway.coverage import assess
from gateway.cursor import BadCursor, CursorSeal, Walk
from gateway.ledger import as_value
from gateway.plan import page_sizes, plan_query
from gateway.reading import Slice
from gateway.scatter import NodeResult
from schema.coverage import Outcome, StatementStatus
from schema.elements import RecordKind
from tests.gateway.asking import (
    FRESH,
    NOW,
    Question,
    choice,
    city,
    compiled,
    make_row,
    node_answer,
    node_patient,
    question,
    read_answer,
    state,
)
from tests.plain import Json

SEAL = CursorSeal.of(bytes(32))
FIRST = Walk(2_000_000_000, ())
TIME = "2024-01-01T00:00:00.000000"
ROWS = {
    f: [make_row(random.Random(n), f, n, k, TIME) for n, k in enumerate((RecordKind.ENCOUNTER, RecordKind.CONDITION))]
    for f in "AB"
}


def answered(query: str, *located: str, failing: tuple[str, ...] = (), **variables: Any) -> Json:
    """The decoded answer when these facilities are located and answer, but for those that fail."""
    asked = compiled(query, **variables)
    of = city(state("A"), state("B"))
    plan = plan_query(asked.subquery, asked.raw, choice(*located), of, None)
    sizes = page_sizes(asked.subquery.connections, asked.raw)
    results = tuple(result(asked, r, sizes, failing) for r in plan.requests)
    ledger = assess(plan, results, of, asked.subquery, NOW, FRESH)
    bindings = tuple(c.binding(asked.raw) for c in asked.subquery.connections)
    made = Asked(
        asked.raw,
        of,
        sizes,
        bindings,
        "pairwise",
        as_value(ledger, of, []),
        SEAL,
        (None,) * len(sizes),
        lambda: FIRST,
        frozenset(failing),
    )
    decoded: Json = msgspec.json.decode(write_answer(asked.prepared, made, results, ledger))
    return decoded


def result(asked: Question, to: Any, sizes: tuple[int, ...], failing: tuple[str, ...]) -> NodeResult:
    (facility,) = [t.facility for t in to.targets]
    if facility in failing:
        return NodeResult(to, Outcome.TIMED_OUT, None, 5)
    body = node_answer(asked, sizes, node_patient(facility, ROWS[facility]))
    return NodeResult(to, Outcome.ANSWERED, None, 5, read_answer(body, to, asked.subquery, tuple(map(Slice, sizes))))


def test_a_patient_is_joined_from_every_hospital() -> None:
    found = answered(
        question("id name birthDate gender __typename encounters { edges { facility { code } node { id } } }"), "A", "B"
    )
    assert found == {
        "coverage": {"completeness": "COMPLETE"},
        "patient": {
            "id": "pairwise", "name": "Tên ở A", "birthDate": "1980-03-05", "gender": "FEMALE", "__typename": "Patient",
            "encounters": {"edges": [{"facility": {"code": f}, "node": {"id": f"{f}-000"}} for f in "BA"]},
        },
    }  # fmt: skip


def test_a_failed_node_contributes_no_rows_and_no_nulls() -> None:
    found = answered(question("name encounters { edges { node { id } } }"), "A", "B", failing=("A",))
    assert found["coverage"]["completeness"] == "INCOMPLETE"
    assert found["patient"] == {"name": "Tên ở B", "encounters": {"edges": [{"node": {"id": "B-000"}}]}}
    found = answered(
        question("name allergyStatus medicationStatus encounters { edges { node { id } } }"), "A", failing=("A",)
    )
    assert found["patient"] == {
        "name": None,
        "allergyStatus": "UNKNOWN",
        "medicationStatus": "UNKNOWN",
        "encounters": {"edges": []},
    }


def test_nobody_located_is_null_with_its_ledger() -> None:
    found = answered(question("name encounters { edges { node { id } } }"))
    assert found == {"coverage": {"completeness": "UNCERTAIN"}, "patient": None}


def test_aliases_of_patient_coverage_lists_and_edges_are_each_their_own() -> None:
    """The same response key may mean other things below other aliases."""
    query = question(
        "x: name l: encounters { e: edges { y: node { id } z: sortKey } f: edges { y: node { kind } z: facility { code } } }",
        coverage="one: coverage { x: completeness } two: coverage { x: located completeness }",
    ).replace(
        "coverage { x: completeness }",
        "coverage { x: completeness } other: patient { x: id l: conditions { e: edges { z: late } } }",
    )
    found = answered(query, "A")
    assert found == {
        "one": {"x": "COMPLETE"},
        "other": {"x": "pairwise", "l": {"e": [{"z": False}]}},
        "two": {"x": 1, "completeness": "COMPLETE"},
        "patient": {
            "x": "Tên ở A",
            "l": {
                "e": [{"y": {"id": "A-000"}, "z": f"{TIME}|A|A-000"}],
                "f": [{"y": {"kind": "ENCOUNTER"}, "z": {"code": "A"}}],
            },
        },
    }


def test_selections_that_directives_leave_empty_are_empty_objects() -> None:
    no = "@include(if: false)"
    for inner in (
        f"name {no}",
        f"encounters {{ edges {no} {{ late }} }}",
        f"encounters {{ edges {{ late {no} }} }}",
        f"encounters {{ edges {{ node {{ id {no} }} }} }}",
        f"encounters {{ pageInfo {{ endCursor {no} }} }}",
    ):
        found = answered(question(inner), "A")["patient"]
        lists = [
            {},
            {"encounters": {}},
            {"encounters": {"edges": [{}]}},
            {"encounters": {"edges": [{"node": {}}]}},
            {"encounters": {"pageInfo": {}}},
        ]
        assert found in lists
    assert answered(question("", coverage=f"coverage {{ completeness {no} }}"), "A") == {"coverage": {}}
    assert answered(question("", coverage=f"coverage {no} {{ completeness }} __typename {no}"), "A") == {}


def test_a_cursor_opens_only_for_the_list_and_filter_it_came_from() -> None:
    query = question(
        "a: encounters { edges { cursor } pageInfo { endCursor } } b: conditions { pageInfo { endCursor } }"
    )
    found = answered(query, "A")["patient"]
    plan = compiled(query).subquery.connections
    walk = SEAL.open(found["a"]["edges"][0]["cursor"], plan[0].binding({}), 0)
    assert walk.after == (TIME, "A", "A-000")
    assert SEAL.open(found["a"]["pageInfo"]["endCursor"], plan[0].binding({}), 0).after == walk.after
    with pytest.raises(BadCursor):
        SEAL.open(found["a"]["pageInfo"]["endCursor"], plan[1].binding({}), 0)


def test_names_are_those_most_hospitals_give_whatever_their_order() -> None:
    assert most_said(["b", "a", "b", None]) == most_said(["b", "b", "a"]) == "b"
    assert most_said(["b", "a"]) == most_said(["a", "b"]) == "a"
    assert most_said([]) is most_said([None, ""]) is None


def said(count: int, *, more: bool, recorded: bool = False) -> Any:
    """An entity whose allergy probe holds `count` statements of none, and perhaps an allergy."""
    none = SimpleNamespace(statedNone=True, verificationStatus=None, code=SimpleNamespace(code="716186003"))
    real = SimpleNamespace(statedNone=False, verificationStatus="confirmed", code=SimpleNamespace(code="91936005"))
    edges = [SimpleNamespace(node=node) for node in [none] * count + [real] * recorded]
    return SimpleNamespace(probe=SimpleNamespace(edges=edges, pageInfo=SimpleNamespace(hasNextPage=more)))


def test_allergies_beyond_what_the_probe_reads_leave_nothing_to_be_stated() -> None:
    asked, of = compiled(question("allergyStatus")), city(state("A"))
    plan = plan_query(asked.subquery, asked.raw, choice("A"), of, None)
    results = [result(asked, r, (), ()) for r in plan.requests]
    whole = assess(plan, results, of, asked.subquery, NOW, FRESH)
    assert allergy_status([said(200, more=False)], whole) is StatementStatus.STATED_NONE
    assert allergy_status([said(200, more=True)], whole) is StatementStatus.UNKNOWN
    assert allergy_status([said(0, more=False), said(200, more=True)], whole) is StatementStatus.UNKNOWN
    assert allergy_status([said(199, more=True, recorded=True)], whole) is StatementStatus.RECORDED
