"""The locator on PostgreSQL: the same rows in the same order as on SQLite, one index range, and never an empty answer for a failure."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, text

from gateway.app import locator_of
from gateway.errors import StoreUnavailable
from gateway.identity.choice import Located, place
from gateway.identity.locator import PROBES, Locator, SqliteLocator, located
from gateway.identity.locator_postgres import _FIND
from gateway.settings import Settings
from gateway.store.engine import Store, open_store
from gateway.store.migrate import prepare
from gateway.store.tables import FACILITY, LOCATOR, NODE
from tests.postgres import away, fresh_database
from tests.running import outside

pytestmark = pytest.mark.anyio
CODES = ("01001", "0100A", "A1001", "01010", "9Z999")
NODE_OF = {code: 1 + i % 2 for i, code in enumerate(CODES)}
NODES = [
    {
        "pk": pk,
        "id": f"node-{pk}",
        "url": "",
        "public_key": "",
        "contract_version": "",
        "sdl_sha256": "",
        "enrolled_at": "",
    }
    for pk in (1, 2)
]
FACILITIES = [
    {"pk": pk, "code": code, "name": code, "registered_at": "", "feeds": "[]", "node": NODE_OF[code]}
    for pk, code in enumerate(CODES, 1)
]
DIGEST = st.none() | st.binary(min_size=4, max_size=8)
ROW = st.fixed_dictionaries(
    {
        "token": st.sampled_from([b"\x01" + b"\x00" * 16, b"\x01" + b"\xff" * 16]),
        "facility": st.integers(1, len(CODES)),
        # Upper and lower case, digits, marks, letters beyond ASCII: where languages and bytes order differently.
        "ref": st.text("aZ09-_éÉđ", min_size=8, max_size=10),
        "kind": st.integers(1, 7),
        "day": DIGEST,
        "year": DIGEST,
        "sex": DIGEST,
        "cccd_agrees": st.sampled_from([None, True, False]),
        "doubtful": st.booleans(),
    }
)


async def rows_of(locator: Locator, token: bytes) -> tuple[Located, ...]:
    """What a locator says of one token, in a fixed order."""
    return tuple(sorted((located(row) for row in await locator.find((token,))), key=place))


def row_key(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["token"], row["facility"], row["ref"]


async def fill(store: Store, rows: Sequence[dict[str, Any]]) -> None:
    async with store.writing() as connection:
        await connection.execute(delete(LOCATOR))
        if rows:
            nodes = [{**row, "node": NODE_OF[CODES[row["facility"] - 1]]} for row in rows]
            await connection.execute(insert(LOCATOR), nodes)


@asynccontextmanager
async def opened(folder: Path, url: str = "") -> AsyncIterator[Store]:
    store = open_store(Settings(data_folder=folder, database_url=url))
    try:
        await prepare(store)
        async with store.writing() as connection:
            await connection.execute(insert(NODE), NODES)
            await connection.execute(insert(FACILITY), FACILITIES)
        yield store
    finally:
        await store.close()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(ROW, max_size=12, unique_by=row_key), min_size=1, max_size=3))
def test_both_databases_find_the_same_rows_in_the_same_order(
    stores: tuple[Path, str], histories: list[list[dict[str, Any]]]
) -> None:
    folder, url = stores

    async def compare() -> None:
        sqlite = open_store(Settings(data_folder=folder))
        postgres = open_store(Settings(data_folder=folder, database_url=url))
        try:
            for rows in histories:
                found: list[list[tuple[Located, ...]]] = []
                for store in (sqlite, postgres):
                    await fill(store, rows)
                    locator = locator_of(store)
                    found.append(
                        [await rows_of(locator, t) for t in (b"\x01" + b"\x00" * 16, b"\x01" + b"\xff" * 16, b"")]
                    )
                    if isinstance(locator, SqliteLocator):
                        locator.close()
                assert found[0] == found[1]
                assert [type(v) for r in found[1][0] for v in (r.doubtful, r.ref)] == [bool, str] * len(found[1][0])
                assert sum(map(len, found[1])) == len(rows)
                places = [(r.facility, r.ref) for r in found[1][0]]
                assert places == sorted(places)
        finally:
            await sqlite.close()
            await postgres.close()

    outside(compare())


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder, url = tmp_path_factory.mktemp("stores"), fresh_database()

    async def make() -> None:
        for where in ("", url):
            async with opened(folder, where):
                pass

    outside(make())
    return folder, url


MANY = """
INSERT INTO locator (token, facility, ref, node, kind, day, year, sex, cccd_agrees, doubtful)
SELECT '\\x01'::bytea || substr(sha256(i::text::bytea), 1, 16), 1 + i % 5, 'ref-' || i, 1 + i % 2, 1,
  substr(sha256(i::text::bytea), 1, 8), NULL, NULL, true, false FROM generate_series(1, 40000) i
