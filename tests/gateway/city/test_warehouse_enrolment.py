"""A warehouse joins beside the facilities' own nodes: it takes nothing from them, and speaks for what its code names alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from schema.identity import IdentifierKind
from schema.messages import NodeRole
from tests.hand_made_node import CCCD, OTHER_CCCD, HandMadeNode, patient
from tests.running import RunningGateway

WAREHOUSE = NodeRole.WAREHOUSE


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[RunningGateway]:
    running = RunningGateway(tmp_path, ("01001", "01002", "01003"))
    running.start()
    yield running
    running.stop()


def found(gateway: RunningGateway, value: str = CCCD) -> list[tuple[str, str]]:
    return [(row.node_id, row.facility) for row in gateway.find(IdentifierKind.CCCD, value)]


@pytest.mark.parametrize("first", ["hospital", "warehouse"])
def test_both_are_found_whoever_joined_first_and_the_facility_stays_the_hospital_s(
    gateway: RunningGateway, first: str
) -> None:
    def hospital() -> HandMadeNode:
        made = HandMadeNode(gateway, "01001")
        assert made.send(made.message(patient(ref="ref-own-0001"))).status_code == 200
        return made

    def warehouse() -> HandMadeNode:
        made = HandMadeNode(gateway, "01001", "01002", role=WAREHOUSE)
        rows = [patient(ref="ref-copy-001"), patient(ref="ref-copy-002", facility="01002")]
        assert made.send(made.message(*rows)).status_code == 200
        return made

    own, store = (hospital(), warehouse()) if first == "hospital" else (warehouse(), hospital())[::-1]
    assert sorted(found(gateway)) == sorted([(own.id, "01001"), (store.id, "01001"), (store.id, "01002")])
    city = gateway.city()
    assert (city.facilities["01001"].node_id, city.facilities["01002"].node_id) == (own.id, None)
    assert (city.nodes[store.id].warehouse, city.nodes[store.id].facilities) == (True, ("01001", "01002"))
    assert not city.nodes[own.id].revoked and not city.nodes[own.id].warehouse
    assert {code: [c.node_id for c in some] for code, some in city.copies.items()} == {
        "01001": [store.id],
        "01002": [store.id],
    }


def test_its_health_is_the_copies_not_the_facility_s(gateway: RunningGateway) -> None:
    store = HandMadeNode(gateway, "01001", "01002", role=WAREHOUSE)
    assert store.send(store.message(patient())).status_code == 200
    city = gateway.city()
    assert city.facilities["01001"].synced_at is None and not city.facilities["01001"].feeds
    (copy,) = city.copies["01001"]
    assert copy.synced_at is not None and copy.as_of is not None and {f.value for f in copy.feeds} == {"FHIR"}


def test_it_cannot_speak_for_a_facility_that_its_code_did_not_name(gateway: RunningGateway) -> None:
    store = HandMadeNode(gateway, "01001", role=WAREHOUSE)
    reply = store.send(store.message(patient(facility="01003")))
    assert (reply.status_code, reply.json()["code"]) == (403, "FACILITY_NOT_YOURS")
    assert found(gateway) == []


def test_its_messages_leave_the_hospital_s_rows_alone_and_the_other_way_round(gateway: RunningGateway) -> None:
    own, store = HandMadeNode(gateway, "01001"), HandMadeNode(gateway, "01001", role=WAREHOUSE)
    # Even a ref that both happen to use is each node's own.
    for node_, value in ((own, CCCD), (store, OTHER_CCCD)):
        assert node_.send(node_.message(patient(value))).status_code == 200
    assert (found(gateway), found(gateway, OTHER_CCCD)) == ([(own.id, "01001")], [(store.id, "01001")])
    body = store.message(since=1, position=2, withdrawn=["ref-00000001"])
    assert store.send(body).status_code == 200
    assert (found(gateway), found(gateway, OTHER_CCCD)) == ([(own.id, "01001")], [])


def test_it_may_join_again_for_as_many_or_more_facilities_and_stays_who_it_was(gateway: RunningGateway) -> None:
    first = HandMadeNode(gateway, "01001", role=WAREHOUSE)
    again = HandMadeNode(gateway, "01001", "01002", role=WAREHOUSE, again=first.id)
    assert again.id == first.id and gateway.city().nodes[again.id].facilities == ("01001", "01002")
    fewer = HandMadeNode(gateway, "01002", role=WAREHOUSE, again=first.id)
    assert fewer.id != first.id, "a code for one facility is no proof of being the node that has two"
    hospital = HandMadeNode(gateway, "01001", "01002", again=first.id)
    assert hospital.id != first.id, "nor does another role make the same node"


def test_a_revoked_warehouse_stays_in_the_ledger_and_stands_for_nothing(gateway: RunningGateway) -> None:
    store = HandMadeNode(gateway, "01001", role=WAREHOUSE)
    assert store.send(store.message(patient())).status_code == 200
    gateway.revoke(store.id)
    city = gateway.city()
    assert city.nodes[store.id].revoked and not city.copies
    assert found(gateway) == [(store.id, "01001")]


def test_a_hospital_that_has_moved_takes_its_own_rows_away_and_no_copies(gateway: RunningGateway) -> None:
    own, store = HandMadeNode(gateway, "01001"), HandMadeNode(gateway, "01001", role=WAREHOUSE)
    for node_, ref in ((own, "ref-own-0001"), (store, "ref-copy-001")):
        assert node_.send(node_.message(patient(ref=ref))).status_code == 200
    other = HandMadeNode(gateway, "01001")
    assert sorted(found(gateway)) == sorted([(own.id, "01001"), (store.id, "01001")])
    assert other.send(other.message()).status_code == 200
    assert found(gateway) == [(store.id, "01001")]
    assert gateway.city().facilities["01001"].node_id == other.id
