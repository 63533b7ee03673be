"""Reading the store: deadlines the database keeps, nothing written, any folder name."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from node_agent.store.reader import DeadlineOver, SqliteReader

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT count(*) FROM n"


def database(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("CREATE TABLE t (a TEXT)")
        db.executemany("INSERT INTO t VALUES (?)", [("x",), ("y",)])
    db.close()
    return path


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[SqliteReader]:
    made = SqliteReader(database(tmp_path / "store.db"))
    yield made
    made.close()


@pytest.mark.anyio
async def test_rows_come_by_named_parameters(reader: SqliteReader) -> None:
    assert await reader.fetch_all("SELECT a FROM t WHERE a>=:a ORDER BY a", {"a": "x", "unused": 1}, 5) == [
        ("x",),
        ("y",),
    ]
    assert await reader.fetch_one("SELECT a FROM t WHERE a=:a", {"a": "y"}, 5) == ("y",)
    assert await reader.fetch_one("SELECT a FROM t WHERE a=:a", {"a": "z"}, 5) is None


@pytest.mark.anyio
async def test_a_statement_whose_time_is_over_is_stopped_and_the_connection_serves_on(reader: SqliteReader) -> None:
    for _ in range(3):  # more than there are threads
        start = time.monotonic()
        with pytest.raises(DeadlineOver):
            await reader.fetch_one(ENDLESS, {}, 0.1)
        assert 0.09 < time.monotonic() - start < 1
        assert await reader.fetch_one("SELECT count(*) FROM t", {}, 5) == (2,)


@pytest.mark.anyio
async def test_waiting_for_a_free_thread_counts(reader: SqliteReader) -> None:
    busy = [asyncio.create_task(reader.fetch_one(ENDLESS, {}, 0.4)) for _ in range(2)]
    await asyncio.sleep(0.05)
    with pytest.raises(DeadlineOver):
        await reader.fetch_one("SELECT count(*) FROM t", {}, 0.1)
    done = await asyncio.gather(*busy, return_exceptions=True)
    assert [type(d) for d in done] == [DeadlineOver, DeadlineOver]
    with pytest.raises(DeadlineOver):
        await reader.fetch_one("SELECT 1", {}, 0)


@pytest.mark.anyio
async def test_the_event_loop_stays_free_while_a_statement_runs(reader: SqliteReader) -> None:
    running = asyncio.create_task(reader.fetch_one(ENDLESS, {}, 0.3))
    ticks = 0
    while not running.done():
        await asyncio.sleep(0.01)
        ticks += 1
    assert ticks > 5
    with pytest.raises(DeadlineOver):
        await running


@pytest.mark.anyio
async def test_a_reader_cannot_write(reader: SqliteReader) -> None:
    for sql in ("INSERT INTO t VALUES ('z')", "DROP TABLE t", "CREATE TABLE u (a)"):
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await reader.fetch_all(sql, {}, 5)


@pytest.mark.anyio
async def test_another_fault_of_the_database_is_not_taken_for_a_deadline(reader: SqliteReader) -> None:
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        await reader.fetch_all("SELECT * FROM missing", {}, 5)


@pytest.mark.anyio
async def test_it_sees_what_was_committed_since(reader: SqliteReader) -> None:
    assert await reader.fetch_one("SELECT count(*) FROM t", {}, 5) == (2,)
    with sqlite3.connect(reader.path) as db:
        db.execute("INSERT INTO t VALUES ('z')")
    db.close()
    assert await reader.fetch_one("SELECT count(*) FROM t", {}, 5) == (3,)


@pytest.mark.anyio
async def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    reader = SqliteReader(database(tmp_path / "Bệnh viện #1 100%41?mode=rw" / "store.db"))
    assert await reader.fetch_one("SELECT count(*) FROM t", {}, 5) == (2,)
    reader.close()
