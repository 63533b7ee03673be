"""What the node does differently on PostgreSQL: how the store is opened and locked on the way in, and the reader of the way out.

The reader runs the compiled statement on asyncpg itself, not through SQLAlchemy, which would cost more than the statement.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import asyncpg
from asyncpg.exceptions import InterfaceError, PostgresError, QueryCanceledError
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from node_agent.dialect import POSTGRESQL
from node_agent.errors import StoreEncodingWrong, StoreUnreachable
from node_agent.store.reader import DeadlineOver

BACKEND = "postgresql"
READERS = 8  # connections of the way out
STATEMENT_SECONDS = 35  # the server ends what an agent that has died left running; a request has at most 30
RELEASE_SECONDS = 1.0
LOCK_SECONDS = 90
IDLE_SECONDS = (
    60  # a writer that stands still in its transaction holds up all others: the server ends it before they give up
)
STORE_LOCK, INBOX_LOCK = 7_206_410_001, 7_206_410_002  # two keys, since both may live in one database

_WRITER = {
    "application_name": "node-agent",
    "lock_timeout": f"{LOCK_SECONDS}s",
    "idle_in_transaction_session_timeout": f"{IDLE_SECONDS}s",
    "synchronous_commit": "on",  # bytes are acknowledged as kept
}
_READER = {
    "application_name": "node-agent reader",
    "default_transaction_read_only": "on",
    "statement_timeout": f"{STATEMENT_SECONDS}s",
    # Statements are wide and their plan is always the same: in the order of an index, row by row, from one patient. Without
    # these a new store that nobody has analysed yet may be read from end to end, each call plans again, and a wide selection
    # is compiled to machine code.
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
}


def postgresql_engine(url: str) -> AsyncEngine:
    """An engine of the way in. Each statement sees what was committed before it: the lock is asked for by a statement."""
    return create_async_engine(
        url,
        hide_parameters=True,
        pool_pre_ping=True,
        isolation_level="READ COMMITTED",
        connect_args={"server_settings": _WRITER},
    )


async def check_server(engine: AsyncEngine) -> None:
    """Raises StoreUnreachable or StoreEncodingWrong."""
    try:
        async with engine.connect() as connection:
            encoding = (await connection.execute(text("SHOW server_encoding"))).scalar_one()
    except (OSError, TimeoutError, PostgresError, InterfaceError, DBAPIError) as error:
        cause = getattr(error, "orig", None) or error
        raise StoreUnreachable(type(cause.__cause__ or cause).__name__) from None
    if encoding != "UTF8":
        raise StoreEncodingWrong(encoding)


async def lock_writers_out(connection: AsyncConnection, key: int) -> None:
    """Waits until no other transaction, of this agent or of its replica, holds the key; held until this one ends."""
    await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})


class _Connection(asyncpg.Connection):
    """A connection that changes nothing of its session, so there is nothing to reset after each statement."""

    def get_reset_query(self) -> str:
        return ""


class PostgresqlReader:
    """A Reader over a bounded pool of read-only connections, each keeping its prepared statements."""

    dialect = POSTGRESQL

    def __init__(self, url: str, connections: int = READERS) -> None:
        self._options, self._connections = _options(url), connections
        self._pool: asyncpg.Pool | None = None

    async def open(self) -> None:
        """Connects."""
        self._pool = await asyncpg.create_pool(
            **self._options,
            min_size=1,
            max_size=self._connections,
            connection_class=_Connection,
            server_settings=_READER,
            max_cacheable_statement_size=0,  # no limit: wide selections are the ones worth keeping
            max_cached_statement_lifetime=0,
        )

    async def fetch_one(self, sql: str, values: Sequence[Any], seconds: float) -> Sequence[Any] | None:
        """The first row, or None."""
        rows = await self.fetch_all(sql, values, seconds)
        return rows[0] if rows else None

    async def fetch_all(self, sql: str, values: Sequence[Any], seconds: float) -> Sequence[Sequence[Any]]:
        """All rows; raises DeadlineOver."""
        if self._pool is None:
            raise RuntimeError("the reader is not open")
        end = time.monotonic() + seconds  # waiting for a free connection counts
        if seconds <= 0:
            raise DeadlineOver
        try:
            connection = await self._pool.acquire(timeout=seconds)
            try:
                rows: list[Any] = await connection.fetch(sql, *values, timeout=max(end - time.monotonic(), 0.001))
            finally:
                await self._pool.release(connection, timeout=RELEASE_SECONDS)
        except (TimeoutError, QueryCanceledError):
            raise DeadlineOver from None
        return rows

    async def close(self) -> None:
        """Ends every connection, and what still runs on it."""
        if self._pool is not None:
            self._pool.terminate()


def _options(url: str) -> dict[str, Any]:
    """What asyncpg takes of an SQLAlchemy URL."""
    made = make_url(url)
    _, options = made.get_dialect()().create_connect_args(made)
    for name in ("prepared_statement_cache_size", "prepared_statement_name_func", "async_creator_fn"):
        options.pop(name, None)
    return dict(options)
