"""A warehouse beside a hospital, listened to: its part waits for the source, and holds only what that did not send."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest

from benchmarks import hospital
from compose.demo.launch import NodeSpec, RunningCity
from gateway.access.callers import Role
from schema.identity import IdentifierKind, canonical
from tests.end_to_end.databases import BOTH, launched
from tests.fault_proxy import Fault, FaultProxy
from tests.listening import LISTEN, Heard, over_web_socket

pytestmark = BOTH

OWN, ALONE = "01003", "01929"
OLD = hospital.visit(OWN, 500, datetime(2011, 5, 4, 9, 0))  # its own node no longer has this one
N = hospital.ENCOUNTERS
DEADLINE = 1.5
ABOUT = {
    "by": {"kind": "CCCD", "value": hospital.CCCD},
    "access": {"purpose": "PATRQT", "basis": "SELF"},
    "filter": {"kinds": ["ENCOUNTER"]},
}


@dataclass(frozen=True)
class Town:
    """A hospital behind a proxy, and a warehouse with copies of it and of one that has no node."""

    running: RunningCity
    proxy: FaultProxy

    def listen(self) -> list[Heard]:
        patient = canonical(IdentifierKind.CCCD, hospital.CCCD)
        token = self.running.token(Role.CITIZEN, "citizen", identity=patient)
        return list(over_web_socket(self.running.gateway.url, token, LISTEN, ABOUT))


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory, database: str) -> Iterator[Town]:
    proxy = FaultProxy()
    copies = {f"{code}-{n}": x for code in (OWN, ALONE) for n, x in hospital.files(code).items()}
    files, also = {**copies, "old": OLD}, {ALONE: "Bệnh viện Bạch Mai"}
    name = "Bệnh viện 01003"
    specs = [
        NodeSpec(OWN, name, "bhyt_xml", hospital.files(OWN), advertised=proxy.advertise),
        NodeSpec(OWN, name, "bhyt_xml", files, also=also, label="warehouse", role="warehouse"),
    ]
    options = {
        "breaker_failures": 1000,
        "node_deadline_seconds": DEADLINE,
        "request_deadline_seconds": DEADLINE + 0.5,
        "live_late_seconds": 4.0,
    }
    with launched(database, tmp_path_factory.mktemp("warehouse"), specs, gateway_options=options) as running:
        running.settle()
        yield Town(running, proxy)
    proxy.close()


@pytest.fixture(autouse=True)
def _honest(town: Town) -> Iterator[None]:
    yield
    town.proxy.fault, town.proxy.delay = Fault.NONE, 0.0


def parts(heard: list[Heard]) -> list[tuple[str, int, str, str | None]]:
    """(facility, rows, outcome, reason) of each part, in the order of coming."""
    lines: list[Any] = [h.history["coverage"] for h in heard if h.is_part]
    rows = [(h.facility, len(h.rows())) for h in heard if h.is_part]
    return [(*row, x["outcome"], x["reason"]) for row, x in zip(rows, lines, strict=True)]


def test_the_warehouse_waits_for_the_source_and_adds_what_that_no_longer_has(town: Town) -> None:
    town.proxy.delay = 0.7
    *told, closed = town.listen()
    assert parts(told) == [
        (OWN, N, "ANSWERED", None),
        (OWN, 1, "ANSWERED", None),
        (ALONE, N, "ANSWERED", "WAREHOUSE_ONLY"),
    ]
    assert told[0].at > 0.6
    assert told[1].history["edges"][0]["sortKey"].startswith("2011-05-04")
    assert closed.ledger() == {OWN: ("ANSWERED", None, N), ALONE: ("ANSWERED", "WAREHOUSE_ONLY", N)}
    assert closed.history["coverage"]["completeness"] == "UNCERTAIN"


def test_copies_of_a_hospital_that_refuses_are_not_sent(town: Town) -> None:
    town.proxy.fault = Fault.STATUS_403
    *told, closed = town.listen()
    assert parts(told) == [(OWN, 0, "REFUSED", "HTTP_403"), (ALONE, N, "ANSWERED", "WAREHOUSE_ONLY")]
    assert closed.ledger()[OWN] == ("REFUSED", "HTTP_403", 0)


def test_copies_stand_in_at_the_deadline_for_a_hospital_that_is_silent(town: Town) -> None:
    town.proxy.fault = Fault.HANG
    heard = town.listen()
    copies, alone, closed, *later = heard
    assert parts([copies, alone]) == [
        (OWN, N + 1, "TIMED_OUT", "WAREHOUSE_COPY"),
        (ALONE, N, "ANSWERED", "WAREHOUSE_ONLY"),
    ]
    assert copies.at > DEADLINE - 0.2
    assert not any(edge["late"] for h in (copies, alone) for edge in h.history["edges"])
    assert not any(h.rows() for h in later if h.is_part)
    for end in (closed, heard[-1]):
        assert end.ledger()[OWN] == ("TIMED_OUT", "WAREHOUSE_COPY", N + 1)
        assert end.history["coverage"]["completeness"] == "INCOMPLETE"


def test_extensions_hold_the_whole_ledger_whatever_was_selected(town: Town) -> None:
    closed = town.listen()[-1]
    ledger = closed.payload["extensions"]["coverage"]["history"]
    assert {x["facility"]["code"] for x in ledger["facilities"]} == {OWN, ALONE}
    assert set(ledger["summary"]) == {"VI", "EN"} and ledger["notices"]["VI"]
