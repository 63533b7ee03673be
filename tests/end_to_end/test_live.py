"""A history as hospitals answer, over real processes: nothing missing against the query, the fast not waiting for the slow."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from gql import Client, gql
from gql.transport.exceptions import TransportQueryError
from gql.transport.websockets import WebsocketsTransport

from benchmarks import hospital
from compose.demo.launch import NodeSpec, RunningCity, wait_for
from gateway.access.callers import Role
from schema.identity import IdentifierKind, canonical
from tests.end_to_end.databases import BOTH, launched
from tests.fault_proxy import Fault, FaultProxy
from tests.listening import CARRIERS, LISTEN, Heard, hear, opened, over_events, over_web_socket, say

pytestmark = BOTH

PATIENT = canonical(IdentifierKind.CCCD, hospital.CCCD)
CODES = ("01001", "01002", "01003")
SLOW = "01003"
DEADLINE = 2.5
FILTER = {"kinds": ["ENCOUNTER", "PRESCRIPTION"]}
QUERY = """query($by: PatientBy!, $access: AccessInput!, $filter: TimelineFilter) { patient(by: $by, access: $access) {
  coverage { completeness located facilities { facility { code } outcome reason records } }
  patient { timeline(first: 200, filter: $filter) { edges { sortKey facility { code } node { id } }
    pageInfo { hasNextPage } } } } }"""


@dataclass(frozen=True)
class Trio:
    """Three hospitals with 40 rows each behind proxies, and a doctor with a grant."""

    running: RunningCity
    proxies: dict[str, FaultProxy]
    grant: str

    @property
    def url(self) -> str:
        return self.running.gateway.url

    def doctor(self) -> str:
        return self.running.token(Role.PRACTITIONER, "doctor", facility="01006", licence="001234/HNO-CCHN")

    def about(self, **more: Any) -> dict[str, Any]:
        access = {"purpose": "TREAT", "basis": "GRANT", "evidence": self.grant}
        return {"by": {"kind": "CCCD", "value": hospital.CCCD}, "access": access, "filter": FILTER, **more}

    def listen(self, carrier: Any = over_web_socket, **more: Any) -> list[Heard]:
        return list(carrier(self.url, self.doctor(), LISTEN, self.about(**more)))


@pytest.fixture(scope="module")
def trio(tmp_path_factory: pytest.TempPathFactory, database: str) -> Iterator[Trio]:
    proxies = {code: FaultProxy() for code in CODES}
    specs = [
        NodeSpec(c, f"Bệnh viện {c}", "bhyt_xml", hospital.files(c), advertised=proxies[c].advertise) for c in CODES
    ]
    options = {"node_deadline_seconds": DEADLINE, "request_deadline_seconds": DEADLINE + 0.5, "live_late_seconds": 8.0}
    options |= {"breaker_failures": 1000, "breaker_window": 1000}  # one hospital fails in test after test
    with launched(database, tmp_path_factory.mktemp("trio"), specs, gateway_options=options) as running:
        running.settle()
        yield Trio(running, proxies, running.give_grant(PATIENT, granteeFacility="01006"))
    for proxy in proxies.values():
        proxy.close()


@pytest.fixture(autouse=True)
def _honest(trio: Trio) -> Iterator[None]:
    yield
    for proxy in trio.proxies.values():
        proxy.fault, proxy.delay = Fault.NONE, 0.0


@pytest.fixture(params=sorted(CARRIERS))
def carrier(request: pytest.FixtureRequest) -> Any:
    return CARRIERS[request.param]


def queried(trio: Trio) -> tuple[dict[str, tuple[str, str | None, int]], list[tuple[str, str]], str]:
    """The query's ledger, its rows in order, and its completeness."""
    answer = trio.running.ask(trio.doctor(), QUERY, trio.about())
    assert "errors" not in answer
    found = answer["data"]["patient"]
    lines = found["coverage"]["facilities"]
    ledger = {x["facility"]["code"]: (x["outcome"], x["reason"], x["records"]) for x in lines}
    assert found["patient"]["timeline"]["pageInfo"] == {"hasNextPage": False}
    edges = found["patient"]["timeline"]["edges"]
    return ledger, [(e["facility"]["code"], e["node"]["id"]) for e in edges], found["coverage"]["completeness"]


def rows_in_order(heard: list[Heard]) -> list[tuple[str, str]]:
    """The rows of all parts, put where their sort keys say."""
    edges = [e for h in heard if h.is_part for e in h.history["edges"]]
    edges.sort(key=lambda e: e["sortKey"].split("|"), reverse=True)
    return [(e["facility"]["code"], e["node"]["id"]) for e in edges]


