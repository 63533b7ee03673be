"""What only PostgreSQL can get wrong: its locale and encoding, several agents at once, statements left running, cut connections."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from node_agent.errors import SettingsInvalid, StoreEncodingWrong, StoreUnreachable
from node_agent.inbox import State
from node_agent.records import ParsedFile
from node_agent.settings import load_settings
from node_agent.store.engine import open_store
from node_agent.store.migrate import prepare
from node_agent.store.postgresql import READERS, PostgresqlReader
from node_agent.store.reader import DeadlineOver
from schema.elements import Feed
from tests.node_agent.visits import Desk, content, desk, encounter, hoso, observation, settings_in
from tests.postgres import fresh_database

pytestmark = pytest.mark.anyio
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT count(*) FROM n"
RUNNING = "SELECT count(*) FROM pg_stat_activity WHERE state='active' AND query LIKE 'WITH RECURSIVE%'"


def both_in(url: str) -> dict[str, str]:
    return {"database_url": url, "inbox_url": url}


@asynccontextmanager
async def reading(url: str, connections: int = READERS) -> AsyncIterator[PostgresqlReader]:
    reader = PostgresqlReader(url, connections)
    await reader.open()
    try:
        yield reader
    finally:
        await reader.close()


async def value(node: Desk, sql: str) -> Any:
    async with node.store.engine.connect() as connection:
        return (await connection.execute(text(sql))).scalar()


async def test_every_text_is_compared_byte_by_byte_whatever_the_locale_of_the_database(tmp_path: Path) -> None:
    """This server has no other locale to make a database with; a column's own collation is what shields it from one."""
    async with desk(tmp_path, **both_in(fresh_database())) as node:
        texts = "table_schema='public' AND data_type IN ('text','character varying') AND table_name NOT LIKE 'alembic%'"
        columns = f"SELECT count(*) FROM information_schema.columns WHERE {texts}"
        assert await value(node, columns) > 200
        assert await value(node, f"{columns} AND collation_name IS DISTINCT FROM 'C'") == 0
        indexes = (
            "SELECT count(*) FROM pg_index i, unnest(i.indcollation) WITH ORDINALITY c(oid, n), pg_class k "
            "WHERE k.oid=i.indexrelid AND k.relnamespace='public'::regnamespace AND k.relname NOT LIKE 'alembic%' "
            "AND c.oid<>0 AND c.oid NOT IN (SELECT oid FROM pg_collation WHERE collname='C')"
        )
        assert await value(node, indexes) == 0


async def test_a_database_of_another_encoding_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    url = fresh_database()
    async with desk(tmp_path / "other", **both_in(url)) as node, node.store.engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'"))
    name = url.rsplit("/", 1)[1].split("?")[0]
    settings = settings_in(tmp_path, **both_in(url.replace(f"/{name}?", "/latin?")))
    store = open_store(settings)
    with pytest.raises(StoreEncodingWrong, match="LATIN1"):
        await prepare(store, settings)
    async with store.engine.connect() as connection:
        assert (
            await connection.execute(text("SELECT count(*) FROM pg_tables WHERE schemaname='public'"))
        ).scalar() == 0
    await store.close()


@pytest.mark.parametrize(
    "url",
    ["postgresql+asyncpg://nobody:s3cret@127.0.0.1:1/x", "postgresql+asyncpg://postgres:s3cret@/missing?host={host}"],
    ids=["no server", "no database"],
)
async def test_a_server_that_lets_nobody_in_is_told_without_the_password(tmp_path: Path, url: str) -> None:
    settings = settings_in(tmp_path, **both_in(url.format(host=fresh_database().rsplit("host=", 1)[1])))
    store = open_store(settings)
    with pytest.raises(StoreUnreachable) as caught:
        await prepare(store, settings)
    assert "s3cret" not in str(caught.value) and caught.value.__suppress_context__
    await store.close()


