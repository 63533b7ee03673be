"""What the gateway asks of a node: valid on the node's schema, free of the client's identifier, complete in what it forwards."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import parse, validate

from gateway.graph import sdl
from gateway.subquery import SubQuery
from schema.connections import BY_FIELD
from schema.elements import RecordKind
from tests import plain
from tests.gateway.asking import CITY_SCHEMA, HEAD, compiled, question
from tests.node_agent.naive import NODE


def subquery(query: str, **variables: Any) -> SubQuery:
    """The compiled sub-query, which must be valid on a node."""
    made = compiled(query, **variables).subquery
    assert validate(NODE, parse(made.text)) == []
    return made


@pytest.mark.parametrize("field", BY_FIELD)
def test_every_connection_of_a_patient_can_be_asked_whole(field: str) -> None:
    kind = BY_FIELD[field].kind
    inner = "id kind" if kind is None else plain.full_selection(CITY_SCHEMA, plain.type_of(kind), 1)
    edge = "__typename cursor sortKey facility { code name } late conflict alsoAt { code }"
    page = "pageInfo { hasNextPage hasPreviousPage startCursor endCursor gapCursor }"
    made = subquery(question(f"{field} {{ __typename edges {{ {edge} node {{ {inner} }} }} {page} }}"))
    assert [c.field for c in made.connections] == [field] and made.connections[0].kind is kind


def test_gateway_owned_fields_stay_at_home() -> None:
    made = subquery(
        question(
            "id name birthDate gender allergyStatus medicationStatus encounters { edges { cursor late conflict alsoAt { code } node { id } } pageInfo { endCursor } }"
        )
    )
    for name in ("cursor", "late", "conflict", "alsoAt", "endCursor", "allergyStatus", "coverage", "completeness"):
        assert name not in made.text
    assert "hasNextPage" in made.text and made.probes == {"allergyStatus", "medicationStatus"}


def test_neither_identifier_nor_access_is_forwarded() -> None:
    made = subquery(
        question("encounters { edges { node { id } } }"), by={"kind": "CCCD", "value": "001090123456"}, access={}
    )
    assert "by" not in made.variables and "access" not in made.variables
    assert "PatientBy" not in made.text and "AccessInput" not in made.text


def test_only_the_variables_that_are_used_below_travel_with_their_defaults() -> None:
    more = ', $code: String = "E11", $when: PartialDate, $first: Int = 5, $b: Boolean = true, $edge: Boolean = true'
    text = question(
        "encounters(first: $first, filter: {code: $code, period: {from: $when}}) { edges { sortKey @include(if: $edge) node { id reason @include(if: $b) } } }",
        more,
    )
    made = subquery(text)
    assert made.variables == ("b", "code", "when")
    assert '$code: String = "E11"' in made.text and "$first:" not in made.text.replace("$q_first0:", "")
    (plan,) = made.connections
    assert plan.first({"first": 7}) == 7 and plan.filter({"code": "I10"}) == {"code": "I10", "period": {}}


def test_own_variables_step_aside_for_the_clients() -> None:
    text = question(
        "encounters(first: $q_first0, after: $_q_after0) { edges { node { id } } }",
        ", $q_first0: Int!, $_q_after0: String",
    )
    made = subquery(text)
    assert made.prefix == "__q_"
    assert made.connections[0].first({"q_first0": 9}) == 9


def test_fragments_are_resolved_above_node_and_forwarded_below() -> None:
    text = question(
        "...P", ", $b: Boolean = false",
        rest="""fragment P on Patient { ...E } fragment E on Patient { encounters { ...C } }
        fragment C on EncounterConnection { edges { ...D node { ...N } } } fragment D on EncounterEdge { facility { code } node { days } }
        fragment N on Encounter { id ...R conditions: diagnoses { code } }
        fragment R on Record { kind ...S @include(if: $b) } fragment S on Record { receivedAt }""",
    )  # fmt: skip
    made = subquery(text)
    for name in "PECD":
        assert f"fragment {name} " not in made.text and f"...{name} " not in made.text
    for name in "NRS":
        assert made.text.count(f"fragment {name} ") == 1
    assert made.variables == ("b",)


def test_a_part_left_out_by_a_directive_is_not_asked() -> None:
    text = question(
        "encounters @include(if: $a) { edges { node @skip(if: $b) { reason } node { id } } } conditions @skip(if: $a) { edges { node { id } } }",
        ", $a: Boolean!, $b: Boolean!",
    )
    for a in (True, False):
        for b in (True, False):
            made = subquery(text, a=a, b=b)
            assert [c.field for c in made.connections] == ["encounters" if a else "conditions"]
            assert ("reason" in made.text) is (a and not b)
            assert made.variables == ()


def test_aliases_of_one_list_are_asked_apart_and_aliases_of_node_too() -> None:
    made = subquery(
        question(
            'a: encounters(first: 1) { edges { x: node { id } y: node { days } } } b: encounters(filter: {code: "I10"}) { edges { node { id } } } encounters { e: edges { node { id } } f: edges { node { reason } } }'
        )
    )
    assert [(c.key, c.part) for c in made.connections] == [("a", "c0"), ("b", "c1"), ("encounters", "c2")]
    assert made.connections[0].nodes == ((("edges", "x"), "n0"), (("edges", "y"), "n1"))
    assert made.connections[2].nodes == ((("e", "node"), "n0"), (("f", "node"), "n1"))


def test_the_timeline_asks_each_rows_kind() -> None:
    made = subquery(
        question("timeline(filter: {kinds: [CONDITION]}) { edges { node { id ... on Condition { role } } } }")
    )
    assert made.connections[0].kind is None and " kind n0:node" in made.text


def test_a_client_that_reads_only_the_ledger_still_has_every_node_asked_for_it() -> None:
    made = subquery(question(""))
    assert made.connections == () and "ledger{failedItems asOf lagging feedLagSeconds}" in made.text


def test_a_cursor_is_bound_to_the_list_and_its_filter_and_nothing_else() -> None:
    text = question(
        "a: conditions(first: $n, filter: $f) { edges { node { id } } } b: conditions(filter: $f) { edges { node { id } } } c: encounters(filter: $f) { edges { node { id } } }",
        ", $n: Int, $f: RecordFilter",
    )
    a, b, c = subquery(text).connections
    one, two = {"f": {"code": "E11", "facility": None}, "n": 1}, {"f": {"facility": None, "code": "E11"}, "n": 9}
    assert a.binding(one) == a.binding(two) == b.binding(one) != c.binding(one)
    assert a.binding(one) != a.binding({}) and a.binding({"f": {"code": "E1"}}) != a.binding(one)


def test_every_kind_has_its_connection() -> None:
    assert {t.kind for t in BY_FIELD.values()} == {None, *RecordKind}
    assert HEAD.split("(")[0] == "query" and "type Patient" in sdl()
