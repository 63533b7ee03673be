"""A hospital that fails again and again is left alone for a moment, and says so in every ledger; what breaks once is tried again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from benchmarks import hospital
from compose.demo.launch import NodeSpec, RunningCity, healthy, wait_for
from tests.end_to_end.databases import BOTH, launched
from tests.end_to_end.test_completeness import ask, line, spec
from tests.fault_proxy import Fault, FaultProxy

pytestmark = BOTH

PAUSE_SECONDS = 1.0


@pytest.fixture
def proxy() -> Iterator[FaultProxy]:
    made = FaultProxy()
    yield made
    made.close()


def circuits(running: RunningCity) -> dict[str, int]:
    found: dict[str, int] = (healthy(running.gateway.url) or {})["circuits"]
    return found


def test_a_failing_node_s_circuit_opens_for_all_its_facilities_alone_and_closes_when_it_is_well(
    tmp_path: Path, proxy: FaultProxy, database: str
) -> None:
    several = NodeSpec(
        "01003",
        "Trạm 01003",
        "bhyt_xml",
        hospital.files("01003") | {f"b{n}": x for n, x in hospital.files("01004").items()},
        advertised=proxy.advertise,
        also={"01004": "Trạm 01004"},
    )
    options = {"breaker_failures": 3, "breaker_pause_seconds": PAUSE_SECONDS, "node_deadline_seconds": 0.5}
    with launched(database, tmp_path / "city", [several, spec("01006")], gateway_options=options) as running:
        running.settle()
        assert ask(running)["coverage"]["completeness"] == "COMPLETE"
        assert circuits(running) == {"closed": 2, "open": 0, "half-open": 0}
        proxy.fault = Fault.HANG
        for _ in range(3):
            assert line(ask(running), "01003")["outcome"] == "TIMED_OUT"
        assert circuits(running) == {"closed": 1, "open": 1, "half-open": 0}
        asked = proxy.requests
        part = ask(running)
        assert {c: line(part, c)["outcome"] for c in ("01003", "01004", "01006")} == {
            "01003": "CIRCUIT_OPEN",
            "01004": "CIRCUIT_OPEN",
            "01006": "ANSWERED",
        }
        assert proxy.requests == asked
        assert part["coverage"]["completeness"] == "INCOMPLETE"
        assert (part["coverage"]["located"], part["coverage"]["connected"]) == (3, 3)
        edges = part["patient"]["encounters"]["edges"]
        assert {e["facility"]["code"] for e in edges} == {"01006"} and len(edges) == hospital.ENCOUNTERS
        proxy.fault = Fault.NONE
        wait_for("the pause to be over", lambda: line(ask(running), "01003")["outcome"] == "ANSWERED", 10)
        assert ask(running)["coverage"]["completeness"] == "COMPLETE"
        assert circuits(running) == {"closed": 2, "open": 0, "half-open": 0}


def test_a_call_that_broke_is_made_once_more_with_a_delegation_the_node_has_not_seen(
    tmp_path: Path, proxy: FaultProxy, database: str
) -> None:
    hidden = NodeSpec("01003", "Bệnh viện 01003", "bhyt_xml", hospital.files("01003"), advertised=proxy.advertise)
    with launched(database, tmp_path / "city", [hidden]) as running:
        running.settle()
        for fault in (Fault.RESET_ONCE, Fault.BUSY_ONCE):  # of both, the node saw and remembers the first delegation
            asked, proxy.fault = proxy.requests, fault
            part = ask(running)
            assert (line(part, "01003")["outcome"], part["coverage"]["completeness"]) == ("ANSWERED", "COMPLETE")
            assert len(part["patient"]["encounters"]["edges"]) == hospital.ENCOUNTERS
            assert proxy.requests == asked + 2


def test_a_node_without_room_is_over_budget_and_costs_nobody_else_a_row(
    tmp_path: Path, proxy: FaultProxy, database: str
) -> None:
    slow = NodeSpec("01003", "Trạm 01003", "bhyt_xml", hospital.files("01003"), advertised=proxy.advertise)
    options = {"max_connections_per_node": 1, "max_waiting_per_node": 2, "breaker_failures": 1000}
    with launched(database, tmp_path / "city", [slow, spec("01006")], gateway_options=options) as running:
        running.settle()
        whole = ask(running)["patient"]["encounters"]["edges"]
        proxy.fault = Fault.HANG
        with ThreadPoolExecutor(5) as pool:
            asked = []
            for _ in range(5):  # one after another, so that the other hospital has room for all of them
                asked.append(pool.submit(ask, running))
                time.sleep(0.2)
            answers = [future.result() for future in asked]
        outcomes = sorted(line(answer, "01003")["outcome"] for answer in answers)
        assert "OVER_BUDGET" in outcomes and set(outcomes) <= {"OVER_BUDGET", "TIMED_OUT"}
        others = [edge for edge in whole if edge["facility"]["code"] == "01006"]
        assert others and all(answer["patient"]["encounters"]["edges"] == others for answer in answers)
        assert {answer["coverage"]["completeness"] for answer in answers} == {"INCOMPLETE"}
