"""The acceptance suite of the node runs on both databases: a module that asks for `database` runs once on each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.node_agent import databases


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
