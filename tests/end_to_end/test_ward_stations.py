"""One agent for a district's ward stations beside ordinary hospitals: a node is asked once, a facility has a line each."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from benchmarks import hospital
from compose.demo.launch import NodeSpec, RunningCity, wait_for
from gateway.access.callers import Role
from schema.identity import IdentifierKind, canonical
from tests.end_to_end.conftest import HISTORY
from tests.end_to_end.databases import BOTH, in_store, launched
from tests.end_to_end.test_completeness import PATIENT, SOMEBODY_ELSE, ask, line, spec
from tests.fault_proxy import Fault, FaultProxy

pytestmark = BOTH

WARDS = ("01701", "01702", "01703")
VISITED = WARDS[:2]  # the patient was at two of the three; the third knows somebody else
HOSPITALS = ("01003", "01006")


class Town:
    """The running city and the proxy before the wards' agent."""

    def __init__(self, running: RunningCity, proxy: FaultProxy) -> None:
        self.running, self.proxy = running, proxy

    @property
    def folder(self) -> Path:
        return self.running.nodes[WARDS[0]].folder

    def store(self, sql: str, **values: Any) -> list[tuple[Any, ...]]:
        return in_store(self.running.nodes[WARDS[0]], sql, **values)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory, database: str) -> Iterator[Town]:
    proxy = FaultProxy()
    files = {
        f"{ward}-{name}": data
        for ward in WARDS
        for name, data in hospital.files(ward, hospital.CCCD if ward in VISITED else SOMEBODY_ELSE).items()
    }
    wards = NodeSpec(
        WARDS[0],
        "Trạm y tế 1",
        "bhyt_xml",
        files,
        advertised=proxy.advertise,
        also={WARDS[1]: "Trạm y tế 2", WARDS[2]: "Trạm y tế 3"},
    )
    options = {"node_deadline_seconds": 1.0, "request_deadline_seconds": 1.5, "breaker_failures": 1000}
    specs = [wards, *(spec(code) for code in HOSPITALS)]
    with launched(database, tmp_path_factory.mktemp("wards"), specs, gateway_options=options) as running:
        running.settle()
        yield Town(running, proxy)
    proxy.close()


@pytest.fixture(autouse=True)
def _honest(town: Town) -> Iterator[None]:
    yield
    town.proxy.fault = Fault.NONE


def outcomes(part: dict[str, Any]) -> dict[str, str]:
    return {f["facility"]["code"]: f["outcome"] for f in part["coverage"]["facilities"]}


def codes(part: dict[str, Any]) -> set[str]:
    return {e["facility"]["code"] for e in part["patient"]["encounters"]["edges"]}


def test_each_facility_has_its_own_line_and_the_node_is_asked_once(town: Town) -> None:
    asked = town.proxy.requests
    part = ask(town.running)
    assert town.proxy.requests == asked + 1
    assert outcomes(part) == dict.fromkeys((*VISITED, *HOSPITALS), "ANSWERED")
    assert part["coverage"]["completeness"] == "COMPLETE"
    assert (part["coverage"]["registered"], part["coverage"]["connected"], part["coverage"]["located"]) == (5, 5, 4)
    counts = [{k["kind"]: k["records"] for k in line(part, code)["kinds"]}["ENCOUNTER"] for code in VISITED]
    assert counts == [hospital.ENCOUNTERS] * 2
    assert codes(part) == {*VISITED, *HOSPITALS}
    assert len({e["node"]["id"] for e in part["patient"]["encounters"]["edges"]}) == 4 * hospital.ENCOUNTERS


def test_a_patient_at_two_facilities_of_a_node_is_two_refs_of_it(town: Town) -> None:
    refs = town.store("SELECT facility, ref FROM patient ORDER BY facility")
    assert [facility for facility, _ in refs] == list(WARDS)
    assert len({ref for _, ref in refs}) == 3


def test_a_node_that_fails_takes_all_its_facilities_and_no_other_with_it(town: Town) -> None:
    town.proxy.fault = Fault.HANG
    part = ask(town.running)
    assert outcomes(part) == dict.fromkeys(VISITED, "TIMED_OUT") | dict.fromkeys(HOSPITALS, "ANSWERED")
    assert part["coverage"]["completeness"] == "INCOMPLETE" and codes(part) == set(HOSPITALS)