"""


async def test_finding_a_token_is_one_index_range(tmp_path: Path) -> None:
    async with opened(tmp_path, fresh_database()) as store:
        async with store.writing() as connection:
            await connection.execute(text(MANY))
            await connection.execute(text("ANALYZE"))
        assert store.points is not None
        # As for the prepared statement, which after a few calls is planned once for all tokens.
        async with store.reading() as connection:
            await connection.exec_driver_sql("SET plan_cache_mode = force_generic_plan")
            kinds, values = ", ".join(["bytea"] * PROBES), ", ".join(["'\\x01'"] * PROBES)
            await connection.exec_driver_sql(f"PREPARE find ({kinds}) AS {_FIND}")
            lines = [r[0] for r in await connection.exec_driver_sql(f"EXPLAIN EXECUTE find({values})")]
        plan = "\n".join(lines)
        assert "locator_pkey" in plan and "Index Cond: (token = ANY (ARRAY[$1" in plan
        assert "Seq Scan on locator" not in plan
        renewed = "EXPLAIN DELETE FROM locator WHERE node = 1 AND ref IN ('ref-1', 'ref-3')"
        async with store.writing() as connection:
            plan = "\n".join(r[0] for r in await connection.exec_driver_sql(renewed))
        assert "locator_by_ref" in plan and "Seq Scan" not in plan


async def test_a_locator_sees_what_was_committed_after_it_was_opened(tmp_path: Path) -> None:
    row = {"token": b"t", "facility": 1, "ref": "ref-00000001", "kind": 1, "doubtful": False}
    async with opened(tmp_path, fresh_database()) as store:
        locator = locator_of(store)
        assert await rows_of(locator, b"t") == ()
        await fill(store, [row])
        assert [r.ref for r in await rows_of(locator, b"t")] == ["ref-00000001"]


async def test_a_database_that_is_away_is_an_error_and_never_nobody_and_its_return_is_noticed(tmp_path: Path) -> None:
    url = fresh_database()
    async with opened(tmp_path, url) as store:
        locator = locator_of(store)
        assert await rows_of(locator, b"t") == ()
        with away(url):
            for _ in range(2):
                with pytest.raises(StoreUnavailable):
                    await rows_of(locator, b"t")
        assert await rows_of(locator, b"t") == ()


async def test_dead_connections_of_a_server_that_came_back_are_replaced_without_an_error(tmp_path: Path) -> None:
    url = fresh_database()
    async with opened(tmp_path, url) as store:
        locator = locator_of(store)
        await asyncio.gather(*(rows_of(locator, b"t") for _ in range(20)))
        with away(url):
            pass
        assert await asyncio.gather(*(rows_of(locator, b"t") for _ in range(20))) == [()] * 20


async def test_a_database_that_hangs_is_an_error_within_the_deadline(tmp_path: Path) -> None:
    store = open_store(Settings(data_folder=tmp_path, database_url=fresh_database(), database_deadline_seconds=0.3))
    try:
        await prepare(store)
        locator = locator_of(store)
        assert await rows_of(locator, b"t") == ()
        async with store.writing() as connection:
            await connection.exec_driver_sql("LOCK TABLE locator")
            for _ in range(20):  # more than there are connections: none may be lost
                with pytest.raises(StoreUnavailable):
                    async with asyncio.timeout(5):
                        await rows_of(locator, b"t")
        assert await rows_of(locator, b"t") == ()
    finally:
        await store.close()


async def test_a_lost_sqlite_file_is_an_error_and_no_new_file(tmp_path: Path) -> None:
    file = tmp_path / "absent.db"
    with pytest.raises(StoreUnavailable):
        await SqliteLocator(file).find((b"t",))
    assert not await asyncio.to_thread(file.exists)
