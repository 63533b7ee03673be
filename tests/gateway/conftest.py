"""The gateway's suites run on both databases: a module asks for `database`, and every gateway in it lives on that one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.settings import PREFIX
from tests.postgres import fresh_database

DATABASES = ("sqlite", "postgresql")


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Which database settings without a database_url of their own now mean: a file in their folder, or a new PostgreSQL one."""
    kind: str = request.param
    if kind == "postgresql":
        monkeypatch.setenv(f"{PREFIX}DATABASE_URL", fresh_database())
    yield kind