def test_a_filter_by_facility_asks_the_node_about_that_facility_alone(town: Town) -> None:
    query = HISTORY.replace("encounters(first: $first)", "encounters(first: $first, filter: {facility: $at})")
    query = query.replace("$first: Int = 100", "$first: Int = 100, $at: String!")
    token = town.running.token(Role.CITIZEN, "citizen", identity=PATIENT)
    by = {"kind": "CCCD", "value": hospital.CCCD}
    variables = {"by": by, "access": {"purpose": "PATRQT", "basis": "SELF"}, "at": VISITED[1]}
    part = town.running.ask(token, query, variables)["data"]["patient"]
    assert codes(part) == {VISITED[1]}
    rest = dict.fromkeys((VISITED[0], *HOSPITALS), "NOT_ASKED")
    assert outcomes(part) == {VISITED[1]: "ANSWERED", **rest}


def test_pages_walk_through_all_facilities_of_the_node(town: Town) -> None:
    query = HISTORY.replace("encounters(first: $first)", "encounters(first: $first, after: $after)")
    query = query.replace("$first: Int = 100", "$first: Int = 7, $after: String").replace(
        "edges { sortKey", "pageInfo { hasNextPage endCursor } edges { sortKey"
    )
    token = town.running.token(Role.CITIZEN, "citizen", identity=PATIENT)
    by = {"kind": "CCCD", "value": hospital.CCCD}
    variables: dict[str, Any] = {"by": by, "access": {"purpose": "PATRQT", "basis": "SELF"}}
    keys: list[str] = []
    for _ in range(20):
        found = town.running.ask(token, query, variables)["data"]["patient"]["patient"]["encounters"]
        keys += [e["sortKey"] for e in found["edges"]]
        if not found["pageInfo"]["hasNextPage"]:
            break
        variables["after"] = found["pageInfo"]["endCursor"]
    assert len(keys) == len(set(keys)) == 4 * hospital.ENCOUNTERS and keys == sorted(keys, reverse=True)


def test_a_feed_that_is_silent_at_one_facility_lags_there_alone(town: Town) -> None:
    def heard(at: str) -> str:
        ((before,),) = town.store("SELECT last_received_at FROM feed WHERE facility = :code", code=VISITED[1])
        town.store("UPDATE feed SET last_received_at = :at WHERE facility = :code", at=at, code=VISITED[1])
        return str(before)

    before = heard((datetime.now(UTC) - timedelta(weeks=3)).strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
    try:
        wait_for("the lag", lambda: outcomes(ask(town.running))[VISITED[1]] == "LAGGING", 10)
        part = ask(town.running)
        expected = dict.fromkeys((VISITED[0], *HOSPITALS), "ANSWERED") | {VISITED[1]: "LAGGING"}
        assert outcomes(part) == expected and part["coverage"]["completeness"] == "INCOMPLETE"
    finally:
        heard(before)
    # The node looks at once a second, sync reports by its own clock, and a lagging feed anywhere leaves a city uncertain.
    wait_for("the end of the lag", lambda: ask(town.running)["coverage"]["completeness"] == "COMPLETE", 15)


def test_a_file_that_failed_marks_the_facility_it_was_of(town: Town) -> None:
    good = hospital.visit(VISITED[0], 998, datetime(2026, 11, 20, 9, 0))
    table = good.split(b"<NOIDUNGFILE>")[1].partition(b"<")[0]
    broken = base64.b64encode(base64.b64decode(table).replace(b"<NGAY_VAO>2", b"<NGAY_VAO>x"))
    (town.folder / "inbox" / "zz-bad.xml").write_bytes(good.replace(table, broken))
    wait_for("the failure", lambda: line(ask(town.running), VISITED[0])["failedItems"] == 1, 20)
    part = ask(town.running)
    assert line(part, VISITED[0])["reason"] == "FAILED_ITEMS" and line(part, VISITED[1])["failedItems"] == 0
    assert part["coverage"]["completeness"] == "INCOMPLETE"
    (town.folder / "inbox" / "zz-good.xml").write_bytes(good)
    wait_for("the repair", lambda: ask(town.running)["coverage"]["completeness"] == "COMPLETE", 20)


def test_somebody_at_the_third_ward_alone_is_found_there_alone(town: Town) -> None:
    other = canonical(IdentifierKind.CCCD, SOMEBODY_ELSE)
    token = town.running.token(Role.CITIZEN, "citizen", identity=other)
    by = {"kind": "CCCD", "value": SOMEBODY_ELSE}
    answer = town.running.ask(token, HISTORY, {"by": by, "access": {"purpose": "PATRQT", "basis": "SELF"}})
    assert outcomes(answer["data"]["patient"]) == {WARDS[2]: "ANSWERED"}