def test_the_fast_hospitals_come_first_and_together_the_parts_are_the_query_s_answer(trio: Trio, carrier: Any) -> None:
    ledger, rows, completeness = queried(trio)
    assert len(rows) == 120
    trio.proxies[SLOW].delay = 1.5
    heard = trio.listen(carrier)
    assert [h.is_part for h in heard] == [True, True, True, False]
    assert heard[0].at < 1.5 <= heard[2].at and heard[2].facility == SLOW
    assert sorted(h.facility for h in heard[:3]) == list(CODES)
    assert rows_in_order(heard) == rows
    closed = heard[-1]
    assert closed.ledger() == ledger and closed.history["coverage"]["completeness"] == completeness
    assert closed.history["pageInfo"]["hasNextPage"] is False
    assert closed.payload["extensions"]["coverage"]["history"]["completeness"] == completeness
    for part in heard[:3]:
        line = part.history["coverage"]
        assert (line["outcome"], line["reason"], line["records"]) == ledger[part.facility]
        assert not any(e["late"] for e in part.history["edges"])


def test_a_hospital_after_the_deadline_is_timed_out_in_the_ledger_and_still_comes_in_late(
    trio: Trio, carrier: Any
) -> None:
    ledger, rows, _ = queried(trio)
    trio.proxies[SLOW].delay = DEADLINE + 1.0
    heard = trio.listen(carrier)
    assert [h.is_part for h in heard] == [True, True, False, True, False]
    closed, late, last = heard[2:]
    assert SLOW not in (heard[0].facility, heard[1].facility) and closed.at >= DEADLINE - 0.1 > heard[0].at
    assert closed.ledger() == {**ledger, SLOW: ("TIMED_OUT", None, 0)}
    assert closed.history["coverage"]["completeness"] == "INCOMPLETE"
    assert late.facility == SLOW and len(late.history["edges"]) == 40
    assert all(e["late"] for e in late.history["edges"])
    assert last.ledger() == ledger and rows_in_order(heard) == rows


def test_a_hospital_that_never_answers_is_given_up(trio: Trio) -> None:
    trio.proxies[SLOW].fault = Fault.HANG
    heard = trio.listen()
    assert heard[-1].at < DEADLINE + 8.0 + 3.0
    assert [h.is_part for h in heard[:3]] == [True, True, False]
    assert heard[-1].ledger()[SLOW] == ("TIMED_OUT", None, 0)
    assert sum(h.is_part and h.facility == SLOW for h in heard) <= 1 and not heard[-1].is_part


def test_a_killed_hospital_has_its_part_with_no_rows_and_its_line(trio: Trio) -> None:
    node = trio.running.nodes[SLOW]
    _, rows, _ = queried(trio)
    node.stop(signal.SIGKILL)
    try:
        heard = trio.listen()
    finally:
        node.start()
    gone = next(h for h in heard if h.is_part and h.facility == SLOW)
    assert gone.history["edges"] == [] and gone.history["coverage"]["outcome"] == "UNREACHABLE"
    assert heard[-1].ledger()[SLOW][0] == "UNREACHABLE"
    assert heard[-1].history["coverage"]["completeness"] == "INCOMPLETE"
    assert len(heard) == 3 + 1
    assert rows_in_order(heard) == [r for r in rows if r[0] != SLOW]


@pytest.mark.parametrize("fault", [Fault.GARBAGE, Fault.OTHER_PATIENT, Fault.STATUS_500])
def test_what_must_not_be_used_of_a_node_is_a_line_and_no_row(trio: Trio, fault: Fault) -> None:
    trio.proxies[SLOW].fault = fault
    ledger, _, _ = queried(trio)
    heard = trio.listen()
    assert heard[-1].ledger() == ledger and ledger[SLOW][0] == "INVALID_RESPONSE"
    assert [h.rows() for h in heard if h.is_part and h.facility == SLOW] == [[]]


def test_aliases_fragments_directives_and_variables_are_the_client_s(trio: Trio) -> None:
    query = """subscription($by: PatientBy!, $access: AccessInput!, $n: Int!, $where: TimelineFilter, $on: Boolean!, $off: Boolean!) {
      h: history(by: $by, access: $access, first: $n, filter: $where) { kind: __typename ...P
        ... on HistoryClosed { coverage { completeness } pageInfo { more: hasNextPage } c2: coverage { located } } } }
    fragment P on HistoryPart { where: facility { code @include(if: $off) name } line: coverage { outcome }
      rows: edges { place: sortKey body: node { ...N } gone: sortKey @skip(if: $on) }
      bare: edges { __typename late } }
    fragment N on Record { id ... on Encounter @include(if: $on) { status class } }"""
    more = {"n": 2, "where": {"kinds": ["ENCOUNTER"]}, "on": True, "off": False}
    heard = list(over_events(trio.url, trio.doctor(), query, trio.about(**more)))
    *parts, closed = [h.payload["data"]["h"] for h in heard]
    assert len(parts) == 3
    for part in parts:
        assert list(part) == ["kind", "where", "line", "rows", "bare"] and list(part["where"]) == ["name"]
        assert 1 <= len(part["rows"]) <= 2 and len(part["bare"]) == len(part["rows"])
        assert all(list(r) == ["place", "body"] and set(r["body"]) == {"id", "status", "class"} for r in part["rows"])
        assert all(r == {"__typename": "TimelineEdge", "late": False} for r in part["bare"])
    assert list(closed) == ["kind", "coverage", "pageInfo", "c2"]
    assert closed == {
        "kind": "HistoryClosed",
        "coverage": {"completeness": closed["coverage"]["completeness"]},
        "pageInfo": {"more": True},
        "c2": {"located": 3},
    }


