"""Any question a client may ask, forwarded to a real node's store and read back: what the client selected, row by row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import pytest
from graphql import parse, validate
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from gateway.plan import NodeRequest, Target, page_sizes, request_variables
from gateway.reading import Slice
from tests import plain
from tests.gateway.asking import CITY_SCHEMA, compiled, node, question, read_answer
from tests.gateway.selections import Drawn, Names, trimmed
from tests.node_agent.filled import FACILITY, Filled, fill, make_person
from tests.node_agent.naive import EVERYTHING, NODE, naive_patient, representations
from tests.plain import Json


@dataclass(frozen=True, repr=False)
class Held:
    """A real store with one person in it, and the same person as the contract has them."""

    store: Filled
    ref: str
    patient: Json


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Held]:
    store = fill(tmp_path_factory.mktemp("store"), {"a": make_person(7, FACILITY, "a", 4)})
    ref = store.ref("a")
    yield Held(store, ref, naive_patient(ref, store.people["a"].patient, store._rows(), EVERYTHING))
    store.close()


@settings(max_examples=60, deadline=None, phases=[Phase.generate])  # a smaller seed is no smaller query
@given(st.integers(0, 2**32))
def test_what_a_real_node_answers_is_what_the_client_selected_for_any_question(held: Held, seed: int) -> None:
    drawn = Drawn(seed)
    lists = " ".join(drawn.connection() for _ in range(drawn.one_of((1, 2, 3))))
    statuses = drawn.one_of(("", "allergyStatus", "m: medicationStatus allergyStatus"))
    body = drawn.inside("Patient", f"name {statuses} {lists}")
    query = trimmed(question(body, drawn.declared, rest=drawn.rest))
    given_ = {n: v for n, v in drawn.variables().items() if n in Names(query).used}
    asked = compiled(query, **given_)
    made = asked.subquery

    assert validate(NODE, parse(made.text)) == []
    own = {n for n in Names(made.text).declared if n.startswith(made.prefix)}
    assert own.isdisjoint(Names(query).declared)
    assert Names(made.text).declared - own == set(made.variables)
    assert set(made.variables) <= Names(query).used - {"by", "access"}

    sizes = page_sizes(made.connections, asked.raw)
    variables = request_variables(made, asked.raw, sizes, [None] * len(sizes))
    variables[f"{made.prefix}refs"] = representations([held.ref])
    answer = held.store.body(made.text, "a", **variables)
    to = NodeRequest(node(FACILITY), (Target(FACILITY, held.ref),))
    (entity,) = read_answer(answer, to, made, tuple(Slice(s) for s in sizes))

    expected = expected_patient(held, query, given_)
    selected = [c.key for c in made.connections]
    assert selected == [key for key, value in expected.items() if isinstance(value, dict)]
    for plan in made.connections:
        rows = getattr(entity, plan.part).edges
        for (edges, key), alias in plan.nodes:
            found = [msgspec.json.decode(getattr(row, alias)) for row in rows]
            assert found == [edge[key] for edge in expected[plan.key][edges]]


def expected_patient(held: Held, query: str, variables: Json) -> Json:
    """The client's whole query answered naively over the one hospital."""
    patient = {**held.patient, "allergyStatus": "UNKNOWN", "medicationStatus": "UNKNOWN"}
    root = {"patient": lambda by, access, **_: {"coverage": {"completeness": "COMPLETE"}, "patient": patient}}
    access = {"by": {"kind": "CCCD", "value": "x"}, "access": {"purpose": "TREAT", "basis": "GRANT"}}
    return plain.answer(CITY_SCHEMA, query, root, {**access, **variables})["patient"]["patient"]  # type: ignore[no-any-return]
