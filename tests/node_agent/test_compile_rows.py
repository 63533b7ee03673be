"""Which rows a statement returns: nobody else's, nothing beyond the allowed set, what the filters say, each once."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schema.clinical import CONNECTION_FIELDS
from schema.delegation import Allowed
from schema.elements import RecordKind
from schema.filters import BadArgument, check_filter
from tests import plain
from tests.node_agent.crossed import EDGE, FIELDS, ask, crossed, same
from tests.node_agent.filled import (
    FACILITY,
    OTHER_FACILITY,
    Filled,
)
from tests.node_agent.naive import NODE, codes_of
from tests.plain import Json


@pytest.fixture(scope="module")
def store(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    made = crossed(tmp_path_factory.mktemp("store"))
    yield made
    made.close()


relaxed = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


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
    try:
        check_filter(chosen)
    except BadArgument as impossible:
        assert store.refusal(query, who, n=first, f=chosen) == impossible.code
        return
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
