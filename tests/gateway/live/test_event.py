"""The events of a history, written from naive nodes: together they are the whole, whatever order hospitals answer in."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from graphql import FieldNode
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.answer import Asked
from gateway.coverage import assess
from gateway.cursor import CursorSeal, Walk
from gateway.line import Line
from gateway.live.event import LiveSelection, SeenDocuments, compile_live, write_closed, write_part, write_parts
from gateway.merge import merge
from gateway.plan import QueryPlan
from gateway.scatter import NodeResult
from schema.coverage import Outcome
from schema.execution import Request
from tests.gateway.asking import EXECUTOR, FRESH, NOW, Question, city, request, state
from tests.gateway.union import KIND, cities, decoded, made_city, naive_page
from tests.plain import Json

LISTEN = """subscription($by: PatientBy!, $access: AccessInput!, $first: Int!, $on: Boolean = true) {
  history(by: $by, access: $access, first: $first) {
    ... on HistoryPart { code: facility { code } edges { late alsoAt { code } conflict sortKey node { id } } again: edges { late } }
    ...Closed @include(if: $on) } }
  fragment Closed on HistoryClosed { __typename coverage { completeness } pageInfo { hasNextPage endCursor } }"""
CITY = city(*(state(code) for code in "ABCDE"))
SEAL = CursorSeal.of(b"k" * 32)


def compiled_live(query: str, **variables: Any) -> tuple[LiveSelection, Question]:
    document = EXECUTOR.document(query)
    assert not document.errors, document.errors
    (operation,) = document.operations.values()
    raw = document.variables(Request(query, variables))
    _, scope = document.scope(raw)
    nodes = tuple(f for f in operation.selection_set.selections if isinstance(f, FieldNode))
    selection = compile_live(scope, operation, "history", nodes)
    return selection, Question(document, scope, selection.prepared.subquery, raw)


def asked(raw: Json, size: int) -> Asked:
    coverage = {"completeness": "COMPLETE"}
    return Asked(
        raw, CITY, (size,), (b"bound",), "p", coverage, SEAL, (None,), lambda: Walk(2**33, ()), failed=frozenset()
    )


def line(facility: str) -> Line:
    return Line(facility, Outcome.ANSWERED, None)


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(cities, st.randoms(use_true_random=False), st.booleans())
def test_the_parts_hold_every_row_and_a_copy_names_who_sent_it_before(
    found: Any, rng: random.Random, late: bool
) -> None:
    made, size = made_city(found), 50
    selection, question = compiled_live(LISTEN, first=size)
    order, copies, heard = rng.sample(sorted(made), len(made)), SeenDocuments(), list[Json]()
    entities = {f: decoded(question, f, rows, (size,)) for f, rows in made.items()}
    for facility in order:
        page = copies.mark(merge([entities[facility].c0], size, late=late))
        part = json.loads(write_part(selection, asked(question.raw, size), line(facility), page))
        assert list(part) == ["code", "edges", "again"] and part["code"] == {"code": facility}
        assert {e["late"] for e in part["edges"] + part["again"]} <= {late}
        heard += part["edges"]
    rows = naive_page(made, 1_000)[0]
    assert sorted(e["node"]["id"] for e in heard) == sorted(r["id"] for r in rows), "no row is lost, none comes twice"
    by_id = {r["id"]: r for r in rows}
    for n, edge in enumerate(heard):
        row = by_id[edge["node"]["id"]]
        before = [by_id[e["node"]["id"]] for e in heard[:n]]
        same = [b for b in before if row["key"] and b["key"] == row["key"]]
        copied = {b["facility"] for b in same if b["hash"] == row["hash"] and b["facility"] != row["facility"]}
        assert {a["code"] for a in edge["alsoAt"]} == copied
        inside = [r for r in made[row["facility"]] if row["key"] and r["key"] == row["key"]]
        odd = any(o["hash"] != row["hash"] for o in same + inside)
        assert edge["conflict"] is odd
    fresh = [by_id[e["node"]["id"]] for e in heard if not e["alsoAt"]]
    assert {document(r) for r in fresh} == {document(r) for r in rows}, "without the copies every document is there"


def document(row: Json) -> tuple[str, str]:
    """What a row is: a numbered document, or itself."""
    return (row["key"], row["hash"]) if row["key"] else ("", row["id"])


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(cities, st.integers(1, 6))
def test_the_page_at_the_close_is_that_of_the_query(found: Any, size: int) -> None:
    made = made_city(found)
    selection, question = compiled_live(LISTEN, first=size)
    results = [
        NodeResult(request(f), Outcome.ANSWERED, None, 1, (decoded(question, f, rows, (size,)),))
        for f, rows in made.items()
    ]
    closed = json.loads(write_closed(selection, asked(question.raw, size), results))
    page, more = naive_page(made, size)
    assert list(closed) == ["__typename", "coverage", "pageInfo"] and closed["coverage"] == {"completeness": "COMPLETE"}
    assert closed["pageInfo"]["hasNextPage"] is more
    cursor = closed["pageInfo"]["endCursor"]
    if page:
        after = SEAL.open(cursor, b"bound", 0).after
        assert after is not None and after[1:] == (page[-1]["facility"], page[-1]["id"])
    else:
        assert cursor is None


@pytest.mark.parametrize("fails", [False, True])
def test_a_node_of_several_facilities_gives_a_part_for_each_of_them(fails: bool) -> None:
    selection, question = compiled_live(LISTEN, first=5)
    made = made_city({"A": [("", None, "")], "B": [("", None, ""), ("2024-01-01T00:00:00.000000", None, "")], "C": []})
    to = request("A", "B", "C")
    entities = tuple(decoded(question, f, rows, (5,)) for f, rows in made.items())
    outcome = Outcome.UNREACHABLE if fails else Outcome.ANSWERED
    result = NodeResult(to, outcome, None, 7, () if fails else entities)
    plan = QueryPlan((to,), (), (KIND,), frozenset())
    whole = assess(plan, [result], CITY, question.subquery, NOW, FRESH)
    parts = write_parts(selection, asked(question.raw, 5), result, whole.located, SeenDocuments(), False)
    heard = [json.loads(p) for p in parts]
    assert [p["code"]["code"] for p in heard] == ["A", "B", "C"]
    assert [len(p["edges"]) for p in heard] == ([0, 0, 0] if fails else [1, 2, 0])


def test_completeness_must_be_read_where_the_whole_is_told() -> None:
    assert compiled_live(LISTEN, first=1)[0].tells_coverage
    assert not compiled_live(LISTEN, first=1, on=False)[0].tells_coverage
    part_only = LISTEN.replace("coverage { completeness }", "").replace(
        "code: facility", "coverage { outcome } code: facility"
    )
    assert not compiled_live(part_only, first=1)[0].tells_coverage


@pytest.mark.parametrize("wanted", ["__typename", "... on HistoryPart { facility { code } }"])
def test_a_selection_without_rows_asks_for_none_of_their_bodies(wanted: str) -> None:
    query = (
        f"subscription($by: PatientBy!, $access: AccessInput!) {{ history(by: $by, access: $access) {{ {wanted} }} }}"
    )
    selection, question = compiled_live(query)
    assert "node{" not in selection.prepared.subquery.text
    part = json.loads(write_part(selection, asked(question.raw, 20), line("A"), merge([], 20)))
    assert part == ({"__typename": "HistoryPart"} if wanted == "__typename" else {"facility": {"code": "A"}})
    closed = json.loads(write_closed(selection, asked(question.raw, 20), []))
    assert closed == ({"__typename": "HistoryClosed"} if wanted == "__typename" else {})
