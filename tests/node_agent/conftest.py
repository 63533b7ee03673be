"""The acceptance suite of the node runs on both databases: a module that asks for `database` runs once on each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node_agent import databases
from tests.running import RunningGateway
from tests.running_node import RunningNode


@pytest.fixture(scope="module", params=[databases.SQLITE, databases.POSTGRESQL])
def database(request: pytest.FixtureRequest) -> Iterator[str]:
    """The database under this module's nodes."""
    databases.use(request.param)
    yield request.param
    databases.use(databases.SQLITE)
    databases.drop(databases.made())


@pytest.fixture(autouse=True)
def _dropped() -> Iterator[None]:
    """Databases that a test made go with it; those of its module's stores stay."""
    before = databases.made()
    yield
    databases.drop(databases.made() - before)


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[RunningGateway]:
    running = RunningGateway(tmp_path / "gateway")
    running.start()
    yield running
    running.stop()


@pytest.fixture
def node(gateway: RunningGateway, tmp_path: Path) -> Iterator[RunningNode]:
    running = RunningNode(tmp_path / "node", gateway, "01001")
    yield running
    running.stop()
