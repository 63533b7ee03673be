"""Opening the databases: engines, transactions, SQLite's pragmas. What is PostgreSQL's own is in postgresql.py.

The store and the inbox are separate databases: bytes must be safe (synchronous=FULL) before the clinical store, which can
always be made again from them (synchronous=NORMAL), hears of them.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from node_agent.settings import Settings
from node_agent.store.ids import Ids, load_ids
from node_agent.store.postgresql import BACKEND, INBOX_LOCK, STORE_LOCK, lock_writers_out, postgresql_engine

BUSY_MILLISECONDS = 15_000
MAP_BYTES = 268_435_456
CACHE_KIBIBYTES = 65_536


@dataclass(frozen=True, slots=True)
class Store:
    """Both databases and the ids. `path` is the clinical store's file on SQLite, else None.

    Every transaction that writes holds the lock of its database from its start, so what it reads stays true until it
    commits, and positions of the change log are committed in order, by however many agents.
    """

    engine: AsyncEngine
    inbox_engine: AsyncEngine
    path: Path | None
    ids: Ids

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A transaction on the store that holds the write lock from its start; commits at the end."""
        async with _writing(self.engine, STORE_LOCK) as connection:
            yield connection

    @asynccontextmanager
    async def writing_inbox(self) -> AsyncIterator[AsyncConnection]:
        """The same on the inbox."""
        async with _writing(self.inbox_engine, INBOX_LOCK) as connection:
            yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A transaction on the store all of whose statements see the same moment."""
        async with self.engine.connect() as connection:
            if self.path is None:  # SQLite's transactions are so by themselves
                await connection.execution_options(isolation_level="REPEATABLE READ")
            async with connection.begin():
                yield connection

    async def close(self) -> None:
        """Closes every connection."""
        await self.engine.dispose()
        await self.inbox_engine.dispose()


def open_store(settings: Settings) -> Store:
    """The databases of these settings, unmigrated (migrate.prepare). Makes the data folder and the record key if missing."""
    settings.data_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    ids = load_ids(settings.record_key_file)
    url = make_url(settings.store_url)
    file = url.database if url.get_backend_name() == "sqlite" else None
    return Store(
        _engine(settings.store_url, synchronous="NORMAL"),
        _engine(settings.inbox_store_url, synchronous="FULL"),
        Path(file) if file else None,
        ids,
    )


@asynccontextmanager
async def _writing(engine: AsyncEngine, lock: int) -> AsyncIterator[AsyncConnection]:
    async with engine.connect() as connection:
        await connection.execution_options(write_lock=True)
        async with connection.begin():
            if engine.dialect.name == BACKEND:
                await lock_writers_out(connection, lock)
            yield connection


def _owners_only(file: str | None) -> None:
    """Makes a missing database file with mode 0600; SQLite gives the same mode to the files it puts beside it."""
    if file and file != ":memory:" and Path(file).parent.is_dir():
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))


def _engine(url: str, synchronous: str) -> AsyncEngine:
    if make_url(url).get_backend_name() == BACKEND:
        return postgresql_engine(url)
    _owners_only(make_url(url).database)
    # The driver's own transactions begin late and would let two writers read before either writes.
    engine = create_async_engine(url, hide_parameters=True, connect_args={"isolation_level": None})

    @event.listens_for(engine.sync_engine, "connect")
    def _pragmas(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        for pragma in (
            f"busy_timeout={BUSY_MILLISECONDS}",
            "journal_mode=WAL",
            f"synchronous={synchronous}",
            "foreign_keys=ON",
            f"mmap_size={MAP_BYTES}",
            f"cache_size=-{CACHE_KIBIBYTES}",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("write_lock")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine
