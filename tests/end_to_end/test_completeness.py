"""When the city cannot know that an answer is whole, it says so: INCOMPLETE or UNCERTAIN, never COMPLETE."""

from __future__ import annotations

import sqlite3
import time
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
from tests.end_to_end.databases import SQLITE, launched
from tests.fault_proxy import FaultProxy

PATIENT = canonical(IdentifierKind.CCCD, hospital.CCCD)
FRESH_SECONDS = 2.0
SOMEBODY_ELSE = "001085067891"


def spec(code: str, **options: Any) -> NodeSpec:
    return NodeSpec(code, f"Bệnh viện {code}", "bhyt_xml", hospital.files(code), **options)


def ask(running: RunningCity) -> dict[str, Any]:
    token = running.token(Role.CITIZEN, "citizen", identity=PATIENT)
    variables = {
        "by": {"kind": "CCCD", "value": hospital.CCCD},
        "access": {"purpose": "PATRQT", "basis": "SELF"},
    }
    answer = running.ask(token, HISTORY, variables)
    assert "errors" not in answer
    part: dict[str, Any] = answer["data"]["patient"]
    return part


def line(part: dict[str, Any], code: str) -> dict[str, Any]:
    found: dict[str, Any] = next(f for f in part["coverage"]["facilities"] if f["facility"]["code"] == code)
    return found


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "city"


@pytest.fixture
def sync_line() -> Iterator[FaultProxy]:
    """Stands between a node and the gateway's sync door."""
    proxy = FaultProxy()
    yield proxy
    proxy.close()


def test_two_whole_hospitals_give_a_complete_answer(place: Path) -> None:
    with launched(SQLITE, place, [spec("01003"), spec("01006")]) as running:
        running.settle()
        part = ask(running)
        assert part["coverage"]["completeness"] == "COMPLETE"
        assert len(part["patient"]["encounters"]["edges"]) == 2 * hospital.ENCOUNTERS


def test_a_registered_facility_that_is_not_connected_makes_the_answer_uncertain(place: Path) -> None:
    with launched(SQLITE, place, [spec("01003")], registered={"01929": "Bệnh viện Bạch Mai"}) as running:
        running.settle()
        part = ask(running)
        assert part["coverage"]["completeness"] == "UNCERTAIN"
        assert (line(part, "01929")["outcome"], line(part, "01929")["reason"]) == ("LOCATOR_BEHIND", "NOT_CONNECTED")
        assert (part["coverage"]["registered"], part["coverage"]["connected"], part["coverage"]["current"]) == (2, 1, 1)


def test_a_node_whose_sync_stopped_before_the_first_visit_makes_the_answer_uncertain(place: Path) -> None:
    silent = NodeSpec("01006", "Bệnh viện 01006", "bhyt_xml", hospital.files("01006", SOMEBODY_ELSE))
    with launched(
        SQLITE, place, [spec("01003"), silent], gateway_options={"locator_fresh_seconds": FRESH_SECONDS}
    ) as running:
        running.settle()
        assert ask(running)["coverage"]["completeness"] == "COMPLETE"
        running.nodes["01006"].stop()
        time.sleep(FRESH_SECONDS + 2.5)  # the registry is read at most every two seconds
        part = ask(running)
        assert part["coverage"]["completeness"] == "UNCERTAIN"
        assert (line(part, "01006")["outcome"], line(part, "01006")["reason"]) == ("LOCATOR_BEHIND", "SYNC_BEHIND")
        assert len(part["patient"]["encounters"]["edges"]) == hospital.ENCOUNTERS


def test_a_feed_silent_for_three_weeks_makes_the_answer_incomplete(place: Path) -> None:
    with launched(SQLITE, place, [spec("01003"), spec("01006")]) as running:
        running.settle()
        store = sqlite3.connect(running.nodes["01006"].folder / "data" / "store.db", timeout=10)
        with store:
            (heard,) = store.execute("SELECT last_received_at FROM feed").fetchone()
            then = datetime.fromisoformat(heard.replace("Z", "+00:00")) - timedelta(weeks=3)
            text = then.astimezone(UTC).isoformat().replace("+00:00", "Z")
            assert len(text) == len(heard)
            store.execute("UPDATE feed SET last_received_at = ?", (text,))
        store.close()
        wait_for("the node to look at its feeds again", lambda: line(ask(running), "01006")["outcome"] == "LAGGING", 10)
        part = ask(running)
        assert part["coverage"]["completeness"] == "INCOMPLETE"
        assert line(part, "01003")["outcome"] == "ANSWERED"
        assert len(part["patient"]["encounters"]["edges"]) == 2 * hospital.ENCOUNTERS


def test_a_patient_whose_newest_file_failed_gets_an_incomplete_answer_until_it_is_repaired(place: Path) -> None:
    good = hospital.visit("01003", 999, datetime(2026, 11, 23, 9, 0))
    bad = good.replace(b"<SOLUONGHOSO>", b"<SOLUONGHOSO>", 1)
    import base64
    import re

    inner = base64.b64decode(re.search(rb"<NOIDUNGFILE>([^<]*)<", good)[1])  # type: ignore[index]
    spoiled = base64.b64encode(re.sub(rb"<NGAY_VAO>\d+<", b"<NGAY_VAO>hom qua<", inner))
    bad = good.replace(base64.b64encode(inner), spoiled)
    assert bad != good
    with launched(SQLITE, place, [spec("01003"), spec("01006")]) as running:
        running.settle()
        inbox = running.nodes["01003"].folder / "inbox"
        (inbox / "9999.xml").write_bytes(bad)
        wait_for("the failed file to count", lambda: line(ask(running), "01003")["failedItems"] == 1, 20)
        part = ask(running)
        assert part["coverage"]["completeness"] == "INCOMPLETE"
        assert (line(part, "01003")["outcome"], line(part, "01003")["reason"]) == ("ANSWERED", "FAILED_ITEMS")
        assert len(part["patient"]["encounters"]["edges"]) == 2 * hospital.ENCOUNTERS
        (inbox / "9999-again.xml").write_bytes(good)
        wait_for("the repaired file to heal it", lambda: line(ask(running), "01003")["failedItems"] == 0, 20)
        part = ask(running)
        assert part["coverage"]["completeness"] == "COMPLETE"
        assert len(part["patient"]["encounters"]["edges"]) == 2 * hospital.ENCOUNTERS + 1


def test_allergies_of_xml_only_hospitals_are_not_held_and_the_status_is_unknown(place: Path) -> None:
    with launched(SQLITE, place, [spec("01003")]) as running:
        running.settle()
        part = ask(running)
        kinds = {k["kind"]: k["outcome"] for k in line(part, "01003")["kinds"]}
        assert kinds["ALLERGY_INTOLERANCE"] == "NOT_HELD"
        assert part["patient"]["allergyStatus"] == "UNKNOWN"
        assert part["patient"]["medicationStatus"] == "RECORDED"


def test_somebody_nobody_knows_is_not_answered_with_an_empty_history(place: Path) -> None:
    with launched(SQLITE, place, [NodeSpec("01003", "Bệnh viện 01003", "bhyt_xml", {})]) as running:
        running.settle()
        part = ask(running)
        assert part["patient"] is None
        assert part["coverage"]["completeness"] == "UNCERTAIN"
        assert part["coverage"]["located"] == 0
