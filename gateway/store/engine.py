"""Opening the gateway's database: engines, their read and write transactions on SQLite and PostgreSQL. No table is known here."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, event, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from gateway.settings import Settings
from gateway.store.reader import PointReader, saying_unavailable, server_settings

BUSY_MILLISECONDS = 15_000
IDLE_MILLISECONDS = 60_000
COMMAND_SECONDS = 60.0
CONNECT_SECONDS = 5.0
WRITERS, READERS = 8, 6  # connections of one gateway process at most, beside those of PointReader


class Hold(Enum):
    """What a write transaction keeps others from, on every gateway of a PostgreSQL database. SQLite has one writer anyway.

    ALONE: no other ALONE or BESIDE runs; for whoever reads the registry and then writes it, and for migrations.
    BESIDE: others of its kind may run, so it writes only what belongs to one node, whose row it locks.
    ROWS: nothing but the rows it touches; never waits for a sync.
    """

    ALONE = "SELECT pg_advisory_xact_lock(7452161)"
    BESIDE = "SELECT pg_advisory_xact_lock_shared(7452161)"
    ROWS = ""


@dataclass(frozen=True, slots=True)
class Store:
    """The gateway's state. `path` is the database file on SQLite, else None; `points` is there on PostgreSQL only.

    readers: the same engine on SQLite. On PostgreSQL a pool of its own, which syncs waiting for locks cannot empty.
    """

    engine: AsyncEngine
    path: Path | None
    readers: AsyncEngine
    points: PointReader | None = None

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection that sees one state of the database. Raises StoreUnavailable."""
        with saying_unavailable():
            async with self.readers.connect() as connection, connection.begin():
                yield connection

    @asynccontextmanager
    async def writing(self, hold: Hold = Hold.ALONE) -> AsyncIterator[AsyncConnection]:
        """A transaction that holds its lock from its start; commits at the end. Raises StoreUnavailable."""
        with saying_unavailable():
            async with self.engine.connect() as connection:
                await connection.execution_options(write_lock=True)
                async with connection.begin():
                    if self.path is None and hold.value:
                        # Statements after this one see what the earlier holder committed (READ COMMITTED).
                        await connection.exec_driver_sql(hold.value)
                    yield connection

    async def close(self) -> None:
        """Closes every connection."""
        await self.engine.dispose()
        if self.readers is not self.engine:
            await self.readers.dispose()
        if self.points is not None:
            await self.points.close()


def _owners_only(file: str | None) -> None:
    """Makes a missing database file with mode 0600; SQLite gives the same mode to the files it puts beside it."""
    if file and file != ":memory:" and Path(file).parent.is_dir():
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))


def open_store(settings: Settings) -> Store:
    """The database of these settings, unmigrated (migrate.prepare). Makes the data folder if missing; connects to nobody yet."""
    settings.data_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    url = make_url(settings.database_url)
    if url.get_backend_name() != "sqlite":
        return _postgres(url, settings.database_deadline_seconds)
    _owners_only(url.database)
    # An error text of the driver must not carry a patient token.
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

    return Store(engine, Path(url.database) if url.database else None, engine)


def _postgres(url: URL, seconds: float) -> Store:
    """READ COMMITTED for writers, so that whoever waited for a lock sees what was done; one snapshot for readers."""
    common: dict[str, Any] = {"hide_parameters": True, "pool_pre_ping": True, "max_overflow": 0}
    writer = server_settings(lock_timeout=BUSY_MILLISECONDS, idle_in_transaction_session_timeout=IDLE_MILLISECONDS)
    engine = create_async_engine(
        url,
        pool_size=WRITERS,
        isolation_level="READ COMMITTED",  # whatever the server's default is
        connect_args={"timeout": CONNECT_SECONDS, "command_timeout": COMMAND_SECONDS, "server_settings": writer},
        **common,
    )
    readers = create_async_engine(
        url,
        pool_size=READERS,
        pool_timeout=seconds,
        isolation_level="REPEATABLE READ",
        connect_args={"timeout": seconds, "command_timeout": seconds, "server_settings": server_settings()},
        # As a session's setting it would hide the primary from target_session_attrs=read-write.
        execution_options={"postgresql_readonly": True},
        **common,
    )
    return Store(engine, None, readers, PointReader(url, seconds))
