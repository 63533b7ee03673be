"""The city in memory: nothing leaves it because it is unwell."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.city.registry import City, Health, Registry
from gateway.store.engine import Store
from schema.elements import Feed
from tests.running import RunningGateway

pytestmark = pytest.mark.usefixtures("database")

NOW = datetime(2026, 3, 1, tzinfo=UTC)


class Ticks:
    """A monotonic clock that the test moves."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def connect(gateway: RunningGateway) -> None:
    async def work(store: Store) -> None:
        async with store.writing() as connection:
            await connection.exec_driver_sql(
                "INSERT INTO node (pk, id, url, public_key, contract_version, sdl_sha256, enrolled_at)"
                " VALUES (1, 'node-1', 'https://n', '{}', '1.0', '', '')"
            )
            await connection.exec_driver_sql("UPDATE facility SET node = 1, feeds = '[\"FHIR\"]' WHERE code = '01001'")

    gateway.with_store(work)


def test_a_registered_facility_without_a_node_is_in_the_city(tmp_path: Path) -> None:
    gateway = RunningGateway(tmp_path)
    connect(gateway)
    city = gateway.city()
    assert list(city.facilities) == ["01001", "01002"]
    assert city.facilities["01002"].node_id is None
    assert city.nodes["node-1"].facilities == ("01001",)
    assert city.facilities["01001"].feeds == {Feed.FHIR}


def test_a_lagging_a_silent_and_a_revoked_node_stay_in_the_city(tmp_path: Path) -> None:
    gateway = RunningGateway(tmp_path)
    connect(gateway)

    async def work(store: Store) -> City:
        registry = Registry(store)
        await registry.snapshot()
        registry.note({"01001": Health(None, True, None, frozenset())})
        return await registry.snapshot()

    city = gateway.with_store(work)
    assert city.facilities["01001"].lagging and city.facilities["01001"].synced_at is None
    assert city.facilities["01001"].node_id == "node-1"
    gateway.revoke("node-1")
    city = gateway.city()
    assert city.nodes["node-1"].revoked
    assert city.facilities["01001"].node_id == "node-1"


def test_another_process_writing_is_seen_after_the_fresh_seconds_and_not_before(tmp_path: Path) -> None:
    gateway = RunningGateway(tmp_path)
    ticks = Ticks()

    async def work(store: Store) -> list[bool]:
        registry = Registry(store, 2.0, ticks)
        first = await registry.snapshot()
        connect(gateway)
        ticks.now += 1.9
        same = await registry.snapshot() is first
        ticks.now += 0.2
        return [same, "node-1" in (await registry.snapshot()).nodes]

    assert gateway.with_store(work) == [True, True]


def test_this_process_forgetting_reads_at_once(tmp_path: Path) -> None:
    gateway = RunningGateway(tmp_path)

    async def work(store: Store) -> bool:
        registry = Registry(store, 1_000.0)
        await registry.snapshot()
        connect(gateway)
        registry.forget()
        return "node-1" in (await registry.snapshot()).nodes

    assert gateway.with_store(work)


def test_health_without_a_sync_keeps_the_older_sync_time_and_declared_feeds(tmp_path: Path) -> None:
    gateway = RunningGateway(tmp_path)
    connect(gateway)

    async def work(store: Store) -> City:
        registry = Registry(store)
        await registry.snapshot()
        registry.note({"01001": Health(NOW, False, NOW, frozenset({Feed.BHYT_XML}))})
        registry.note({"01001": Health(None, True, NOW, frozenset())})
        return await registry.snapshot()

    state = gateway.with_store(work).facilities["01001"]
    assert (state.synced_at, state.lagging, state.feeds) == (NOW, True, {Feed.FHIR, Feed.BHYT_XML})


def test_a_snapshot_cannot_be_changed(tmp_path: Path) -> None:
    city = RunningGateway(tmp_path).city()
    with pytest.raises(FrozenInstanceError):
        city.facilities["01001"].name = "x"  # type: ignore[misc]
    with pytest.raises(TypeError):
        city.facilities["x"] = city.facilities["01001"]  # type: ignore[index]
