"""Grants in a real database: given, listed, withdrawn, and read afresh."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import strawberry
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from gateway.access.grants import (
    Grant,
    GrantNotFound,
    GrantStore,
    GrantStoreUnavailable,
    GrantTermsRefused,
    SqliteGrantReader,
    reader_of,
)
from gateway.settings import Settings
from gateway.store.engine import Store, open_store
from gateway.store.grants import GRANTS
from gateway.store.migrate import prepare
from schema.access import GrantInput
from schema.elements import RecordKind
from schema.filters import PeriodFilter
from schema.scalars import PartialDate

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("database")]
NOW = 1_800_000_000.0
TOKEN, OTHER = b"\x01" + b"a" * 16, b"\x01" + b"\x00\xff" * 8
TO_FACILITY = GrantInput(days=30, grantee_facility="01003")


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Store]:
    store = open_store(Settings(data_folder=folder))
    try:
        await prepare(store)
        yield store
    finally:
        await store.close()


async def test_a_grant_is_found_as_it_was_given(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        grants = GrantStore(store, lambda: NOW)
        terms = GrantInput(
            days=1,
            grantee_facility="01003",
            grantee_licence="000123/HNO-CCHN",
            kinds=[RecordKind.PRESCRIPTION, RecordKind.ENCOUNTER, RecordKind.PRESCRIPTION],
            period=PeriodFilter(from_=PartialDate("2024"), to=PartialDate("2025-06")),
        )
        given = await grants.give(TOKEN, terms)
        assert await grants.find(given.id) == given
        assert given.kinds == (RecordKind.ENCOUNTER, RecordKind.PRESCRIPTION)
        assert given.bounds() == ("2024", "2025-06~")
        assert (given.created_at, given.expires_at, given.withdrawn_at) == (NOW, NOW + 86_400, None)
        assert len(given.id) == 22
        assert await grants.find("no-such-grant") is None


async def test_a_withdrawal_holds_for_the_very_next_read(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        grants = GrantStore(store, lambda: NOW)
        given = await grants.give(TOKEN, TO_FACILITY)
        before = await grants.find(given.id)
        assert before is not None and before.withdrawn_at is None
        await grants.withdraw(TOKEN, given.id)
        after = await grants.find(given.id)
        assert after is not None and after.withdrawn_at == NOW


async def test_versions_of_a_patient_rise_at_each_change_and_not_with_another_patients(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as store:
        grants = GrantStore(store, lambda: NOW)
        first, second = await grants.give(TOKEN, TO_FACILITY), await grants.give(TOKEN, TO_FACILITY)
        strange = await grants.give(OTHER, TO_FACILITY)
        withdrawn = await grants.withdraw(TOKEN, first.id)
        again = await grants.withdraw(TOKEN, first.id)
        assert [g.version for g in (first, second, withdrawn, again, strange)] == [1, 2, 3, 3, 1]
        assert again == withdrawn
        assert [g.id for g in await grants.of_patient(TOKEN)] == [first.id, second.id]
        assert await grants.of_patient(b"\x01nobody") == []


async def test_changes_at_once_get_different_versions(tmp_path: Path) -> None:
    async with opened(tmp_path) as one, opened(tmp_path) as other:
        desks = GrantStore(one, lambda: NOW), GrantStore(other, lambda: NOW)
        given = await asyncio.gather(*(desks[i % 2].give(TOKEN, TO_FACILITY) for i in range(8)))
        assert sorted(g.version for g in given) == [1, 2, 3, 4, 5, 6, 7, 8]
        withdrawn = await asyncio.gather(*(desks[i % 2].withdraw(TOKEN, given[0].id) for i in range(6)))
        assert {g.version for g in withdrawn} == {9}
        assert {g.version for g in await desks[1].of_patient(TOKEN)} == {g.version for g in given[1:]} | {9}


async def test_what_is_no_id_is_nobodys_grant_and_no_failure(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        grants = GrantStore(store, lambda: NOW)
        for strange in ("", "a\x00b", "\ud800", "x" * 65, "é"):
            assert await grants.find(strange) is None
            with pytest.raises(GrantNotFound):
                await grants.withdraw(TOKEN, strange)


async def test_nobody_withdraws_another_patients_grant(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        grants = GrantStore(store, lambda: NOW)
        given = await grants.give(TOKEN, TO_FACILITY)
        for grant_id in (given.id, "no-such-grant"):
            with pytest.raises(GrantNotFound):
                await grants.withdraw(OTHER, grant_id)
        assert await grants.find(given.id) == given
        assert (await grants.give(OTHER, TO_FACILITY)).version == 1


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        (GrantInput(days=30), "GRANTEE_MISSING"),
        (GrantInput(days=30, grantee_facility=""), "GRANTEE_MALFORMED"),
        (GrantInput(days=30, grantee_facility="1003"), "GRANTEE_MALFORMED"),
        (GrantInput(days=30, grantee_licence=" "), "GRANTEE_MALFORMED"),
        (GrantInput(days=30, grantee_licence="a\x00b"), "GRANTEE_MALFORMED"),
        (GrantInput(days=0, grantee_facility="01003"), "DAYS"),
        (GrantInput(days=367, grantee_facility="01003"), "DAYS"),
        (GrantInput(days=1, grantee_facility="01003", kinds=[]), "KINDS_EMPTY"),
        (
            GrantInput(
                days=1,
                grantee_facility="01003",
                period=PeriodFilter(from_=PartialDate("2025"), to=PartialDate("2024")),
            ),
            "PERIOD_EMPTY",
        ),
    ],
)
async def test_terms_that_give_nothing_to_nobody_are_refused(tmp_path: Path, terms: GrantInput, reason: str) -> None:
    async with opened(tmp_path) as store:
        grants = GrantStore(store, lambda: NOW)
        with pytest.raises(GrantTermsRefused) as caught:
            await grants.give(TOKEN, terms)
        assert caught.value.reason == reason
        assert await grants.of_patient(TOKEN) == []


async def test_a_store_that_cannot_be_read_fails_closed_and_names_nothing(tmp_path: Path) -> None:
    absent = SqliteGrantReader(tmp_path / "absent.db")
    with pytest.raises(GrantStoreUnavailable) as caught:
        await absent.find("grant-id-in-nobody's-log")
    assert "grant-id" not in str(caught.value)
    assert not (tmp_path / "absent.db").exists()
    store = open_store(Settings(data_folder=tmp_path / "empty"))  # never migrated: no such table
    try:
        grants = GrantStore(store, lambda: NOW)
        with pytest.raises(GrantStoreUnavailable):
            await grants.find("x")
        with pytest.raises(GrantStoreUnavailable) as refused:
            await grants.give(TOKEN, TO_FACILITY)
        assert refused.value.__suppress_context__
    finally:
        await store.close()


async def test_the_reader_recovers_when_the_store_comes_back(tmp_path: Path) -> None:
    early = open_store(Settings(data_folder=tmp_path))
    reader = reader_of(early)
    with pytest.raises(GrantStoreUnavailable):
        await reader.find("x")
    async with opened(tmp_path) as store:
        given = await GrantStore(store, lambda: NOW).give(TOKEN, TO_FACILITY)
        found = await reader.find(given.id)
        assert isinstance(found, Grant) and found == given
        if isinstance(reader, SqliteGrantReader):
            reader.close()
    await early.close()


async def test_the_revisions_make_exactly_the_tables_of_the_code(tmp_path: Path) -> None:
    async with opened(tmp_path) as store, store.reading() as connection:
        differences = await connection.run_sync(
            lambda c: compare_metadata(
                MigrationContext.configure(c, opts={"version_table": "alembic_gateway"}), GRANTS.metadata
            )
        )
        assert [d for d in differences if "grant" in str(d)] == []


async def test_a_repr_tells_nothing_of_the_patient(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        given = await GrantStore(store, lambda: NOW).give(TOKEN, TO_FACILITY)
        assert strawberry.ID(given.id) not in repr(given) and "aaaa" not in repr(given)