def test_a_url_of_another_driver_is_refused_without_its_password(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text(
        'data_folder = "."\nfacilities = [{code = "01001", name = "x"}]\ndatabase_url = "postgresql://a:s3cret@b/c"'
    )
    with pytest.raises(SettingsInvalid, match="database_url: must begin with") as caught:
        load_settings(file, {})
    assert "s3cret" not in str(caught.value)


async def test_positions_of_the_change_log_are_committed_in_order_by_two_agents(tmp_path: Path) -> None:
    """Whoever has read up to a position must never find a smaller one later: sync would not see that change."""
    url = fresh_database()
    insert = "INSERT INTO change (patient, at) SELECT pk, :at FROM patient"
    async with desk(tmp_path, **both_in(url)) as one, desk(tmp_path, **both_in(url)) as two:
        await one.post(hoso("1", encounter("e")))
        first_has_written = asyncio.Event()
        seen: list[list[str]] = []

        async def slow() -> None:
            async with one.store.writing() as connection:
                await connection.execute(text(insert), {"at": "slow"})
                first_has_written.set()
                await asyncio.sleep(0.3)

        async def quick() -> None:
            await first_has_written.wait()
            async with two.store.writing() as connection:
                await connection.execute(text(insert), {"at": "quick"})

        async def look() -> None:
            await first_has_written.wait()
            for _ in range(10):
                seen.append([c["at"] for c in await two.rows("change")])
                await asyncio.sleep(0.05)

        await asyncio.gather(slow(), quick(), look())
        assert [c["at"] for c in await one.rows("change")][-2:] == ["slow", "quick"]
        assert all("slow" in log for log in seen if "quick" in log)


async def test_two_agents_that_ingest_at_once_end_in_the_same_store_as_one(tmp_path: Path) -> None:
    files = {
        f"f{n}".encode(): ParsedFile(
            tuple(hoso(str(n), encounter(f"e{k}"), observation(f"o{k}", f"{n}"), key=f"LK{k}") for k in range(4))
        )
        for n in range(1, 6)
    }
    async with desk(tmp_path, **both_in(fresh_database())) as node:
        node.feeds[Feed.BHYT_XML].files.update(files)
        for name in files:
            await node.ingest.receive(Feed.BHYT_XML, name.decode(), name)
        expected = await content(node, received=False)
    url = fresh_database()
    async with desk(tmp_path, **both_in(url)) as one, desk(tmp_path, **both_in(url)) as two:
        for node in (one, two):
            node.feeds[Feed.BHYT_XML].files.update(files)
        orders = zip((one, two), (sorted(files), sorted(files, reverse=True)), strict=True)
        work = [[node.ingest.receive(Feed.BHYT_XML, n.decode(), n) for n in order] for node, order in orders]
        results = await asyncio.gather(*(call for calls in zip(*work, strict=True) for call in calls))
        assert {r.state for r in results} <= {State.STORED, State.DUPLICATE}
        assert len([i for i in await one.ingest.inbox.items() if i.state is State.STORED]) == 5
        assert await content(one, received=False) == expected


async def test_agents_that_start_at_once_migrate_once(tmp_path: Path) -> None:
    url = fresh_database()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("NODE_AGENT_")}
    for n in range(3):
        lines = [f'data_folder = "{tmp_path / str(n)}"', f'database_url = "{url}"', f'inbox_url = "{url}"']
        facilities = 'facilities = [{code = "01001", name = "Bệnh viện Thử"}]'
        (tmp_path / f"{n}.toml").write_text("\n".join([*lines, facilities]), "utf-8")
    commands = [
        [sys.executable, "-m", "node_agent.cli", "--config", str(tmp_path / f"{n}.toml"), "init"] for n in range(3)
    ]
    started = [await asyncio.create_subprocess_exec(*c, env=environment, stdout=DEVNULL) for c in commands]
    assert [await process.wait() for process in started] == [0, 0, 0]
    async with desk(tmp_path / "0", **both_in(url)) as node:
        assert await value(node, "SELECT string_agg(version_num, ',') FROM alembic_store") == "store_0002"


async def test_a_batch_for_the_gateway_is_read_at_one_moment(tmp_path: Path) -> None:
    async with desk(tmp_path, **both_in(fresh_database())) as node:
        async with node.store.reading() as connection:
            before = (await connection.execute(text("SELECT count(*) FROM patient"))).scalar()
            await node.post(hoso("1", encounter("e")))
            assert (await connection.execute(text("SELECT count(*) FROM patient"))).scalar() == before == 0
        async with node.store.writing() as connection:  # the connection of before, back from the pool
            assert (await connection.execute(text("SHOW transaction_isolation"))).scalar() == "read committed"