def page(trio: Trio, query: str, after: str | None) -> list[dict[str, Any]]:
    answer = trio.running.ask(trio.doctor(), query, trio.about(after=after))
    edges: list[dict[str, Any]] = answer["data"]["patient"]["patient"]["timeline"]["edges"]
    return edges


def test_the_end_cursor_goes_on_as_a_page_of_the_query(trio: Trio) -> None:
    closed = trio.listen(first=3)[-1].history
    assert closed["pageInfo"]["hasNextPage"]
    query = """query($by: PatientBy!, $access: AccessInput!, $filter: TimelineFilter, $after: String) { patient(by: $by, access: $access) {
      coverage { completeness } patient { timeline(first: 3, filter: $filter, after: $after) { edges { sortKey } } } } }"""
    first, second = (
        [e["sortKey"] for e in page(trio, query, after)] for after in (None, closed["pageInfo"]["endCursor"])
    )
    assert len(first) == len(second) == 3 and max(second) < min(first)


def test_a_grant_withdrawn_while_a_hospital_is_waited_for_ends_the_stream(trio: Trio, carrier: Any) -> None:
    grant = trio.running.give_grant(PATIENT, granteeFacility="01006")
    trio.proxies[SLOW].delay = 1.5
    heard = []
    access = {"purpose": "TREAT", "basis": "GRANT", "evidence": grant}
    for event in carrier(trio.url, trio.doctor(), LISTEN, trio.about(access=access)):
        heard.append(event)
        if len(heard) == 2:
            token = trio.running.token(Role.CITIZEN, "citizen", identity=PATIENT)
            change = "mutation($id: ID!) { withdrawGrant(id: $id) { withdrawnAt } }"
            assert "errors" not in trio.running.ask(token, change, {"id": grant})
    assert len(heard) == 3 and SLOW not in (heard[0].facility, heard[1].facility)
    (error,) = heard[2].payload["errors"]
    assert error["extensions"]["code"] == "ACCESS_DENIED" and not heard[2].payload.get("data")
    assert hospital.CCCD not in str(error)


def test_who_is_not_entitled_hears_nothing(trio: Trio, carrier: Any) -> None:
    other = trio.running.token(Role.PRACTITIONER, "other", facility="01999", licence="009999/HNO-CCHN")
    heard = list(carrier(trio.url, other, LISTEN, trio.about()))
    (error,) = heard[0].payload["errors"]
    assert len(heard) == 1 and error["extensions"]["code"] == "ACCESS_DENIED" and not heard[0].payload.get("data")


def sockets_to(port: int) -> int:
    """Established connections of this machine whose far end is that port."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(line.split()[2].endswith(f":{port:04X}") and line.split()[3] == "01" for line in lines)


@pytest.mark.parametrize("how", ["websocket", "complete", "events"])
def test_a_client_that_leaves_takes_its_calls_with_it(trio: Trio, how: str) -> None:
    proxy = trio.proxies[SLOW]
    proxy.fault, before = Fault.HANG, proxy.requests
    url, token = trio.url, trio.doctor()
    if how == "events":
        events = over_events(url, token, LISTEN, trio.about())
        next(events)
        wait_for("the call", lambda: proxy.requests > before, 5)
        with_call = sockets_to(proxy.port)
        events.close()  # type: ignore[attr-defined]
        wait_for("its end", lambda: sockets_to(proxy.port) < with_call, 3)
        return
    with opened(url, token) as socket:
        say(socket, type="subscribe", id="a", payload={"query": LISTEN, "variables": trio.about()})
        assert hear(socket)["type"] == "next"
        wait_for("the call", lambda: proxy.requests > before, 5)
        with_call = sockets_to(proxy.port)
        if how == "complete":
            say(socket, type="complete", id="a")
            wait_for("its end", lambda: sockets_to(proxy.port) < with_call, 3)
            say(socket, type="ping")
            while (message := hear(socket))["type"] != "pong":
                assert message["type"] == "next", message  # what was under way when it was completed
    wait_for("its end", lambda: sockets_to(proxy.port) < with_call, 3)


@pytest.mark.anyio
async def test_pythons_gql_listens_in_its_default_configuration(trio: Trio) -> None:
    url = f"ws{trio.url.removeprefix('http')}/graphql"
    trio.proxies[SLOW].delay = 1.0
    began, parts, closed = time.monotonic(), [], []
    transport = WebsocketsTransport(url=url, init_payload={"authorization": f"Bearer {trio.doctor()}"})
    async with Client(transport=transport) as session:
        query = gql(LISTEN)
        query.variable_values = trio.about()
        async for event in session.subscribe(query):
            kind = event["history"]["__typename"]
            (parts if kind == "HistoryPart" else closed).append((time.monotonic() - began, event["history"]))
        query.variable_values = trio.about(first=0)
        with pytest.raises(TransportQueryError, match="first"):
            async for _ in session.subscribe(query):
                pass
    assert len(parts) == 3 and len(closed) == 1 and parts[0][0] < parts[-1][0]
    assert parts[-1][1]["facility"]["code"] == SLOW
