"""The migrations and the tables say the same, and an old release refuses a newer database."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from gateway.city.registry import read_city
from gateway.errors import StoreTooNew
from gateway.settings import Settings
from gateway.store.engine import open_store
from gateway.store.migrate import prepare, upgrade
from gateway.store.tables import METADATA
from tests.running import RunningGateway, outside


def differences(connection: Connection) -> list[Any]:
    mine = set(METADATA.tables)

    def belongs(_thing: object, name: str | None, kind: str, _reflected: bool, other: object) -> bool:
        return kind != "table" or name in mine or other is not None

    return list(compare_metadata(MigrationContext.configure(connection, opts={"include_object": belongs}), METADATA))


def test_migrating_makes_exactly_the_tables_of_the_code(tmp_path: Path, database: str) -> None:
    async def work(store: Any) -> list[Any]:
        async with store.reading() as connection:
            return await connection.run_sync(differences)  # type: ignore[no-any-return]

    gateway = RunningGateway(tmp_path)
    assert gateway.with_store(work) == []
    if database == "sqlite":
        (sql,) = gateway.rows("SELECT sql FROM sqlite_master WHERE name = 'locator'")
        assert "WITHOUT ROWID" in sql[0]
        return
    collated = """SELECT c.collname, count(*) FROM pg_attribute a JOIN pg_class t ON t.oid = a.attrelid
        JOIN pg_collation c ON c.oid = a.attcollation WHERE t.relkind = 'r' AND t.relname <> 'alembic_gateway'
        AND t.relnamespace = 'public'::regnamespace GROUP BY 1"""
    ((collation, columns),) = gateway.rows(collated)
    assert collation == "C" and columns >= 30


def test_gateways_that_start_at_once_migrate_once(tmp_path: Path, database: str) -> None:
    def start(_: int) -> None:
        settings = Settings(data_folder=tmp_path)

        async def work() -> None:
            store = open_store(settings)
            await prepare(store)
            await store.close()

        outside(work())

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(start, range(4)))


def test_a_database_of_the_first_release_is_brought_up_with_its_rows(tmp_path: Path, database: str) -> None:
    async def work() -> tuple[list[str], str]:
        store = open_store(Settings(data_folder=tmp_path))
        async with store.writing() as connection:
            await connection.run_sync(upgrade, "0002")
            await connection.exec_driver_sql(
                "INSERT INTO facility (code, name, registered_at, feeds) VALUES ('01002', 'B', '', '[]'), ('01001', 'A', '', '[]')"
            )
        await prepare(store)
        city = await read_city(store)
        async with store.reading() as connection:
            version = (await connection.exec_driver_sql("SELECT version_num FROM alembic_gateway")).scalar_one()
        await store.close()
        return list(city.facilities), str(version)

    assert outside(work()) == (["01001", "01002"], "0007")


def test_a_database_of_a_newer_release_is_not_touched(tmp_path: Path, database: str) -> None:
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
