"""The migrations and the tables say the same, and an old release refuses a newer database."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from gateway.errors import StoreTooNew
from gateway.store.migrate import prepare
from gateway.store.tables import METADATA
from tests.running import RunningGateway


def differences(connection: Connection) -> list[Any]:
    mine = set(METADATA.tables)

    def belongs(_thing: object, name: str | None, kind: str, _reflected: bool, other: object) -> bool:
        return kind != "table" or name in mine or other is not None

    return list(compare_metadata(MigrationContext.configure(connection, opts={"include_object": belongs}), METADATA))


def test_migrating_makes_exactly_the_tables_of_the_code(tmp_path: Path) -> None:
    async def work(store: Any) -> list[Any]:
        async with store.reading() as connection:
            return await connection.run_sync(differences)  # type: ignore[no-any-return]

    gateway = RunningGateway(tmp_path)
    assert gateway.with_store(work) == []
    (sql,) = gateway.rows("SELECT sql FROM sqlite_master WHERE name = 'locator'")
    assert "WITHOUT ROWID" in sql[0]


def test_a_database_of_a_newer_release_is_not_touched(tmp_path: Path) -> None:
    gateway = RunningGateway(tmp_path)

    async def work(store: Any) -> None:
        async with store.writing() as connection:
            await connection.exec_driver_sql("UPDATE alembic_gateway SET version_num = '9999'")
        await prepare(store)

    with pytest.raises(StoreTooNew):
        gateway.with_store(work)


def test_the_database_is_for_its_owner_only(tmp_path: Path) -> None:
    RunningGateway(tmp_path)
    modes = {f.name: stat.S_IMODE(f.stat().st_mode) for f in tmp_path.rglob("gateway.db*")}
    assert "gateway.db" in modes and set(modes.values()) == {0o600}, modes
