"""The compiled statement against a naive rendering of the same records: every field, every filter, nobody else's rows."""

from __future__ import annotations

import random
import re
import sqlite3
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node_agent.records import ParsedPatient, ParsedRecord
from schema.clinical import CONNECTION_FIELDS
from schema.delegation import Allowed
from schema.elements import RecordKind
from tests import plain
from tests.node_agent.filled import (
    EVERYTHING,
    FACILITY,
    NODE,
    OTHER_FACILITY,
    Filled,
    Person,
    codes_of,
    fill,
    make_person,
    make_record,
)
from tests.plain import Json

EDGE = "__typename sortKey id kind facility key contentHash subject"
FIELDS = [*CONNECTION_FIELDS.values(), "timeline"]
relaxed = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def ask(selection: str, more: str = "") -> str:
    return f"query($r:[_Any!]!{more}){{_entities(representations:$r){{...on Patient{{{selection}}}}}}}"


def same(store: Filled, query: str, *names: str, allowed: Allowed = EVERYTHING, **variables: Any) -> Any:
    """Asserts byte equality with the naive answer and returns the decoded entities."""
    expected = store.naive(query, *names, allowed=allowed, **variables)
    assert store.body(query, *names, allowed=allowed, **variables) == msgspec.json.encode({"data": expected})
    return expected["_entities"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Two people of one facility whose records point at each other's, one elsewhere with the same local keys, one labelled."""
    rng = random.Random(5)
    a, b = make_person(1, FACILITY, "a", 5), make_person(2, FACILITY, "b")
    for n, kind in enumerate(RecordKind):
        if kind is not RecordKind.ENCOUNTER:
            b.records.append(make_record(rng, kind, f"stolen-{n}", "a-visit0"))
    stolen = ("a-visit0/o1", "stolen-2", "b-visit0/o1")
    b.records.append(
        replace(make_record(rng, RecordKind.DIAGNOSTIC_REPORT, "both", "a-visit0"), links={"results": stolen})
    )
    labelled = make_person(4, FACILITY, "l")
    labelled.records = [
        replace(r, labels=frozenset({"TB"}) if n % 3 == 1 else frozenset()) for n, r in enumerate(labelled.records)
    ]
    people = {"a": a, "b": b, "c": make_person(3, OTHER_FACILITY, "a", 5), "labelled": labelled, "nobody": empty()}
    filled = fill(tmp_path_factory.mktemp("store"), people)
    yield filled
    filled.reader.close()


def empty() -> Person:
    return Person(ParsedPatient(FACILITY, "empty", (), "Không Có Gì"))


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
    fields = NODE.type_map[plain.type_of(kind)].fields  # type: ignore[union-attr]
    out = []
    for name, field in fields.items():
        inner = plain.get_named_type(field.type)
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


def test_an_object_whose_parts_are_all_null_is_null(tmp_path: Any) -> None:
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
    filled.reader.close()


def test_no_row_of_another_patient_is_ever_in_an_answer(store: Filled) -> None:
    """Records of `b` say they belong to visits of `a`, and name observations of `a`; `c` has the same local keys elsewhere."""
    owners = {r["id"]: r["name"] for r in store._rows()}
    depth = " ".join(
        f"{field}(first:200){{edges{{subject node{{{plain.full_selection(NODE, plain.type_of(kind), 2)}}}}}}}"
        for kind, field in CONNECTION_FIELDS.items()
    )
    for name in ("a", "b", "c"):
        text = store.body(ask(depth + " timeline(first:200){edges{subject id node{id}}}"), name).decode()
        strangers = [rid for rid, owner in owners.items() if owner != name and f'"id":"{rid}"' in text]
        assert strangers == []
        assert sum(f'"id":"{rid}"' in text for rid, owner in owners.items() if owner == name) > 40
        assert not any(store.ref(other) in text for other in ("a", "b", "c") if other != name)


def test_an_encounter_filter_or_a_cursor_from_another_patient_finds_nothing_of_theirs(store: Filled) -> None:
    visit = store.ids.record(FACILITY, RecordKind.ENCOUNTER, "a-visit0")
    query = ask(f"timeline(first:200,filter:{{encounter:$e}}){{edges{{{EDGE}}}}}", ",$e:ID!")
    mine = same(store, query, "a", e=visit)[0]["timeline"]["edges"]
    stolen = same(store, query, "b", e=visit)[0]["timeline"]["edges"]
    assert mine and stolen and not {e["id"] for e in mine} & {e["id"] for e in stolen}
    assert same(store, query, "c", e=visit)[0]["timeline"]["edges"] == []


ALLOWED = {
    "one kind": Allowed(("ENCOUNTER",), 0, "", "~"),
    "some kinds": Allowed(("ENCOUNTER", "DIAGNOSTIC_REPORT", "CONDITION"), 0, "", "~"),
    "no kinds": Allowed((), 0, "", "~"),
    "a kind that does not exist": Allowed(("%", "_", "|ENCOUNTER|"), 0, "", "~"),
    "a period": Allowed(None, 0, "2024-02", "2024~"),
    "an empty period": Allowed(None, 0, "9", "1"),
    "no labels": Allowed(None, 2**31 - 1, "", "~"),
    "another label": Allowed(None, 1, "", "~"),
    "all at once": Allowed(("ENCOUNTER", "OBSERVATION"), 2, "2024", "~"),
}


@pytest.mark.parametrize("allowed", ALLOWED.values(), ids=ALLOWED.keys())
def test_the_allowed_set_holds_at_every_depth(store: Filled, allowed: Allowed) -> None:
    encounter = plain.full_selection(NODE, "Encounter", 2)
    query = ask(
        f"encounters(first:200){{edges{{{EDGE} node{{{encounter}}}}} pageInfo{{hasNextPage}}}}"
        f" diagnosticReports(first:200){{edges{{node{{id results{{id categories{{code}}}}}}}}}}"
        f" conditions(first:1){{pageInfo{{hasNextPage}}}}"
        f" timeline(first:200){{edges{{id kind node{{...on Encounter{{observations{{id}} diagnoses{{id}}}}}}}}}}"
    )
    if allowed.kinds and "|ENCOUNTER|" in allowed.kinds:
        found = msgspec.json.decode(store.body(query, "a", allowed=allowed))["data"]["_entities"][0]
        assert {k["kind"] for k in found["timeline"]["edges"]} <= {"ENCOUNTER"}
        return
    same(store, query, "a", "labelled", allowed=allowed)


def test_labelled_records_are_gone_from_lists_links_counts_and_relations(store: Filled) -> None:
    hidden = {r["id"] for r in store._rows() if r["name"] == "labelled" and r["labels"]}
    assert len(hidden) > 10
    everything = " ".join(
        f"{f}(first:200){{edges{{id node{{{plain.full_selection(NODE, plain.type_of(k), 2)}}}}}}}"
        for k, f in CONNECTION_FIELDS.items()
    )
    text = store.body(
        ask(everything + " timeline(first:200){edges{id}}"), "labelled", allowed=ALLOWED["no labels"]
    ).decode()
    assert not [h for h in hidden if f'"id":"{h}"' in text]


partial = st.sampled_from(
    [None, "", "2023", "2024", "2024-02", "2024-02-29", "2024-02-29T07:30+07:00", "2024-03", "2025"]
).map(lambda d: d or None)
filters = st.fixed_dictionaries(
    {},
    optional={
        "period": st.none() | st.fixed_dictionaries({}, optional={"from": partial, "to": partial}),
        "code": st.sampled_from([None, "", "E11", "e11.9", "E119", "E1", "I10", "Z00.0*", "E11%", "_", "A 09", "A09"]),
        "facility": st.sampled_from([None, FACILITY, OTHER_FACILITY, ""]),
        "encounter": st.sampled_from([None, "a-visit0", "a-visit3", "b-visit1", "nothing"]),
    },
)


@relaxed
@given(
    field=st.sampled_from(FIELDS), chosen=filters, first=st.integers(1, 200), who=st.sampled_from(["a", "b", "c"]),
    kinds=st.none() | st.lists(st.sampled_from([k.value for k in RecordKind]), max_size=3),
)  # fmt: skip
def test_filters_find_what_the_contract_says(
    store: Filled, field: str, chosen: Json, first: int, who: str, kinds: list[str] | None
) -> None:
    if chosen.get("encounter"):
        chosen = {**chosen, "encounter": store.ids.record(FACILITY, RecordKind.ENCOUNTER, chosen["encounter"])}
    kind = "RecordFilter"
    if field == "timeline":
        kind, chosen = "TimelineFilter", {**chosen, "kinds": kinds}
    query = ask(f"{field}(first:$n,filter:$f){{edges{{{EDGE}}} pageInfo{{hasNextPage}}}}", f",$n:Int!,$f:{kind}")
    same(store, query, who, n=first, f=chosen)


def test_the_prefix_of_a_code_finds_its_subcodes_and_only_them(store: Filled) -> None:
    query = ask("timeline(first:200,filter:{code:$c}){edges{id}}", ",$c:String")
    rows = {r["id"]: codes_of(r["body"]) for r in store._rows() if r["name"] == "a"}
    found = {
        c: {e["id"] for e in same(store, query, "a", c=c)[0]["timeline"]["edges"]}
        for c in ("E11", "E11.9", "e119", "Q")
    }
    assert found["E11"] == {i for i, codes in rows.items() if any(c.startswith("E11") for c in codes)}
    assert found["E11.9"] == found["e119"] == {i for i, codes in rows.items() if "E119" in codes} < found["E11"]
    assert found["Q"] == set()


@relaxed
@given(field=st.sampled_from(FIELDS), size=st.integers(1, 60), who=st.sampled_from(["a", "b", "labelled"]))
def test_a_walk_page_by_page_sees_every_row_once_and_undated_rows_last(
    store: Filled, field: str, size: int, who: str
) -> None:
    query = ask(
        f"{field}(first:$n,after:$a){{edges{{sortKey facility id}} pageInfo{{hasNextPage}}}}", ",$n:Int!,$a:String"
    )
    seen: list[Json] = []
    after, more = None, True
    while more:
        page = msgspec.json.decode(store.body(query, who, n=size, a=after))["data"]["_entities"][0][field]
        seen += page["edges"]
        more = page["pageInfo"]["hasNextPage"]
        assert len(page["edges"]) == size or not more
        after = "{sortKey}|{facility}|{id}".format(**seen[-1]) if seen else None
    whole = [
        r
        for r in store._rows()
        if r["name"] == who and (field == "timeline" or CONNECTION_FIELDS[RecordKind(r["kind"])] == field)
    ]
    assert sorted(e["id"] for e in seen) == sorted(r["id"] for r in whole)
    keys = [(e["sortKey"], e["facility"], e["id"]) for e in seen]
    assert keys == sorted(keys, reverse=True)
    undated = [not e["sortKey"] for e in seen]
    assert undated == sorted(undated)


def test_one_value_where_a_list_of_kinds_belongs_means_a_list_of_one(store: Filled) -> None:
    literal = ask("timeline(first:200,filter:{kinds: CONDITION}){edges{id kind}}")
    variable = ask("timeline(first:200,filter:{kinds: $k}){edges{id kind}}", ",$k:[RecordKind!]")
    whole = ask("timeline(first:200,filter:$f){edges{id kind}}", ",$f:TimelineFilter")
    assert same(store, literal, "a")[0]["timeline"]["edges"]
    same(store, variable, "a", k="CONDITION")
    same(store, whole, "a", f={"kinds": "CONDITION"})


def test_a_variable_that_is_not_given_is_as_if_its_field_were_not_there(store: Filled) -> None:
    more = ",$f:String,$e:ID,$k:[RecordKind!],$c:String,$d:PartialDate,$n:Int,$a:String"
    chosen = "{facility:$f,encounter:$e,kinds:$k,code:$c,period:{from:$d,to:$d}}"
    entity = same(store, ask(f"timeline(first:$n,after:$a,filter:{chosen}){{edges{{id}}}}", more), "a")[0]
    assert len(entity["timeline"]["edges"]) == 20


@pytest.mark.parametrize("field", FIELDS)
def test_no_statement_reads_a_table_from_end_to_end_and_nested_lists_come_by_the_encounter(
    store: Filled, field: str
) -> None:
    nested = "... on Encounter { diagnoses { code } observations { value } prescriptions { items { drug } } }"
    name = "node { id " + (nested if field in ("encounters", "timeline") else "") + " }"
    query = ask(f"{field}(first: 20) {{ edges {{ {EDGE} {name} }} pageInfo {{ hasNextPage }} }}")
    store.body(query, "a")
    (statement,) = store.executor.document(query).plans.values()
    connection = sqlite3.connect(store.path)
    try:
        bound = dict.fromkeys(re.findall(r":(\w+)", statement.sql), "~")
        steps = [row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + statement.sql, bound)]
    finally:
        connection.close()
    scans = [s for s in steps if s.startswith("SCAN") and "subquery" not in s]
    assert not scans, scans
    if "diagnoses" in name:
        assert sum("record_by_encounter" in s for s in steps) >= 3