async def test_a_writer_that_stands_still_is_ended_by_the_server_before_the_others_give_up(tmp_path: Path) -> None:
    async with desk(tmp_path, **both_in(fresh_database())) as node:
        with pytest.raises(DBAPIError, match=r"terminating|closed"):
            async with node.store.writing() as connection:
                await connection.execute(text("SET idle_in_transaction_session_timeout = '100ms'"))
                await asyncio.sleep(0.3)
                async with asyncio.timeout(5), node.store.writing() as other:
                    assert (await other.execute(text("SELECT 1"))).scalar() == 1
                await connection.execute(text("SELECT 1"))
        idle = await value(node, "SELECT current_setting('idle_in_transaction_session_timeout')::interval")
        lock = await value(node, "SELECT current_setting('lock_timeout')::interval")
        assert idle < lock


async def test_nothing_runs_on_at_the_server_after_a_deadline(tmp_path: Path) -> None:
    url = fresh_database()
    async with desk(tmp_path, **both_in(url)) as node, reading(url, 2) as reader:
        results = await asyncio.gather(*(reader.fetch_one(ENDLESS, (), 0.2) for _ in range(4)), return_exceptions=True)
        assert {type(r) for r in results} == {DeadlineOver}
        for _ in range(100):
            if not await value(node, RUNNING):
                break
            await asyncio.sleep(0.05)
        assert await value(node, RUNNING) == 0


async def test_a_statement_the_server_ends_for_its_length_is_over_its_deadline(tmp_path: Path) -> None:
    url = fresh_database()
    async with desk(tmp_path, **both_in(url)) as node, reading(url) as reader:
        asking = asyncio.create_task(reader.fetch_one(ENDLESS, (), 20))
        cancel = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE state='active' AND query LIKE 'WITH RECURSIVE%'"
        async with asyncio.timeout(10):
            while not asking.done():  # between its preparation and its run a statement is not noticed to be cancelled
                await value(node, cancel)
                await asyncio.sleep(0.02)
            with pytest.raises(DeadlineOver):
                await asking


async def test_connections_that_the_server_cut_are_made_again(tmp_path: Path) -> None:
    url = fresh_database()
    async with desk(tmp_path, **both_in(url)) as node, reading(url) as reader:
        assert await reader.fetch_one("SELECT 1", (), 5)
        cut = "SELECT count(pg_terminate_backend(pid, 2000)) FROM pg_stat_activity WHERE pid<>pg_backend_pid() AND datname=current_database()"
        assert await value(node, cut) >= 1
        await asyncio.sleep(0.1)
        assert await reader.fetch_one("SELECT 1", (), 5)
        assert (await node.post(hoso("1", encounter("e")))).state is State.STORED


async def test_wide_statements_stay_prepared(tmp_path: Path) -> None:
    async with reading(fresh_database(), 1) as reader:
        wide = f"SELECT '{'x' * 40_000}'"
        for _ in range(3):
            await reader.fetch_one(wide, (), 5)
        kept = "SELECT count(*) FROM pg_prepared_statements WHERE length(statement)>40000"
        assert (await reader.fetch_one(kept, (), 5) or ())[0] == 1


async def test_a_reader_holds_no_more_connections_than_it_may(tmp_path: Path) -> None:
    async with reading(fresh_database(), 3) as reader:
        await asyncio.gather(*(reader.fetch_one("SELECT pg_sleep(0.05)", (), 5) for _ in range(20)))
        mine = "SELECT count(*) FROM pg_stat_activity WHERE application_name='node-agent reader' AND datname=current_database()"
        assert (await reader.fetch_one(mine, (), 5) or ())[0] == 3


async def test_the_inbox_may_stay_a_file_beside_a_store_on_postgresql(tmp_path: Path) -> None:
    async with desk(tmp_path, database_url=fresh_database()) as node:
        assert (await node.post(hoso("1", encounter("e"), observation("o")))).state is State.STORED
        assert (tmp_path / "inbox.db").is_file() and not (tmp_path / "store.db").exists()
        assert await node.current() == {"o": "5.6"}


async def test_a_hospital_moves_by_replaying_its_inbox_into_the_new_database(tmp_path: Path) -> None:
    async with desk(tmp_path) as node:
        await node.post(hoso("1", encounter("e"), observation("o")))
        await node.post(hoso("2", encounter("e"), observation("o", "7.7")))
        expected, files = await content(node), node.feeds[Feed.BHYT_XML].files
    async with desk(tmp_path, database_url=fresh_database()) as node:
        node.feeds[Feed.BHYT_XML].files.update(files)
        assert [r.state for r in await node.ingest.resume()] == [State.STORED, State.STORED]
        assert await content(node) == expected
