"""The gateway's side of sync: signed by hand, over a real socket."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from schema.elements import Feed
from schema.identity import IdentifierKind
from schema.messages import BATCH_LIMIT, MESSAGE_BYTES_LIMIT, SyncPatient
from tests.hand_made_node import CCCD, OTHER_CCCD, HandMadeNode, patient
from tests.running import RunningGateway

pytestmark = pytest.mark.usefixtures("database")


def refs(gateway: RunningGateway, value: str = CCCD) -> list[str]:
    return [located.ref for located in gateway.find(IdentifierKind.CCCD, value)]


def test_a_synced_patient_is_found_by_identifier(gateway: RunningGateway, node: HandMadeNode) -> None:
    reply = node.send(node.message(patient(), position=7))
    assert (reply.status_code, reply.json()["accepted"], reply.json()["refused"]) == (200, 7, {})
    (located,) = gateway.find(IdentifierKind.CCCD, CCCD)
    assert (located.node_id, located.facility, located.ref) == (node.id, "01001", "ref-00000001")
    assert located.person == gateway.key.person_digest("1980-03-05", "MALE")


def test_no_identifier_name_or_date_is_in_the_gateways_database_or_files(
    gateway: RunningGateway, node: HandMadeNode
) -> None:
    assert node.send(node.message(patient(birth_date="1980-12-31"))).status_code == 200
    assert refs(gateway) == ["ref-00000001"]
    files = list(gateway.settings.data_folder.iterdir())
    content = gateway.content() + b"".join(file.read_bytes() for file in files)
    assert b"ref-00000001" in content
    for canary in (CCCD, "1980-12-31", CCCD.encode().hex(), f"{int(CCCD):x}"):
        assert canary.encode() not in content


def test_a_corrected_identifier_finds_nobody_under_the_old_number(gateway: RunningGateway, node: HandMadeNode) -> None:
    node.send(node.message(patient(CCCD)))
    node.send(node.message(patient(OTHER_CCCD), since=1, position=2))
    assert (refs(gateway, CCCD), refs(gateway, OTHER_CCCD)) == ([], ["ref-00000001"])


def test_a_withdrawn_patient_is_found_no_more(gateway: RunningGateway, node: HandMadeNode) -> None:
    node.send(node.message(patient()))
    node.send(node.message(since=1, position=2, withdrawn=["ref-00000001"]))
    assert refs(gateway) == []


def test_a_message_sent_twice_changes_nothing(gateway: RunningGateway, node: HandMadeNode) -> None:
    body = node.message(patient())
    assert [node.send(body).json()["accepted"] for _ in range(2)] == [1, 1]
    assert refs(gateway) == ["ref-00000001"]


def test_placeholders_and_odd_kinds_are_counted_and_the_rest_is_taken(
    gateway: RunningGateway, node: HandMadeNode
) -> None:
    identifiers = [
        ["CCCD", "000000000000"],
        ["CCCD", "123456789012"],
        ["CCCD", "12"],
        ["TATTOO", "x"],
        ["MRN", "01002:77"],
        ["CCCD", CCCD],
    ]
    reply = node.send(node.message(patient(identifiers=identifiers)))
    assert reply.json()["refused"] == {"FACILITY": 1, "KIND": 1, "PLACEHOLDER": 2, "SHAPE": 1}
    assert gateway.rows("SELECT count(*) FROM locator") == [(1,)]
    assert gateway.find(IdentifierKind.CCCD, "000000000000") == ()


def test_a_kind_the_city_does_not_accept_is_refused(tmp_path: Path) -> None:
    gateway = RunningGateway(tmp_path, identifier_kinds=["CCCD"])
    gateway.start()
    try:
        node = HandMadeNode(gateway, "01001")
        reply = node.send(node.message(patient(identifiers=[["CMND", "123456780"], ["CCCD", CCCD]])))
        assert reply.json()["refused"] == {"KIND": 1}
        assert gateway.rows("SELECT count(*) FROM locator") == [(1,)]
    finally:
        gateway.stop()


def test_a_node_may_write_only_for_its_own_facilities(gateway: RunningGateway, node: HandMadeNode) -> None:
    other = HandMadeNode(gateway, "01002")
    other.send(other.message(patient(facility="01002")))
    reply = node.send(node.message(patient(), patient(ref="ref-00000002", facility="01002")))
    assert (reply.status_code, reply.json()["code"]) == (403, "FACILITY_NOT_YOURS")
    assert gateway.rows("SELECT ref FROM locator") == [("ref-00000001",)]
    report = [{"facility": "01002", "feeds": [], "lagging": False}]
    assert node.send(node.message(facilities=report)).json()["code"] == "FACILITY_NOT_YOURS"


def test_one_nodes_ref_does_not_withdraw_anothers(gateway: RunningGateway, node: HandMadeNode) -> None:
    other = HandMadeNode(gateway, "01002")
    other.send(other.message(patient(facility="01002")))
    node.send(node.message(withdrawn=["ref-00000001"]))
    assert refs(gateway) == ["ref-00000001"]


def test_facilities_are_current_only_when_nothing_is_pending(gateway: RunningGateway, node: HandMadeNode) -> None:
    node.send(node.message(patient(), pending=3))
    state = gateway.city().facilities["01001"]
    assert state.synced_at is None and state.as_of is not None and state.feeds == {Feed.FHIR}
    node.send(node.message(since=1, position=1))
    first = gateway.city().facilities["01001"].synced_at
    assert first is not None
    node.send(node.message(since=1, position=2, pending=1))
    assert gateway.city().facilities["01001"].synced_at == first


def test_lagging_feeds_are_told_also_while_changes_are_pending(gateway: RunningGateway, node: HandMadeNode) -> None:
    report = [{"facility": "01001", "feeds": [], "lagging": True}]
    node.send(node.message(facilities=report, pending=1))
    assert gateway.city().facilities["01001"].lagging


def test_a_batch_that_would_leave_a_gap_is_not_taken(gateway: RunningGateway, node: HandMadeNode) -> None:
    node.send(node.message(position=5))
    reply = node.send(node.message(patient(), since=9, position=12))
    assert (reply.status_code, reply.json()["accepted"]) == (200, 5)
    assert refs(gateway) == []


def refused(reply: httpx.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["code"]


@pytest.mark.parametrize(
    "more",
    [
        {"patients": [patient(birth_date="05/03/1980")]},
        {"patients": [patient(gender="X-" + CCCD)]},
        {"patients": [patient()] * (BATCH_LIMIT + 1)},
        {"since": 3, "position": 2},
        {"position": 2, "head": 1},
        {
            "facilities": [
                {
                    "facility": "01001",
                    "feeds": [{"feed": "FHIR", "rhythm_seconds": 1, "last_received_at": "x"}],
                    "lagging": False,
                }
            ]
        },
    ],
)
def test_a_malformed_message_is_refused_and_never_quoted(
    gateway: RunningGateway, node: HandMadeNode, more: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    reply = node.send(node.message(**more))
    assert refused(reply) == (400, "MESSAGE_MALFORMED")
    printed = capfd.readouterr()
    assert CCCD not in reply.text + printed.out + printed.err
    assert gateway.rows("SELECT count(*) FROM locator") == [(0,)]


def test_a_date_of_no_calendar_cannot_break_the_door(gateway: RunningGateway, node: HandMadeNode) -> None:
    feed = {"feed": "FHIR", "rhythm_seconds": 1, "last_received_at": "2026-13-45T00:00:00Z"}
    report = [{"facility": "01001", "feeds": [feed], "lagging": False}]
    assert refused(node.send(node.message(facilities=report))) == (400, "MESSAGE_MALFORMED")


def test_a_body_without_end_is_cut(gateway: RunningGateway, node: HandMadeNode) -> None:
    reply = node.send(b" " * (MESSAGE_BYTES_LIMIT + 1))
    assert refused(reply) == (413, "MESSAGE_TOO_LARGE")


def test_logs_of_refusals_hold_no_patient(
    gateway: RunningGateway, node: HandMadeNode, capfd: pytest.CaptureFixture[str]
) -> None:
    node.send(node.message(patient(identifiers=[["CCCD", "000000000000"], ["CCCD", CCCD], ["TATTOO", "canary-value"]])))
    node.send(node.message(patient()), "bad")
    printed = capfd.readouterr()
    text = printed.out + printed.err
    assert "identifiers refused" in text and "node message refused" in text
    for canary in (CCCD, "000000000000", "canary-value", "ref-00000001"):
        assert canary not in text


def test_a_patient_never_shows_in_a_representation() -> None:
    shown = repr(msgspec.convert(patient(), SyncPatient)) + repr([msgspec.convert(patient(), SyncPatient)])
    assert CCCD not in shown and "1980" not in shown
