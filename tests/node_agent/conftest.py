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
