"""Reading the store on the way out: one compiled statement, under a deadline the database itself keeps.

What the way out needs of a database, and the reader of SQLite; PostgreSQL's is postgresql.py. SQLite runs in a few threads,
each with its own read-only connection: the event loop stays free, and a progress handler stops a statement whose time is
over (spikes: no measurable cost).
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from node_agent.dialect import SQLITE, Dialect

CHECK_EVERY = 2_000  # virtual-machine steps between two looks at the clock


class DeadlineOver(Exception):
    """The statement was stopped because its time was over."""


class Reader(Protocol):
    """What the way out needs of a database. Parameters are numbered; `seconds` is how long a statement may run."""

    @property
    def dialect(self) -> Dialect:
        """What statements for this reader are compiled in."""

    async def open(self) -> None:
        """Makes it ready; before anything else, in the loop that will use it."""

    async def fetch_one(self, sql: str, values: Sequence[Any], seconds: float) -> Sequence[Any] | None:
        """The first row, or None. Raises DeadlineOver."""

    async def fetch_all(self, sql: str, values: Sequence[Any], seconds: float) -> Sequence[Sequence[Any]]:
        """All rows. Raises DeadlineOver."""

    async def close(self) -> None:
        """Ends every connection."""


class SqliteReader:
    """A Reader over a SQLite file in WAL mode."""

    dialect = SQLITE

    def __init__(self, path: Path, threads: int = 2) -> None:
        self.path = path
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="store-reader")
        self._local = threading.local()
        self._open: list[sqlite3.Connection] = []

    async def open(self) -> None:
        """Nothing: each thread opens its connection when it first needs one."""

    async def fetch_one(self, sql: str, values: Sequence[Any], seconds: float) -> Sequence[Any] | None:
        """The first row, or None."""
        rows = await self.fetch_all(sql, values, seconds)
        return rows[0] if rows else None

    async def fetch_all(self, sql: str, values: Sequence[Any], seconds: float) -> Sequence[Sequence[Any]]:
        """All rows; raises DeadlineOver."""
        end = time.monotonic() + seconds  # waiting for a free thread counts
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._run, sql, values, end)

    async def close(self) -> None:
        """End the threads and their connections."""
        self._pool.shutdown(wait=True)
        for connection in self._open:
            connection.close()

    def _run(self, sql: str, values: Sequence[Any], end: float) -> list[tuple[Any, ...]]:
        if time.monotonic() >= end:
            raise DeadlineOver
        connection = self._connection()
        connection.set_progress_handler(lambda: time.monotonic() > end, CHECK_EVERY)
        try:
            return connection.execute(sql, values).fetchall()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname == "SQLITE_INTERRUPT":
                raise DeadlineOver from None
            raise

    def _connection(self) -> sqlite3.Connection:
        known: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if known is None:
            known = sqlite3.connect(
                f"file:{quote(str(self.path))}?mode=ro", uri=True, check_same_thread=False, cached_statements=512
            )
            known.execute("PRAGMA cache_size=-65536")
            known.execute("PRAGMA mmap_size=1073741824")
            self._local.connection = known
            self._open.append(known)
        return known
