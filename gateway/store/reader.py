"""What a query reads of a PostgreSQL database: one prepared statement on a raw asyncpg connection, under a deadline.

Beside it, how every part of the gateway says that its database is away. No table is known here, and nothing is written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import asyncpg
import structlog
from asyncpg.exceptions import AdminShutdownError, InterfaceError, PostgresConnectionError, PostgresError
from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from gateway.errors import StoreUnavailable

CONNECTIONS = 8
# Connection, read-only server, access, no such database, serialisation, resources, locks, operator, system.
_AWAY = frozenset(("08", "25", "28", "3D", "40", "53", "55", "57", "58"))
_log = structlog.get_logger(__name__)


def server_settings(**more: object) -> dict[str, str]:
    """Settings of a session. jit: compiling costs more than any statement of ours."""
    return {"application_name": "city-gateway", "jit": "off", **{name: str(value) for name, value in more.items()}}


def is_away(error: BaseException) -> bool:
    """Whether an error says that the database cannot be used now, and not that a statement is wrong."""
    if isinstance(error, OSError | PoolTimeout | OperationalError):
        return True
    if isinstance(error, DBAPIError):
        state = getattr(error.orig, "sqlstate", None)
        return error.connection_invalidated or (state is not None and state[:2] in _AWAY)
    if isinstance(error, PostgresError):
        return str(getattr(error, "sqlstate", None))[:2] in _AWAY
    return isinstance(error, InterfaceError)


@contextmanager
def saying_unavailable() -> Iterator[None]:
    """Turns the database's absence into StoreUnavailable. The driver's text stays inside: it can quote a row."""
    try:
        yield
    except Exception as error:
        if not is_away(error):
            raise
        cause = getattr(error, "orig", None) or error
        _log.error("database unavailable", error=type(cause).__name__, sqlstate=getattr(cause, "sqlstate", None))
        raise StoreUnavailable from None


class PointReader:
    """At most CONNECTIONS connections, opened when needed; for statements outside any transaction.

    Each statement sees what was committed last. asyncpg prepares a text once a connection and keeps it. seconds: the
    longest that one fetch may take, waiting for a connection included.
    """

    def __init__(self, url: URL, seconds: float) -> None:
        arguments: dict[str, Any] = dict(url.get_dialect()().create_connect_args(url)[1])
        for name in ("async_creator_fn", "prepared_statement_cache_size", "prepared_statement_name_func"):
            arguments.pop(name, None)  # of SQLAlchemy, not of the driver
        self._arguments, self._seconds = arguments, seconds
        self._pool: Any = None  # asyncpg has no types
        self._opening = asyncio.Lock()

    async def fetch(self, sql: str, *arguments: object) -> Sequence[Sequence[Any]]:
        """All rows. Raises StoreUnavailable."""
        with saying_unavailable():
            async with asyncio.timeout(self._seconds):
                pool = self._pool or await self._open()
                try:
                    return await self._once(pool, sql, arguments)
                except (PostgresConnectionError, AdminShutdownError, InterfaceError, ConnectionError):
                    # A server that came back leaves dead connections in the pool; reading again harms nobody.
                    await pool.expire_connections()
                    return await self._once(pool, sql, arguments)

    async def _once(self, pool: Any, sql: str, arguments: tuple[object, ...]) -> Sequence[Sequence[Any]]:
        connection = await pool.acquire()
        try:
            rows: Sequence[Sequence[Any]] = await connection.fetch(sql, *arguments)
            return rows
        except BaseException as error:
            # Given back alive, the connection would wait without limit for a lost server to confirm the cancelling.
            if not isinstance(error, PostgresError):
                connection.terminate()
            raise
        finally:
            await pool.release(connection)

    async def _open(self) -> Any:
        create_pool: Any = asyncpg.create_pool
        async with self._opening:
            if self._pool is None:
                milliseconds = int(self._seconds * 1_000)
                settings = server_settings(default_transaction_read_only="on", statement_timeout=milliseconds)
                self._pool = await create_pool(
                    min_size=0,
                    max_size=CONNECTIONS,
                    server_settings=settings,
                    reset=_nothing,  # the usual one is a round trip more, for sessions that change something
                    **self._arguments,
                )
            return self._pool

    async def close(self) -> None:
        """Ends every connection; the next fetch opens one again."""
        if self._pool is not None:
            self._pool.terminate()
            self._pool = None


async def _nothing(_connection: object) -> None:
    return None
