"""What a query reads of a PostgreSQL database: one prepared statement on a raw asyncpg connection, under a deadline.

Beside it, how every part of the gateway says that its database is away. No table is known here, and nothing is written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from time import monotonic
from typing import Any

import asyncpg
import structlog
from asyncpg.exceptions import (
    AdminShutdownError,
    InterfaceError,
    PostgresConnectionError,
    PostgresError,
    TargetServerAttributeNotMatched,
)
from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from gateway.errors import StoreUnavailable

CONNECTIONS = 8
IDLE_SECONDS = 60.0  # firewalls forget a silent connection without telling anybody
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
        return error.connection_invalidated or (error.orig is not None and is_away(error.orig.__cause__ or error.orig))
    if isinstance(error, PostgresError):
        return str(getattr(error, "sqlstate", None))[:2] in _AWAY
    return isinstance(error, InterfaceError | TargetServerAttributeNotMatched)


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
    longest that one fetch may take, waiting for a connection included. Not asyncpg's own pool, whose acquire and release
    cost more than the fetch between them.
    """

    def __init__(self, url: URL, seconds: float) -> None:
        arguments: dict[str, Any] = dict(url.get_dialect()().create_connect_args(url)[1])
        for name in ("async_creator_fn", "prepared_statement_cache_size", "prepared_statement_name_func"):
            arguments.pop(name, None)  # of SQLAlchemy, not of the driver
        self._arguments, self._seconds = arguments, seconds
        self._slots = asyncio.Semaphore(CONNECTIONS)
        self._idle: list[tuple[Any, float]] = []  # asyncpg has no types

    async def fetch(self, sql: str, *arguments: object) -> Sequence[Sequence[Any]]:
        """All rows. Raises StoreUnavailable."""
        with saying_unavailable():
            async with asyncio.timeout(self._seconds), self._slots:
                while self._idle:
                    connection, used = self._idle.pop()
                    if monotonic() - used > IDLE_SECONDS:
                        connection.terminate()
                        continue
                    # A server that came back leaves dead connections behind; reading again harms nobody.
                    with suppress(PostgresConnectionError, AdminShutdownError, InterfaceError, ConnectionError):
                        return await self._once(connection, sql, arguments)
                return await self._once(await self._connect(), sql, arguments)

    async def _once(self, connection: Any, sql: str, arguments: tuple[object, ...]) -> Sequence[Sequence[Any]]:
        kept = False
        try:
            rows: Sequence[Sequence[Any]] = await connection.fetch(sql, *arguments)
            kept = True
            return rows
        except PostgresError:
            kept = not connection.is_closed()
            raise
        finally:
            if kept:
                self._idle.append((connection, monotonic()))
            else:
                connection.terminate()  # closing in order would wait for a server that may be lost

    async def _connect(self) -> Any:
        connect: Any = asyncpg.connect
        settings = server_settings(
            statement_timeout=int(self._seconds * 1_000),
            # What is read here is in memory; with a disk's price, small tables would be read whole for each row.
            random_page_cost=1.1,
        )
        return await connect(server_settings=settings, **self._arguments)

    async def close(self) -> None:
        """Ends the idle connections; the next fetch opens one again."""
        while self._idle:
            with suppress(OSError, PostgresError, InterfaceError):
                await self._idle.pop()[0].close(timeout=1)
