"""Sync end to end: a node's loop and a gateway's door on real sockets, with either side going away and coming back."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from gateway.identity.rotation import retire, rotate
from node_agent.store.engine import Store
from node_agent.sync import WAIT_SECONDS_LIMIT, backoff_seconds
from schema.identity import IdentifierKind
from schema.messages import BATCH_LIMIT
from tests.running import RunningGateway, wait_until
from tests.running_node import CHANGE, RunningNode, found, number, put, synced


def test_what_is_stored_at_the_node_is_found_at_the_gateway(gateway: RunningGateway, node: RunningNode) -> None:
    node.put("1", number(10), doubts="UNDER_SIX")
    node.start()
    wait_until(lambda: found(gateway, number(10)) == ["ref-01001-1"])
    (located,) = gateway.find(IdentifierKind.CCCD, number(10))
    assert located.doubtful and located.person == gateway.key.person_digest("1980-03-05", "MALE")
    node.put("2", number(20))
    wait_until(lambda: found(gateway, number(20)) == ["ref-01001-2"])


def test_a_corrected_number_finds_nobody_under_the_old_one(gateway: RunningGateway, node: RunningNode) -> None:
    node.put("1", number(10))
    node.start()
    wait_until(lambda: bool(found(gateway, number(10))))
    node.put("1", number(20))
    wait_until(lambda: bool(found(gateway, number(20))))
    assert found(gateway, number(10)) == []
    node.put("1")
    wait_until(lambda: found(gateway, number(20)) == [])


def test_everything_arrives_after_the_gateway_was_away(gateway: RunningGateway, node: RunningNode) -> None:
    node.start()
    wait_until(lambda: synced(gateway) is not None)
    gateway.stop()
    wait_until(lambda: node.state.failures >= 1)
    for i in range(10, 15):
        node.put(str(i), number(i))
    assert node.state.code in ("ConnectError", "ReadError", "RemoteProtocolError")
    gateway.start()
    wait_until(lambda: all(found(gateway, number(i)) for i in range(10, 15)))
    wait_until(lambda: node.state.failures == 0)


def test_a_restarted_node_goes_on_from_where_it_was(gateway: RunningGateway, node: RunningNode) -> None:
    node.put("1", number(10))
    node.start()
    wait_until(lambda: bool(found(gateway, number(10))))
    node.stop()
    node.put("2", number(20))
    node.start()
    wait_until(lambda: bool(found(gateway, number(20))))
    assert found(gateway, number(10)) == ["ref-01001-1"]
    wait_until(lambda: gateway.rows("SELECT accepted FROM node_position") == [(2,)])


def test_what_waits_while_the_gateway_is_away_survives_the_nodes_restarts_and_is_copied_nowhere(
    gateway: RunningGateway, node: RunningNode
) -> None:
    node.put("1", number(10))
    node.start()
    wait_until(lambda: bool(found(gateway, number(10))))
    gateway.stop()
    for i in (20, 30):
        node.put(str(i), number(i))
        wait_until(lambda: node.state.failures >= 1)
        node.stop()  # mid-failure; what it was about to say is only in the store
        node.put("1", number(i + 1))  # and changes go on meanwhile
        node.start()
    wait_until(lambda: node.state.failures >= 1)
    for file in node.settings.data_folder.rglob("*"):
        if file.is_file() and not file.name.startswith("store.db"):
            content = file.read_bytes()
            assert not any(number(i).encode() in content for i in (10, 20, 21, 30, 31)), file.name
    gateway.start()
    wait_until(lambda: all(found(gateway, number(i)) for i in (20, 30, 31)))
    assert found(gateway, number(31)) == ["ref-01001-1"]
    assert found(gateway, number(10)) == found(gateway, number(21)) == []


def test_a_new_city_key_makes_the_node_tell_everything_again_by_itself(
    gateway: RunningGateway, node: RunningNode
) -> None:
    for i in range(10, 15):
        node.put(str(i), number(i))
    node.start()
    wait_until(lambda: all(found(gateway, number(i)) for i in range(10, 15)))
    gateway.with_store(lambda store: rotate(store, gateway.settings, gateway.now()))
    wait_until(lambda: len({row[0][:1] for row in gateway.rows("SELECT token FROM locator")}) == 2)
    wait_until(lambda: gateway.rows("SELECT count(*) FROM locator") == [(10,)])
    assert all(found(gateway, number(i)) for i in range(10, 15))
    assert gateway.with_store(lambda store: retire(store, gateway.settings, gateway.now())) == 1
    assert gateway.rows("SELECT count(*) FROM locator") == [(5,)]


def test_more_patients_than_a_batch_all_arrive_and_only_then_is_the_facility_current(
    gateway: RunningGateway, node: RunningNode
) -> None:
    count = 2 * BATCH_LIMIT + 7

    async def work(store: Store) -> None:
        async with store.writing() as connection:
            for i in range(10, 10 + count):
                await put(connection, "01001", str(i), (number(i),))
                if i % 100 == 0:
                    await put(connection, "01001", "10", (number(10),))

    node.with_store(work)
    node.start()
    wait_until(lambda: synced(gateway) is not None)
    assert gateway.rows("SELECT count(*) FROM locator") == [(count,)]


def test_items_still_in_the_inbox_keep_the_facility_from_being_current(
    gateway: RunningGateway, node: RunningNode
) -> None:
    node.put("1", number(10))
    node.start(backlog=1)
    wait_until(lambda: bool(found(gateway, number(10))))
    assert synced(gateway) is None
    node.stop()
    node.start()
    wait_until(lambda: synced(gateway) is not None)


def test_a_heartbeat_keeps_a_quiet_facility_current(gateway: RunningGateway, node: RunningNode) -> None:
    node.start()
    wait_until(lambda: synced(gateway) is not None)
    first = synced(gateway)
    wait_until(lambda: synced(gateway) != first)


def test_a_poke_does_not_wait_for_the_next_round(gateway: RunningGateway, tmp_path: Path) -> None:
    node = RunningNode(tmp_path / "slow", gateway, "01002", sync_seconds=600)
    node.start()
    try:
        wait_until(lambda: synced(gateway, "01002") is not None)
        node.put("1", number(10))
        node.poke()
        wait_until(lambda: bool(found(gateway, number(10))))
    finally:
        node.stop()


def test_a_silent_feed_and_one_that_never_spoke_are_lagging(gateway: RunningGateway, node: RunningNode) -> None:
    node.start()
    wait_until(lambda: gateway.city().facilities["01001"].lagging)
    node.received(node.now() - timedelta(minutes=10))
    wait_until(lambda: not gateway.city().facilities["01001"].lagging)
    assert gateway.city().facilities["01001"].as_of is not None
    node.received(node.now() - timedelta(weeks=3))
    wait_until(lambda: gateway.city().facilities["01001"].lagging)


def test_a_node_whose_clock_is_wrong_follows_the_gateways(gateway: RunningGateway, node: RunningNode) -> None:
    node.put("1", number(10))
    node.shift = timedelta(hours=-3)
    node.start()
    wait_until(lambda: bool(found(gateway, number(10))))


def test_patients_of_a_facility_outside_the_enrolment_are_not_sent(gateway: RunningGateway, node: RunningNode) -> None:
    node.put("1", number(10), facility="01002")
    node.put("2", number(20))
    node.start()
    wait_until(lambda: bool(found(gateway, number(20))))
    assert found(gateway, number(10)) == []
    assert node.state.failures == 0


def test_too_fast_a_node_waits_as_long_as_it_is_told_and_then_goes_on(tmp_path: Path) -> None:
    gateway = RunningGateway(tmp_path / "gateway", sync_requests_per_minute=60)
    gateway.start()
    node = RunningNode(tmp_path / "node", gateway, "01001", sync_seconds=0.001)
    try:
        node.start()
        wait_until(lambda: node.state.code == "RATE_EXCEEDED", 30)
        node.put("1", number(10))
        wait_until(lambda: bool(found(gateway, number(10))), 30)
    finally:
        node.stop()
        gateway.stop()


def test_a_revoked_node_keeps_trying_and_keeps_its_changes(gateway: RunningGateway, node: RunningNode) -> None:
    node.put("1", number(10))
    gateway.revoke(node.enrolment.node_id)
    node.start()
    wait_until(lambda: node.state.code == "NODE_REFUSED" and node.state.failures >= 2)
    assert found(gateway, number(10)) == []

    async def left(store: Store) -> int:
        async with store.engine.connect() as connection:
            return (await connection.execute(select(func.count()).select_from(CHANGE))).scalar_one()

    assert node.with_store(left) == 1


def test_no_log_line_of_either_side_names_a_patient(
    gateway: RunningGateway, node: RunningNode, capfd: pytest.CaptureFixture[str]
) -> None:
    node.put("canary-local", number(10), "000000000000")
    node.start()
    wait_until(lambda: bool(found(gateway, number(10))))
    gateway.stop()
    wait_until(lambda: node.state.failures >= 2)
    node.stop()
    printed = capfd.readouterr()
    text = printed.out + printed.err
    assert "sync failed" in text and "gateway refused identifiers" in text
    for canary in (number(10), "000000000000", "canary-local", "1980-03-05"):
        assert canary not in text


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_waiting_grows_to_a_minute_and_no_further(failures: int, chance: float) -> None:
    assert 0.25 <= backoff_seconds(failures, chance) <= WAIT_SECONDS_LIMIT
    assert backoff_seconds(failures + 1, chance) >= backoff_seconds(failures, chance)
