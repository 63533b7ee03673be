"""Which database a test's nodes keep their stores in: SQLite, or a real PostgreSQL. conftest.py says which; tests need not."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from node_agent.store.migrate import INBOX_TREE, STORE_TREE, upgrade
from node_agent.tables import STORE
from tests.postgres import drop_database, fresh_database

SQLITE, POSTGRESQL = "sqlite", "postgresql"
_current = [SQLITE]
_made: dict[Path, str] = {}


def use(database: str) -> None:
    """From now on nodes keep their stores there."""
    _current[:] = [database]


def urls(folder: Path) -> dict[str, str]:
    """The settings that put the store and the inbox of the node of this data folder where they belong; always the same ones."""
    if _current == [SQLITE]:
        return {}
    if folder not in _made:
        _made[folder] = fresh_database(_migrated())
    return {
        "database_url": _made[folder],
        "inbox_url": _made[folder],
    }  # both in one: they must not be in each other's way


def made() -> set[Path]:
    """The data folders whose databases there are."""
    return set(_made)


def drop(folders: set[Path]) -> None:
    """Takes the databases of these folders away."""
    for folder in folders:
        drop_database(_made.pop(folder))


@cache
def _migrated() -> str:
    """A database that is only copied: migrating each of them anew would take longer than the tests."""
    url = fresh_database()

    async def work() -> None:
        engine = create_async_engine(url)
        for tree in (INBOX_TREE, STORE_TREE):
            async with engine.begin() as connection:
                await connection.run_sync(upgrade, tree)
        await engine.dispose()

    _outside(work())
    return url


def _outside(work: Coroutine[Any, Any, None]) -> None:
    """Runs it in a thread of its own, since callers may be inside a running loop."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result()


def lose_store(folder: Path) -> None:
    """As when the disk of the clinical store is replaced by an empty one; the inbox stays."""
    if _current == [SQLITE]:
        for file in folder.glob("store.db*"):
            file.unlink()
        return
    names = ",".join(f'"{name}"' for name in (*STORE.tables, STORE_TREE.version_table))

    async def work() -> None:
        engine = create_async_engine(_made[folder])
        async with engine.begin() as connection:
            await connection.execute(text(f"DROP TABLE {names}"))
        await engine.dispose()

    _outside(work())
