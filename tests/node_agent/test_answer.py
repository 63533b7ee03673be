"""Around the statement: what is refused, whose patients are answered, and the node's ledger of its own feeds."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from graphql import GraphQLError

from node_agent.answer import FIRST_PAGE, Ledger, bindings
from node_agent.compile import Page, Statement
from node_agent.records import FeedError, ParsedPatient
from schema.delegation import Allowed
from tests.node_agent.filled import FACILITY, NOW, OTHER_FACILITY, Filled, Person, fill, make_person
from tests.node_agent.naive import EVERYTHING

CANARY = "CANARY-001090123456"
LEDGER = "query($r:[_Any!]!){_entities(representations:$r){...on Patient{ref ledger{facility failedItems asOf lagging feedLagSeconds}}}}"
NAMES = "query($r:[_Any!]!){_entities(representations:$r){...on Patient{name}}}"
PAGE = "query($r:[_Any!]!,$n:Int,$a:String,$d:PartialDate){_entities(representations:$r){...on Patient{encounters(first:$n,after:$a,filter:{period:{from:$d}}){edges{id}}}}}"


@pytest.fixture(scope="module")
def store(database: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    failed = ParsedPatient(FACILITY, "failed", (), "Lê Thử")
    people = {
        "a": make_person(1, FACILITY, "a", 1),
        "b": Person(failed),
        "c": Person(ParsedPatient(OTHER_FACILITY, "c", (), CANARY)),
    }
    error = FeedError("XML_BROKEN", "HOSO 2", "XML1", None, "hỏng", "broken", FACILITY, failed, "unit-x")
    filled = fill(tmp_path_factory.mktemp("store"), people, (error, replace(error, unit_key="unit-y")))
    yield filled
    filled.close()


def entities(store: Filled, query: str, *names: str, **options: Any) -> Any:
    return msgspec.json.decode(store.body(query, *names, **options))["data"]["_entities"]


@pytest.mark.parametrize("size", [0, -1, 201, 2**31 - 1])
def test_a_page_size_out_of_range_is_refused(store: Filled, size: int) -> None:
    assert store.refusal(PAGE, "a", n=size) == "BAD_PAGE_SIZE"


def test_null_is_no_page_size(store: Filled) -> None:
    assert store.refusal(PAGE, "a", n=None) == "BAD_PAGE_SIZE"


@pytest.mark.parametrize("after", ["", "x", "a|b", "a|b|c|d"])
def test_a_position_that_is_none_is_refused(store: Filled, after: str) -> None:
    assert store.refusal(PAGE, "a", n=1, a=after) == "BAD_CURSOR"


def test_a_date_that_is_none_is_refused_before_anything_runs(store: Filled) -> None:
    assert store.refusal(PAGE, "a", n=1, d="2024-13") == "BAD_PERIOD"
    reader = {"first": lambda _: 1, "after": lambda _: None}
    page = Page("c0_", "encounters", filter=lambda _: {"period": {"from": "12/2024"}}, **reader)
    with pytest.raises(GraphQLError) as caught:
        bindings(Statement("", (), (page,), ()), {}, EVERYTHING)
    assert caught.value.extensions == {"code": "BAD_PERIOD"}


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"period": {"from": "2025", "to": "2024"}}, "BAD_PERIOD"),
        ({"period": {"to": "2024-02-30"}}, "BAD_PERIOD"),
        ({"code": "E11%"}, "BAD_CODE"),
        ({"code": ""}, "BAD_CODE"),
        ({"code": CANARY + "?"}, "BAD_CODE"),
        ({"kinds": []}, "BAD_KINDS"),
    ],
    ids=str,
)
def test_a_filter_nothing_can_pass_is_refused_and_not_answered_as_empty(store: Filled, given: Any, code: str) -> None:
    query = "query($r:[_Any!]!,$f:TimelineFilter){_entities(representations:$r){...on Patient{timeline(filter:$f){edges{id}}}}}"
    result = store.run(query, "a", f=given)
    assert not result.data and [e["extensions"]["code"] for e in result.errors] == [code]
    assert CANARY not in str(result.errors)


def test_a_patient_outside_the_delegation_is_refused_even_beside_one_inside(store: Filled) -> None:
    assert store.refusal(NAMES, "a", delegated=()) == "NOT_DELEGATED"
    assert store.refusal(NAMES, "a", "b", delegated=("a",)) == "NOT_DELEGATED"
    assert store.refusal(NAMES, "a", delegated=("b",)) == "NOT_DELEGATED"


@pytest.mark.parametrize(
    "bad",
    [
        {"__typename": "Encounter", "ref": "x"},
        {"__typename": "Patient"},
        {"__typename": "Patient", "ref": 5},
        "x",
        [],
        {},
        {"ref": "x"},
        1,
    ],
    ids=str,
)
def test_a_representation_of_anything_else_is_refused(store: Filled, bad: Any) -> None:
    query = "query($bad: [_Any!]!) { _entities(representations: $bad) { __typename } }"
    assert store.refusal(query, "a", bad=[bad]) == "BAD_REPRESENTATION"


def test_a_ref_nobody_has_here_is_null_and_the_others_are_answered(store: Filled) -> None:
    stranger = replace(store.people["a"], patient=ParsedPatient(FACILITY, "stranger"))
    store.people["stranger"] = stranger
    try:
        found = entities(store, NAMES, "a", "stranger", "c")
    finally:
        del store.people["stranger"]
    assert found == [{"name": "Trần Thử a"}, None, {"name": CANARY}]


def test_the_same_patient_twice_is_answered_twice_in_order(store: Filled) -> None:
    assert [e["ref"] for e in entities(store, LEDGER, "c", "a", "c")] == [store.ref(n) for n in ("c", "a", "c")]


def test_failed_items_count_only_for_the_patient_they_are_attributed_to(store: Filled) -> None:
    counted = {n: entities(store, LEDGER, n)[0]["ledger"]["failedItems"] for n in "abc"}
    assert counted == {"a": 0, "b": 2, "c": 0}


@pytest.mark.parametrize(
    ("later", "lagging"),
    [(0, False), (86_399, False), (86_401, True), (21 * 86_400, True)],
    ids=["now", "in time", "late", "three weeks"],
)
def test_a_feed_silent_beyond_its_rhythm_is_lagging(store: Filled, later: int, lagging: bool) -> None:
    ledger = Ledger(store.reader, lambda: NOW.timestamp() + later)
    state = store.runner.run(ledger._state(FACILITY, 0))
    assert state["lagging"] is lagging and state["feedLagSeconds"] == later
    assert state["asOf"] == "2026-03-01T09:03:04+07:00"


def test_a_feed_never_heard_is_lagging_whatever_the_others_say(database: str, tmp_path: Any) -> None:
    filled = fill(tmp_path, {"a": make_person(1, FACILITY, "a", 1), "c": make_person(2, OTHER_FACILITY, "c", 1)})
    filled.rows("INSERT INTO feed VALUES (:facility, 'BHYT_XML', 86400, NULL)", facility=FACILITY)
    a, c = (entities(filled, LEDGER, n)[0]["ledger"] for n in "ac")
    assert (a["lagging"], c["lagging"]) == (True, False)
    filled.close()


def test_a_ledger_is_read_again_when_it_has_grown_old(store: Filled) -> None:
    clock = [NOW.timestamp()]
    ledger = Ledger(store.reader, lambda: clock[0])
    assert store.runner.run(ledger._state(FACILITY, 0))["lagging"] is False
    change = "UPDATE feed SET last_received_at=:at WHERE facility=:facility"
    ((before,),) = store.rows("SELECT last_received_at FROM feed WHERE facility=:facility", facility=FACILITY)
    store.rows(change, at="2026-02-01T00:00:00.000000Z", facility=FACILITY)
    clock[0] += 2
    assert store.runner.run(ledger._state(FACILITY, 0))["lagging"] is True
    store.rows(change, at=before, facility=FACILITY)


def test_the_database_itself_stops_a_statement_whose_time_is_over(store: Filled) -> None:
    wide = " ".join(f"a{i}: timeline(first: 200) {{ edges {{ node {{ id kind }} }} }}" for i in range(100))
    query = f"query($r:[_Any!]!){{_entities(representations:$r){{...on Patient{{{wide}}}}}}}"
    assert store.refusal(query, "a", seconds=0.001) == "DEADLINE_OVER"
    assert store.refusal(NAMES, "a", seconds=0) == "DEADLINE_OVER"
    assert len(entities(store, query, "a")[0]) == 100


def test_the_allowed_set_and_the_page_are_bound_parameters() -> None:
    page = Page("c0_", "timeline", lambda _: 3, lambda _: None, lambda _: None)
    bound = bindings(Statement("", (), (page,), ()), {}, Allowed(("ENCOUNTER",), 5, "2024", "2025~"))
    assert (bound["denied"], bound["kinds"], bound["low"], bound["high"]) == (5, "|ENCOUNTER|", "2024", "2025~")
    assert (bound["c0_first"], bound["c0_at"], bound["c0_low"], bound["c0_high"]) == (3, FIRST_PAGE, "", "~")


def test_nothing_about_a_patient_reaches_a_log_or_standard_error(
    store: Filled, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG):
        store.run(NAMES, "c")
        store.run(PAGE, "c", n=1, a=CANARY)
        store.run(PAGE, "c", n=1, d=CANARY)
        store.run(
            f'query($r:[_Any!]!){{_entities(representations:[{{__typename:"Patient",ref:"{CANARY}"}}]){{__typename}}}}',
            "c",
        )
        store.run("{" + CANARY + "}", "c")
        store.run(NAMES, "c", seconds=0)
    out = capsys.readouterr()
    text = out.out + out.err + caplog.text + "".join(str(vars(r)) for r in caplog.records)
    assert CANARY not in text and store.ref("c") not in text
