"""Opening the gateway's database: the engine, SQLite's pragmas and its write transactions. No table is known here."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from gateway.settings import Settings

BUSY_MILLISECONDS = 15_000


@dataclass(frozen=True, slots=True)
class Store:
    """The gateway's state. `path` is the database file on SQLite, else None."""

    engine: AsyncEngine
    path: Path | None

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection that sees one state of the database."""
        async with self.engine.connect() as connection, connection.begin():
            yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that holds SQLite's write lock from its start; commits at the end."""
        async with self.engine.connect() as connection:
            await connection.execution_options(write_lock=True)
            async with connection.begin():
                yield connection

    async def close(self) -> None:
        """Closes every connection."""
        await self.engine.dispose()


def _owners_only(file: str | None) -> None:
    """Makes a missing database file with mode 0600; SQLite gives the same mode to the files it puts beside it."""
    if file and file != ":memory:" and Path(file).parent.is_dir():
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))


def open_store(settings: Settings) -> Store:
    """The database of these settings, unmigrated (migrate.prepare). Makes the data folder if missing."""
    settings.data_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    url = make_url(settings.database_url)
    # An error text of the driver must not carry a patient token.
    if url.get_backend_name() != "sqlite":
        return Store(create_async_engine(url, hide_parameters=True), None)
    _owners_only(url.database)
    engine = create_async_engine(url, hide_parameters=True, connect_args={"isolation_level": None})

    @event.listens_for(engine.sync_engine, "connect")
    def _pragmas(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        for pragma in (
            f"busy_timeout={BUSY_MILLISECONDS}",
            "journal_mode=WAL",
            "synchronous=FULL",  # registry, grants and audit must survive a power cut
            "foreign_keys=ON",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Connection) -> None:
        # The driver's own transactions begin late and would let two writers read before either writes.
        immediate = connection.get_execution_options().get("write_lock")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return Store(engine, Path(url.database) if url.database else None)
