"""The compiled statement against a naive rendering of the same records: every field, byte for byte."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from graphql import get_named_type

from node_agent.compile import Statement
from node_agent.records import ParsedPatient, ParsedRecord
from node_agent.store.postgresql import PostgresqlReader
from node_agent.store.reader import SqliteReader
from schema.clinical import CONNECTION_FIELDS
from schema.elements import RecordKind
from tests import plain
from tests.node_agent.crossed import EDGE, FIELDS, ask, crossed, same
from tests.node_agent.filled import (
    FACILITY,
    Filled,
    Person,
    fill,
)
from tests.node_agent.naive import NODE


@pytest.fixture(scope="module")
def store(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    made = crossed(tmp_path_factory.mktemp("store"))
    yield made
    made.close()


@pytest.mark.parametrize("kind", RecordKind, ids=lambda k: k.value)
def test_every_field_of_a_kind_is_byte_for_byte_what_the_contract_says(store: Filled, kind: RecordKind) -> None:
    fields = plain.full_selection(NODE, plain.type_of(kind), 2)
    query = ask(
        f"{CONNECTION_FIELDS[kind]}(first:200){{__typename edges{{{EDGE} node{{{fields}}}}} pageInfo{{__typename hasNextPage}}}}"
    )
    entities = same(store, query, "a", "b", "c", "labelled", "nobody")
    assert all(e[CONNECTION_FIELDS[kind]]["edges"] for e in entities[:4])


def test_the_timeline_renders_every_field_of_every_kind(store: Filled) -> None:
    branches = " ".join(
        f"...on {plain.type_of(k)}{{{' '.join(f'{k.value}{f}' for f in _aliased(k))}}}" for k in RecordKind
    )
    entities = same(
        store, ask(f"timeline(first:200){{edges{{{EDGE} node{{__typename id encounterId {branches}}}}}}}"), "a", "c"
    )
    assert {e["kind"] for e in entities[0]["timeline"]["edges"]} == {k.value for k in RecordKind}


def _aliased(kind: RecordKind) -> list[str]:
    """`_name: name` of each field of a kind, so that kinds whose fields differ in type can stand side by side."""
    fields = NODE.type_map[plain.type_of(kind)].fields  # type: ignore[attr-defined]
    out = []
    for name, field in fields.items():
        inner = get_named_type(field.type)
        below = f"{{{plain.full_selection(NODE, inner.name, 1)}}}" if hasattr(inner, "fields") else ""
        out.append(f"_{name}: {name}{below}")
    return out


def test_who_the_patient_is_and_the_ledger_stand_where_the_client_put_them(store: Filled) -> None:
    ledger = "__typename facility failedItems asOf lagging feedLagSeconds"
    query = ask(f"x: ledger{{{ledger}}} ref a:name name birthDate __typename gender l: ledger{{lag: lagging}} r2: ref")
    same(store, query, "a", "b", "nobody")
    same(store, ask("ledger{failedItems}"), "c")
    same(store, ask("name"), "c")


def test_aliases_merged_duplicates_fragments_and_directives_mean_what_graphql_says(store: Filled) -> None:
    query = """query Q($r: [_Any!]!, $yes: Boolean!, $no: Boolean = false, $n: Int = 3) {
      all: _entities(representations: $r) { ...P ... on Patient { encounters(first: $n) { edges { node { status } } } } }
      _entities(representations: $r) { ... on Patient { ref name @skip(if: $yes) again: ref @include(if: $no) } }
    }
    fragment P on Patient {
      encounters(first: $n) { edges { ...E k: sortKey node { id ...R } node { period { start } } } }
      one: encounters(first: 1) { pageInfo { more: hasNextPage } }
      drugs: prescriptions(first: 2) { edges { node { items { position drug } items { d: drug code { ...C } } } } }
      timeline(first: 9) @include(if: $yes) { edges { node { ...R ... on Encounter { x: status } ... on Condition { y: role } } } }
    }
    fragment E on EncounterEdge { sortKey node { ... @include(if: $yes) { period { end } } ... @skip(if: $yes) { reason } } }
    fragment R on Record { __typename kind facility { n: name } ... on Encounter { diagnoses { role code } diagnoses { id } } }
    fragment C on Code { system ... on Code { display } }"""
    for yes in (True, False):
        expected = store.naive(query, "a", "b", yes=yes)
        assert store.body(query, "a", "b", yes=yes) == msgspec.json.encode({"data": expected})


def test_one_documents_plans_are_kept_apart_by_operation_and_by_booleans(store: Filled) -> None:
    query = """query A($r: [_Any!]!, $b: Boolean!) { _entities(representations: $r) { ... on Patient { name @include(if: $b) ref } } }
    query B($r: [_Any!]!, $b: Boolean!) { _entities(representations: $r) { ... on Patient { ref birthDate @include(if: $b) } } }"""
    seen = {
        (o, b): store.run(query, "a", operation=o, b=b).data["_entities"][0]
        for _ in range(2) for o in "AB" for b in (True, False)
    }  # fmt: skip
    texts = {k: msgspec.json.decode(msgspec.json.encode(v)) for k, v in seen.items()}
    assert set(texts["A", True]) == {"name", "ref"} and set(texts["A", False]) == {"ref"}
    assert set(texts["B", True]) == {"ref", "birthDate"} and set(texts["B", False]) == {"ref"}


def test_a_selection_of_two_hundred_aliased_fields_works(store: Filled) -> None:
    names = ["reason", "treatment", "days", "notResent", "weightKg", "class", "id", "admittedAt"]
    fields = " ".join(f"f{i}: {names[i % len(names)]}" for i in range(200))
    nested = " ".join(f"p{i}: period {{ s{i}: start }} c{i}: outcome {{ code asSent }}" for i in range(60))
    same(store, ask(f"encounters{{edges{{node{{{fields} {nested}}}}}}}"), "a")
    same(store, ask(" ".join(f"e{i}: encounters(first:1){{edges{{node{{id reason}}}}}}" for i in range(60))), "a")


def test_the_deepest_lists_at_full_width_stay_within_the_databases_limits(store: Filled) -> None:
    wide = " ".join(f"w{i}: conclusion" for i in range(50))
    deep = plain.full_selection(NODE, "Observation", 1)
    query = ask(
        f"timeline(first:50){{edges{{node{{...on Encounter{{diagnosticReports{{{wide} results{{{deep}}}}}}} id}}}}}}"
    )
    same(store, query, "a", "b")


def test_an_object_whose_parts_are_all_null_is_null(database: str, tmp_path: Any) -> None:
    nothing = {"start": None, "end": None}
    body = plain.make_body(NODE, "Encounter", random.Random(1), 0.0)
    body |= {"period": nothing, "outcome": {"system": None, "code": None, "display": None, "asSent": None}}
    person = Person(
        ParsedPatient(FACILITY, "n", (), "Tên"), [ParsedRecord(RecordKind.ENCOUNTER, "e", "X", body, "2024")]
    )
    filled = fill(tmp_path, {"n": person})
    data = filled.run(ask("encounters{edges{node{period{start end} outcome{code}}}}"), "n").data
    node = msgspec.json.decode(msgspec.json.encode(data))["_entities"][0]["encounters"]["edges"][0]["node"]
    assert node == {"period": None, "outcome": None}
    filled.close()


@pytest.mark.parametrize("field", FIELDS)
def test_no_statement_reads_a_table_from_end_to_end_and_nested_lists_come_by_the_encounter(
    store: Filled, field: str
) -> None:
    nested = "... on Encounter { diagnoses { code } observations { value } prescriptions { items { drug } } }"
    name = "node { id " + (nested if field in ("encounters", "timeline") else "") + " }"
    query = ask(f"{field}(first: 20) {{ edges {{ {EDGE} {name} }} pageInfo {{ hasNextPage }} }}")
    store.body(query, "a")
    (statement,) = store.executor.document(query).plans.values()
    for analysed in (False, True):  # nobody has analysed a new store
        if analysed and isinstance(store.reader, PostgresqlReader):
            store.rows("ANALYZE")
            assert any(
                ("record_by_time" if field == "timeline" else "record_by_kind") in s for s in plan(store, statement)
            )
        steps = plan(store, statement)
        assert not [s for s in steps if s.startswith(("SCAN", "Seq", "Bitmap")) and "subquery" not in s], steps
        if "diagnoses" in name:
            assert sum("record_by_encounter" in s for s in steps) >= 3


def plan(store: Filled, statement: Statement) -> list[str]:
    """How the database runs it, a line a step; on PostgreSQL as the reader's own connections do, whatever the parameters."""
    if isinstance(store.reader, SqliteReader):
        explained = store.reader.fetch_all("EXPLAIN QUERY PLAN " + statement.sql, ["~"] * len(statement.parameters), 5)
        return [row[3] for row in store.runner.run(explained)]

    async def work() -> Any:
        async with store.reader._pool.acquire() as connection:  # type: ignore[attr-defined]
            await connection.execute("PREPARE explained AS " + statement.sql)
            nothing = ",".join("NULL" for _ in statement.parameters)
            text = await connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE explained({nothing})")
            await connection.execute("DEALLOCATE explained")
            return msgspec.json.decode(text)[0]["Plan"]

    return list(steps_of(store.runner.run(work())))


def steps_of(node: dict[str, Any]) -> Iterator[str]:
    """'Index Scan record_by_kind', with SCAN before it where it goes through all of an index."""
    step = " ".join(str(node[k]) for k in ("Node Type", "Relation Name", "Index Name") if k in node)
    yield f"SCAN {step}" if "Index Name" in node and "Index Cond" not in node else step
    for child in node.get("Plans", ()):
        yield from steps_of(child)
