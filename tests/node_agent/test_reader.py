"""Reading the store: deadlines the database keeps, nothing written, what was committed seen; on both databases."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from node_agent.store.postgresql import PostgresqlReader
from node_agent.store.reader import DeadlineOver, Reader, SqliteReader
from tests.node_agent.databases import urls

pytestmark = pytest.mark.anyio
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT count(*) FROM n"
COUNT = "SELECT count(*) FROM t"


def url_of(folder: Path) -> str:
    return urls(folder).get("database_url") or f"sqlite+aiosqlite:///{folder / 'store.db'}"


async def write(url: str, *statements: str) -> None:
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        for statement in statements:
            await connection.execute(text(statement))
    await engine.dispose()


async def made(url: str, size: int = 2) -> Reader:
    """A reader over a table of two rows."""
    mode = ["PRAGMA journal_mode=WAL"] if url.startswith("sqlite") else []
    await write(url, *mode, "CREATE TABLE t (a TEXT)", "INSERT INTO t VALUES ('x'), ('y')")
    reader: Reader = PostgresqlReader(url, size) if not mode else SqliteReader(Path(make_url(url).database or ""), size)
    await reader.open()
    return reader


@pytest.fixture
async def reader(database: str, tmp_path: Path) -> AsyncIterator[Reader]:
    reader = await made(url_of(tmp_path))
    yield reader
    await reader.close()


def equal(reader: Reader) -> str:
    return f"SELECT a FROM t WHERE a={reader.dialect.parameter(1, 'text')}"


async def test_rows_come_by_numbered_parameters(reader: Reader) -> None:
    low, high = (reader.dialect.parameter(n, "text") for n in (1, 2))
    sql = f"SELECT a FROM t WHERE a>={low} AND a<{high} AND {low}<{high} ORDER BY a"
    assert [tuple(row) for row in await reader.fetch_all(sql, ["x", "z"], 5)] == [("x",), ("y",)]
    assert tuple(await reader.fetch_one(equal(reader), ["y"], 5) or ()) == ("y",)
    assert await reader.fetch_one(equal(reader), ["z"], 5) is None


async def test_a_statement_whose_time_is_over_is_stopped_and_the_connection_serves_on(reader: Reader) -> None:
    for _ in range(3):  # more than there are connections
        start = time.monotonic()
        with pytest.raises(DeadlineOver):
            await reader.fetch_one(ENDLESS, (), 0.1)
        assert 0.09 < time.monotonic() - start < 1
        assert (await reader.fetch_one(COUNT, (), 5) or ())[0] == 2


async def test_waiting_for_a_free_connection_counts(reader: Reader) -> None:
    busy = [asyncio.create_task(reader.fetch_one(ENDLESS, (), 0.4)) for _ in range(2)]
    await asyncio.sleep(0.05)
    with pytest.raises(DeadlineOver):
        await reader.fetch_one(COUNT, (), 0.1)
    done = await asyncio.gather(*busy, return_exceptions=True)
    assert [type(d) for d in done] == [DeadlineOver, DeadlineOver]
    with pytest.raises(DeadlineOver):
        await reader.fetch_one("SELECT 1", (), 0)


async def test_the_event_loop_stays_free_while_a_statement_runs(reader: Reader) -> None:
    running = asyncio.create_task(reader.fetch_one(ENDLESS, (), 0.3))
    ticks = 0
    while not running.done():
        await asyncio.sleep(0.01)
        ticks += 1
    assert ticks > 5
    with pytest.raises(DeadlineOver):
        await running


async def test_a_reader_cannot_write(reader: Reader) -> None:
    for sql in ("INSERT INTO t VALUES ('z')", "DROP TABLE t", "CREATE TABLE u (a TEXT)"):
        with pytest.raises(Exception, match=r"read-?only"):
            await reader.fetch_all(sql, (), 5)


async def test_another_fault_of_the_database_is_not_taken_for_a_deadline(reader: Reader) -> None:
    with pytest.raises(Exception, match=r"no such table|does not exist"):
        await reader.fetch_all("SELECT * FROM missing", (), 5)


async def test_it_sees_what_was_committed_since(reader: Reader, tmp_path: Path) -> None:
    assert (await reader.fetch_one(COUNT, (), 5) or ())[0] == 2
    await write(url_of(tmp_path), "INSERT INTO t VALUES ('z')")
    assert (await reader.fetch_one(COUNT, (), 5) or ())[0] == 3


async def test_a_caller_that_gives_up_leaves_a_connection_that_serves_on(reader: Reader) -> None:
    for _ in range(3):
        asking = asyncio.create_task(reader.fetch_one(ENDLESS, (), 0.3))
        await asyncio.sleep(0.05)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    assert (await reader.fetch_one(COUNT, (), 5) or ())[0] == 2


async def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    path = tmp_path / "Bệnh viện #1 100%41?mode=rw" / "store.db"
    path.parent.mkdir()
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE t (a TEXT)")
    db.close()
    reader = SqliteReader(path)
    assert await reader.fetch_one(COUNT, (), 5) == (0,)
    await reader.close()
