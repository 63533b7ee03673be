"""A schema comes from a node: whatever stands in one, a query is planned, and the node alone is what cannot be asked."""

from __future__ import annotations

import re

import pytest
from graphql import parse, print_ast
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.contracts.contract import Contract, UnreadableSchema, read_contract
from gateway.contracts.reduced import reduce
from gateway.plan import plan_query
from schema.coverage import Outcome
from tests.gateway.aged_city import city_with, full_variables, replace_contract
from tests.gateway.ages import SDL
from tests.gateway.asking import Question, choice, compiled, question

NESTED = "encounters(first: 3, filter: {code: $code}) { edges { node { id class diagnoses { role } } } } allergyStatus"
MIXED = "timeline(first: 9) { edges { node { id kind ... on Encounter { reason } ... on Observation { categories { code } } } } }"
DOCUMENTS = [
    compiled(question(f"name {NESTED} medicationStatus", ", $code: String"), code="E11"),
    compiled(question(MIXED)),
    compiled(question("timeline(filter: {kinds: [CONDITION]}) { edges { node { __typename } } }")),
]
TREE = parse(SDL)
PRINTED = [(str(d.name.value), print_ast(d)) for d in TREE.definitions if getattr(d, "name", None)]  # type: ignore[attr-defined]
NAMES = sorted({name for name, _ in PRINTED})
INSTEAD = [
    "scalar {0}",
    "enum {0} {{ X }}",
    "input {0} {{ a: Int }}",
    "type {0} {{ a: Int }}",
    "union {0} = Encounter",
    "",
]
TYPES = ["Int", "[Code!]", "Record", "RecordKind", "_Entity", "PartialDate!", "[String]"]
many = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))


def check_planned(contract: Contract, asked: Question) -> None:
    """The plan is made; a node that is asked is sent what can be written."""
    asked.subquery.surveys.clear()
    plan = plan_query(asked.subquery, asked.raw, choice("A"), city_with(replace_contract(contract)), None)
    assert len(plan.requests) + len(plan.skipped) == 1
    assert all(s.outcome is Outcome.UNSUPPORTED for s in plan.skipped)
    for request in plan.requests:
        if request.reduced is not None:
            assert request.reduced.body(full_variables(asked))


@pytest.mark.parametrize("name", NAMES)
def test_a_type_that_is_gone_or_something_else_takes_no_query_down(name: str) -> None:
    without = "\n".join(text for other, text in PRINTED if other != name)
    for other in INSTEAD:
        try:
            contract = read_contract(f"{without}\n{other.format(name)}")
        except UnreadableSchema:
            continue
        for asked in DOCUMENTS:
            check_planned(contract, asked)


@many
@given(st.lists(st.tuples(st.integers(0, SDL.count("\n")), st.sampled_from(["", "!", *TYPES])), max_size=6))
def test_lines_that_are_gone_or_changed_take_no_query_down(changes: list[tuple[int, str]]) -> None:
    lines = SDL.split("\n")
    for at, change in changes:
        if change == "!":
            lines[at] = lines[at].replace("!", "")
        else:
            lines[at] = re.sub(r": \[?\w+!?\]?!?", f": {change}", lines[at], count=1) if change else ""
    try:
        contract = read_contract("\n".join(lines))
    except UnreadableSchema:
        return
    for asked in DOCUMENTS:
        check_planned(contract, asked)


def test_a_schema_without_the_root_that_is_asked_is_no_contract() -> None:
    contract = read_contract("type Query { a: Int } union _Entity = Patient type Patient { ref: ID! }")
    made = reduce(DOCUMENTS[0].subquery, contract, DOCUMENTS[0].raw)
    assert made is not None and made.nothing == "CONTRACT_UNKNOWN"
