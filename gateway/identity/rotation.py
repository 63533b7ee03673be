"""Replacing the city key while queries go on: make a version, have every node tell its patients under both, retire the old.

Identifiers are not kept, so a token cannot be made anew here: sync.py writes both versions of whatever a node tells, and
asks each node to begin anew. What carries a token of its own (grants, unlinked numbers) is carried over as its identifier
comes by.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Table, delete, distinct, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import ColumnElement

from gateway.errors import KeyStillNeeded, KeyUnusable
from gateway.identity.city_key import create_city_key
from gateway.identity.key_ring import KEYS_FRESH_SECONDS, LiveKeys, key_files, load_keys
from gateway.settings import Settings
from gateway.store.engine import Store
from gateway.store.grants import GRANTS
from gateway.store.tables import CITY_KEY, LOCATOR, METADATA, NODE, SPLIT, moment

TOKENS_PER_STATEMENT = 500
VERSIONS: Table = METADATA.tables["patient_grant_version"]


def of_version(column: Any, version: int) -> ColumnElement[bool]:
    """Whether a token column is of this key version: the first byte, as a range that an index can serve."""
    end = bytes([version + 1]) if version < 255 else b"\xff" * 20
    return (column >= bytes([version])) & (column < end)  # type: ignore[no-any-return]


async def settle_keys(store: Store, live: LiveKeys, now: datetime) -> None:
    """Compares the keys with what the database was made with, and notes new ones. Raises KeyUnusable: with another key
    every patient would be found nowhere."""
    mine = {key.version: key.fingerprint() for key in live.keys}
    async with store.writing() as connection:
        known = {row.version: row for row in await connection.execute(select(CITY_KEY))}
        wrong = sorted(v for v in mine if v in known and known[v].fingerprint != mine[v])
        lost = sorted(v for v, row in known.items() if v not in mine and not row.retired_at)
        if wrong or lost:
            raise KeyUnusable(
                f"Khoá thành phố không phải của cơ sở dữ liệu này (phiên bản {wrong + lost}); khôi phục từ bản sao lưu",
                f"the city keys are not this database's (versions {wrong + lost}); restore them from backup",
            )
        new = [{"version": v, "fingerprint": f, "made_at": moment(now)} for v, f in mine.items() if v not in known]
        if new:
            await connection.execute(insert(CITY_KEY), new)


async def rotate(store: Store, settings: Settings, now: datetime) -> LiveKeys:
    """A new version beside the one there is. Raises KeyStillNeeded while another rotation is not finished."""
    live = load_keys(settings)
    await settle_keys(store, live, now)
    if len(live.keys) > 1:
        raise KeyStillNeeded(
            "Đang có hai phiên bản khoá; chạy city-gateway key retire trước",
            "two key versions are live already; city-gateway key retire first",
        )
    async with store.reading() as connection:
        last: int = (await connection.execute(select(func.max(CITY_KEY.c.version)))).scalar_one()
    if last >= 255:
        raise KeyStillNeeded("Đã dùng hết 255 phiên bản khoá", "all 255 key versions are used up")
    create_city_key(settings.data_folder / f"city.{last + 1}.key")
    live = load_keys(settings)
    await settle_keys(store, live, now)
    return live


async def needed(store: Store, old: int, new: int, now: datetime) -> dict[str, int]:
    """What is still known under the old version alone: node id, GRANTS or SPLITS -> how many. Empty: it may go."""
    other = LOCATOR.alias("other")
    twin = select(1).where(other.c.node == LOCATOR.c.node, other.c.ref == LOCATOR.c.ref, of_version(other.c.token, new))
    alone = (
        select(NODE.c.id, func.count(distinct(LOCATOR.c.ref)))
        .join(NODE, NODE.c.pk == LOCATOR.c.node)
        .where(of_version(LOCATOR.c.token, old), ~twin.exists())
        .group_by(NODE.c.id)
        .order_by(NODE.c.id)
    )
    grants = select(func.count()).where(
        of_version(GRANTS.c.patient_token, old), GRANTS.c.withdrawn_at.is_(None), GRANTS.c.expires_at > moment(now)
    )
    async with store.reading() as connection:
        left: dict[str, int] = {row[0]: row[1] for row in await connection.execute(alone)}
        left["GRANTS"] = (await connection.execute(grants)).scalar_one()
        left["SPLITS"] = len(await _splits_left(connection, old, new))
    return {name: count for name, count in left.items() if count}


async def _splits_left(connection: AsyncConnection, old: int, new: int) -> set[int]:
    """The lines by number that stand and were not carried over."""
    lines = (await connection.execute(select(SPLIT).order_by(SPLIT.c.id))).all()
    over = {line.rejoins for line in lines if line.rejoins}
    by_version: dict[int, set[int]] = {old: set(), new: set()}
    for line in lines:
        root = line.root or line.id
        if line.token is not None and root not in over and line.token[0] in by_version:
            by_version[line.token[0]].add(root)
    return by_version[old] - by_version[new]


async def retire(store: Store, settings: Settings, now: datetime, without: Collection[str] = ()) -> int:
    """Ends the older of two versions; its version. without: nodes whose patients are given up. Raises KeyStillNeeded.

    The file goes first, then, when no gateway writes with it any more, the rows. Cut off between, it can be run again.
    """
    live = load_keys(settings)
    await settle_keys(store, live, now)
    if len(live.keys) < 2:
        raise KeyStillNeeded("Chỉ có một phiên bản khoá", "there is only one key version; rotate first")
    old, new = live.primary.version, live.newest.version
    left = {name: count for name, count in (await needed(store, old, new, now)).items() if name not in without}
    if left:
        text = ", ".join(f"{name}: {count}" for name, count in left.items())
        raise KeyStillNeeded(f"Phiên bản khoá {old} còn cần: {text}", f"key version {old} is still needed: {text}")
    async with store.writing() as connection:
        retired = update(CITY_KEY).where(CITY_KEY.c.version == old)
        await connection.execute(retired.values(retired_at=moment(now)))
    file = key_files(settings)[old]
    file.rename(file.with_name(f"city.{old}.key.retired"))
    await asyncio.sleep(2 * KEYS_FRESH_SECONDS)
    async with store.writing() as connection:
        await connection.execute(delete(LOCATOR).where(of_version(LOCATOR.c.token, old)))
    return old


async def carry_over(connection: AsyncConnection, newer: Mapping[bytes, bytes]) -> None:
    """Moves what hangs on a token to the token of the newer key; old token -> new token of the same identifiers."""
    olds = sorted(newer)
    for i in range(0, len(olds), TOKENS_PER_STATEMENT):
        some = olds[i : i + TOKENS_PER_STATEMENT]
        mine = select(VERSIONS).where(VERSIONS.c.patient_token.in_(some))
        for row in (await connection.execute(mine)).all():
            await _carry_grants(connection, bytes(row.patient_token), newer[bytes(row.patient_token)], row.version)
        lines = (await connection.execute(select(SPLIT).where(SPLIT.c.token.in_(some)))).all()
        for line in lines:
            token, root = newer[bytes(line.token)], line.root or line.id
            there = select(SPLIT.c.id).where(SPLIT.c.token == token, SPLIT.c.root == root)
            if (await connection.execute(there)).first() is None:
                place = {"facility_a": line.facility_a, "ref_a": line.ref_a, "at": line.at}
                await connection.execute(insert(SPLIT).values(root=root, token=token, **place))


async def _carry_grants(connection: AsyncConnection, old: bytes, new: bytes, version: int) -> None:
    await connection.execute(update(GRANTS).where(GRANTS.c.patient_token == old).values(patient_token=new))
    there = (await connection.execute(select(VERSIONS.c.version).where(VERSIONS.c.patient_token == new))).scalar()
    await connection.execute(delete(VERSIONS).where(VERSIONS.c.patient_token.in_((old, new))))
    await connection.execute(insert(VERSIONS).values(patient_token=new, version=max(version, there or 0)))
