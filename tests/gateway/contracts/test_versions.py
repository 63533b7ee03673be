"""Nodes that lack parts of the contract, chosen at random, asked anything: no row lost, and null only where a part was missing.

What must be UNSUPPORTED is worked out apart, from the parts that the client's selection touches.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import GraphQLInterfaceType, GraphQLNonNull, get_named_type, parse
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from gateway.contracts.reduced import Reduced, reduce
from schema.connections import BY_FIELD
from schema.elements import RecordKind
from schema.filters import chosen_kinds
from schema.selection import Scope, condition_variables, fragments_of, reader
from tests.gateway.aged_city import full_variables, ordinary_body
from tests.gateway.ages import NEXT, SDL, Aged, coordinates, older, run, scrubbed
from tests.gateway.asking import Question, compiled, make_row, node_patient, question
from tests.gateway.selections import Drawn, Names, trimmed
from tests.node_agent.naive import NODE
from tests.plain import RECORD_NAMES, Json

PARTS = coordinates()
EMPTY = {"edges": [], "pageInfo": {"hasNextPage": False}}
KINDS = list(RecordKind)


@dataclass
class Touched:
    """What one list of a sub-query touches: parts of arguments, and output fields, those of each type of record apart."""

    arguments: set[str] = field(default_factory=set)
    fields: set[str] = field(default_factory=set)
    records: dict[str, set[str]] = field(default_factory=dict)
    kinds: tuple[str, ...] | None = None


def touched(asked: Question, variables: Json) -> dict[str, Touched]:
    """By the key of each part of the patient."""
    ast = parse(asked.subquery.text)
    booleans = {n: bool(variables.get(n)) for n in condition_variables(ast)}
    scope = Scope(fragments_of(ast), booleans)
    (entities,) = ast.definitions[0].selection_set.selections  # type: ignore[attr-defined]
    out = {}
    for part in scope.collect((entities,), "Patient", frozenset({"_Entity"})):
        mine = out[part.key] = Touched({f"Patient.{part.name}"})
        field_type: Any = NODE.type_map["Patient"].fields[part.name]  # type: ignore[attr-defined]
        for argument in part.nodes[0].arguments or ():
            value = reader(argument.value)(variables)
            name = argument.name.value
            if name == "filter" and part.name == "timeline":
                mine.kinds = chosen_kinds(value)
            if (value is not None and _told(value) != {}) or name in ("first", "after"):
                mine.arguments.add(f"Patient.{part.name}({name})")
                _inputs(mine.arguments, get_named_type(field_type.args[name].type), value)
        _below(scope, part, get_named_type(field_type.type), mine.fields, mine.records)
    return out


def _told(value: Any) -> Any:
    return {k: _told(v) for k, v in value.items() if v is not None} if isinstance(value, Mapping) else value


def _inputs(out: set[str], kind: Any, value: Any) -> None:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if inner is not None:
                out.add(f"{kind.name}.{name}")
                if name != "kinds":  # they cut the list down, they do not take it away
                    _inputs(out, get_named_type(kind.fields[name].type), inner)


def _below(scope: Scope, selected: Any, kind: Any, out: set[str], records: dict[str, set[str]]) -> None:
    if isinstance(kind, GraphQLInterfaceType):
        for one in NODE.get_possible_types(kind):
            mine = records.setdefault(one.name, set())
            for inner in scope.collect(selected.nodes, one.name, frozenset({"Record"})):
                _field(scope, inner, one, mine, records)
    elif hasattr(kind, "fields"):
        for inner in scope.collect(
            selected.nodes, kind.name, frozenset({"Record"} if kind.name in RECORD_NAMES else ())
        ):
            _field(scope, inner, kind, out, records)


def _field(scope: Scope, inner: Any, kind: Any, out: set[str], records: dict[str, set[str]]) -> None:
    if inner.name != "__typename":
        out.add(f"{kind.name}.{inner.name}")
        _below(scope, inner, get_named_type(kind.fields[inner.name].type), out, records)


def must(part: Touched, drops: frozenset[str], name: str, newer: bool) -> set[str]:
    """The kinds that this list cannot give, by the words of the design: an argument, filter field or enum value in use is
    lacking, or an output field that may not be null."""

    def broken(parts: set[str]) -> bool:
        return any(p in drops and not PARTS[p] for p in parts)

    kind = BY_FIELD[name].kind
    if kind is not None:
        return {kind.value} if broken(part.arguments | part.fields) else set()
    wanted = set(part.kinds or [k.value for k in KINDS])
    unknown = {k for k in wanted if f"RecordKind.{k}" in drops}
    bodies = {k.value for k in KINDS if k.value in wanted and broken(part.records.get(_type(k), set()))}
    # Rows that cannot be read can only be kept from coming by naming the others.
    cannot_choose = {"Patient.timeline(filter)", "TimelineFilter.kinds"} & drops
    left = wanted - unknown - bodies
    if broken(part.arguments | part.fields) or (
        cannot_choose and left and (bodies - unknown or part.kinds is not None or newer)
    ):
        return wanted
    return unknown | bodies


def _type(kind: RecordKind) -> str:
    return next(c.node for c in BY_FIELD.values() if c.kind is kind).__name__.removesuffix("Connection")


ROWS = [
    make_row(random.Random(n), "A", n, KINDS[n % len(KINDS)], f"202{n % 3 + 2}-0{n % 9 + 1}-01T00:00:00.000000")
    for n in range(42)
]


def rows_known(drops: frozenset[str], only: set[str] | None = None, newest: str = "") -> list[Json]:
    """The rows of a node that lacks these parts; what it does not know it does not hold. newest: the class of the visits at
    night, of which only a newer node knows."""
    rows = [r for r in ROWS if f"RecordKind.{r['kind']}" not in drops and (only is None or r["kind"] in only)]
    made = [{**r, "body": scrubbed(r["body"], drops)} for r in rows]
    for row in made:
        if newest and row["kind"] == "ENCOUNTER" and row["seq"] % 2:
            row["body"]["class"] = newest
    return made


def drawn_question(drawn: Drawn) -> Question:
    lists = " ".join(drawn.connection() for _ in range(drawn.one_of((1, 2, 3))))
    statuses = drawn.one_of(("", "allergyStatus", "m: medicationStatus allergyStatus"))
    query = trimmed(
        question(drawn.inside("Patient", f"name gender {statuses} {lists}"), drawn.declared, rest=drawn.rest)
    )
    return compiled(query, **{n: v for n, v in drawn.variables().items() if n in Names(query).used})


@settings(max_examples=60, deadline=None, phases=[Phase.generate])
@given(st.integers(0, 2**32))
def test_a_node_of_any_age_answers_all_that_it_can_whatever_it_lacks(seed: int) -> None:
    rng = random.Random(seed)
    asked = drawn_question(Drawn(seed))
    variables = full_variables(asked)
    parts = touched(asked, variables)
    seen = {c for p in parts.values() for c in (*p.arguments, *p.fields, *(f for r in p.records.values() for f in r))}
    likely = [c for c in sorted(seen) if c in PARTS and (PARTS[c] or rng.random() < 0.2)]
    drops = frozenset(
        [
            *rng.sample(likely, min(len(likely), rng.choice((0, 1, 2, 4)))),
            *rng.sample(sorted(PARTS), rng.choice((0, 1, 8))),
        ]
    )
    drops = frozenset(d for d in drops if not _last(d, drops))
    newer = rng.random() < 0.4
    if newer:
        drops -= {"EncounterClass.UNKNOWN"}
    node = Aged.of(older(drops, base=NEXT if newer else SDL))
    reduced = reduce(asked.subquery, node.contract, asked.raw)

    names = {key: name for key, name in _names(asked).items() if name in BY_FIELD}
    missing = {key: must(parts[key], drops, name, newer) for key, name in names.items()}
    body = ordinary_body(asked, variables) if reduced is None else _asked(reduced, variables, missing, names)
    if body is None:
        return
    patients = {"ref-A": scrubbed(node_patient("A", rows_known(drops, newest="TELEHEALTH" if newer else "")), drops)}
    reply = node.reply(body, patients)
    assert b'"errors"' not in reply, (reply, node.asked)
    if reduced is not None:
        filled = reduced.fill(reply)
        assert filled.left_out == ({},)
        reply = filled.body
    found = json.loads(reply)["data"]["_entities"][0]
    nulls = frozenset(d for d in drops if PARTS[d])
    assert list(found) == list(parts)
    for key in parts:
        kinds = {k.value for k in KINDS} - missing.get(key, set())
        whole = missing.get(key) and (BY_FIELD[names[key]].kind is not None or not wanted(parts[key]) - missing[key])
        expected = EMPTY if whole else naive(asked, variables, drops, kinds, nulls, newer)[key]
        assert json.dumps(found[key]) == json.dumps(expected), (key, sorted(drops))


def _asked(reduced: Reduced, variables: Json, missing: dict[str, set[str]], names: dict[str, str]) -> bytes | None:
    """The body, after a look at what it is said not to ask."""
    assert {k.value for k in reduced.unsupported} == set().union(*missing.values(), set())
    if reduced.nothing:
        assert names and all(missing.values())
        return None
    return reduced.body(variables)


def wanted(part: Touched) -> set[str]:
    return set(part.kinds or [k.value for k in KINDS])


def naive(
    asked: Question, variables: Json, drops: frozenset[str], kinds: set[str], nulls: frozenset[str], newer: bool
) -> Json:
    """The ordinary sub-query over a current node that has only these kinds and null where a part is missing; UNKNOWN stands
    for a value of the next contract."""
    patient = scrubbed(node_patient("A", rows_known(drops, kinds, "UNKNOWN" if newer else "")), drops)
    root = {"_entities": lambda representations: [patient]}
    return run(NODE, parse(asked.subquery.text), root, variables, nulls)["data"]["_entities"][0]  # type: ignore[no-any-return]


def _names(asked: Question) -> dict[str, str]:
    (entities,) = parse(asked.subquery.text).definitions[0].selection_set.selections  # type: ignore[attr-defined]
    (patient,) = entities.selection_set.selections
    return {(f.alias or f.name).value: f.name.value for f in patient.selection_set.selections}


def _last(drop: str, drops: frozenset[str]) -> bool:
    """Whether nothing would be left of its type."""
    owner, dot, _ = drop.partition(".")
    return all(p in drops for p in PARTS if p.startswith(owner + dot) and "(" not in p) and "(" not in drop


def test_the_parts_that_may_be_null_are_those_the_contract_lets_be_null() -> None:
    kind: Any = NODE.type_map["Encounter"]
    assert PARTS["Encounter.reason"] and not isinstance(kind.fields["reason"].type, GraphQLNonNull)
    assert not PARTS["Encounter.class"] and not PARTS["Patient.encounters(filter)"] and len(PARTS) > 300
