"""The executor hook, its guard, and what it remembers: what Completed must survive."""

from __future__ import annotations

import msgspec

from schema.execution import PLANS_LIMIT, Executor, Request
from schema.over_http import GRAPHQL_RESPONSE, answer
from tests.schema.executed import DONE, SCHEMA, data, run


def test_a_completed_value_is_taken_as_it_is_under_every_alias() -> None:
    found = data('query($l: String = "d") { done { n } again: done(label: $l) { x n } doneLater { n } nothing { n } }')
    assert found == {
        "done": {**DONE, "label": ""},
        "again": {**DONE, "label": "d"},
        "doneLater": {"later": True},
        "nothing": None,
    }


def test_a_completed_value_skips_every_check_null_included() -> None:
    """The reason why whatever is wrapped must already be right."""
    assert data("{ unchecked { n } }") == {"unchecked": None}


def test_completed_values_may_be_items_of_a_list() -> None:
    assert data("{ items { n x } }") == {"items": ["a", {"n": 2, "x": "y"}, {"z": 1}]}


def test_completed_values_survive_fragments_directives_and_merged_duplicates() -> None:
    query = """query($yes: Boolean!, $no: Boolean = false) {
      ...F done { x } ... on Query { done { n } } done @skip(if: $no) { n }
      hidden: done @include(if: $no) { n } shown: done @include(if: $yes) { n } thing { ...T done { n } later }
    }
    fragment F on Query { done { n } }
    fragment T on Thing { __typename name done { x } }"""
    whole = {**DONE, "label": ""}
    assert data(query, yes=True) == {
        "done": whole,
        "shown": whole,
        "thing": {"__typename": "Thing", "name": "thing", "done": {"n": 1}, "later": "later"},
    }


def test_completed_values_stand_beside_errors_and_introspection() -> None:
    result = run("{ done { n } thing { broken done { n } } __schema { queryType { name } } __typename }")
    assert msgspec.json.decode(msgspec.json.encode(result.data)) == {
        "done": {**DONE, "label": ""},
        "thing": {"broken": None, "done": {"n": 1}},
        "__schema": {"queryType": {"name": "Query"}},
        "__typename": "Query",
    }
    assert [e["path"] for e in result.errors] == [["thing", "broken"]] and not result.request_error


def test_a_document_is_parsed_once_and_its_room_for_plans_is_bounded() -> None:
    executor = Executor(SCHEMA)
    document = executor.document("{ nothing { n } }")
    assert executor.document("{ nothing { n } }") is document
    for n in range(10 * PLANS_LIMIT):
        document.plans[n] = n
    assert len(document.plans) == PLANS_LIMIT


def test_variables_are_raw_with_the_operations_defaults() -> None:
    document = Executor(SCHEMA).document(
        'query A($t: String = "d", $n: Int) { take(text: $t, number: $n) } query B { nothing { n } }'
    )
    assert document.variables(Request("", {"n": 5, "more": 1}, "A")) == {"t": "d", "n": 5, "more": 1}
    assert document.variables(Request("", {"t": None}, "A")) == {"t": None}
    assert document.variables(Request("", {"n": 5}, "B")) == {}


def test_a_request_error_has_no_data_over_http() -> None:
    made = answer(run("{ missing }"), GRAPHQL_RESPONSE)
    assert made.status == 400 and "data" not in msgspec.json.decode(made.body)
    assert answer(run("{ thing { brokenRequired } }"), GRAPHQL_RESPONSE).status == 200
