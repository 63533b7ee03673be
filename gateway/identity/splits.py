"""Unlinking: an operator's word that two rows, or a row and a number, are not one person. What it does is choice.py.

Lines are only ever added, so that the list is also the history; every reader sees a new one at its next query. A line names
rows by facility and ref, which no sync changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select

from gateway.errors import IdentityUnknown
from gateway.identity.choice import Located, RowKey
from gateway.identity.key_ring import LiveKeys
from gateway.store.engine import Store
from gateway.store.tables import FACILITY, KIND_NUMBERS, LOCATOR, SPLIT, moment


@dataclass(frozen=True, slots=True)
class Split:
    """A line that stands. facility_b is None where a number was unlinked from facility_a's row."""

    id: int
    facility_a: str
    facility_b: str | None
    at: str


async def unlink(store: Store, row: RowKey, other: RowKey | Sequence[bytes], now: datetime) -> int:
    """Records it and gives the line's id. other: another row, or a number by its token under each live key, oldest first."""
    async with store.writing() as connection:
        values: dict[str, Any] = {"facility_a": await _pk(connection, row[0]), "ref_a": row[1], "at": moment(now)}
        if isinstance(other, tuple) and isinstance(other[0], str):
            values |= {"facility_b": await _pk(connection, other[0]), "ref_b": other[1]}
            tokens: Sequence[bytes | None] = [None]
        else:
            tokens = [token for token in other if isinstance(token, bytes)]
        first: int | None = None
        for token in tokens:
            line = insert(SPLIT).values(**values, token=token, root=first).returning(SPLIT.c.id)
            made: int = (await connection.execute(line)).scalar_one()
            first = first or made
    assert first is not None
    return first


async def under_every_key(store: Store, row: Located, live: LiveKeys) -> tuple[bytes, ...]:
    """The number that found this row under each live key, oldest first.

    While two keys live, all numbers of its kind that the row has: which belongs to which under another key cannot be told.
    """
    if len(live.keys) == 1:
        return (row.token,)
    mine = select(LOCATOR.c.token).join(FACILITY, FACILITY.c.pk == LOCATOR.c.facility)
    kind = KIND_NUMBERS[row.kind]
    async with store.reading() as connection:
        tokens = await connection.execute(
            mine.where(FACILITY.c.code == row.facility, LOCATOR.c.ref == row.ref, LOCATOR.c.kind == kind)
        )
        return tuple(sorted(bytes(token) for token in tokens.scalars()))


async def rejoin(store: Store, line: int, now: datetime) -> None:
    """Takes a line back. Raises IdentityUnknown when no such line stands."""
    if line not in {split.id for split in await standing(store)}:
        raise IdentityUnknown(f"Không có dòng tách {line} đang hiệu lực", f"no unlinking {line} stands")
    async with store.writing() as connection:
        old = (await connection.execute(select(SPLIT).where(SPLIT.c.id == line))).one()
        values = {"facility_a": old.facility_a, "ref_a": old.ref_a, "rejoins": line, "at": moment(now)}
        await connection.execute(insert(SPLIT).values(values))


async def standing(store: Store) -> list[Split]:
    """The lines that stand, oldest first; facilities and times, no person."""
    async with store.reading() as connection:
        codes = {row.pk: row.code for row in await connection.execute(select(FACILITY.c.pk, FACILITY.c.code))}
        lines = (await connection.execute(select(SPLIT).order_by(SPLIT.c.id))).all()
    over = {line.rejoins for line in lines}
    return [
        Split(line.id, codes[line.facility_a], codes.get(line.facility_b), line.at)
        for line in lines
        if line.rejoins is None and line.root is None and line.id not in over
    ]


async def _pk(connection: Any, code: str) -> int:
    pk: int = (await connection.execute(select(FACILITY.c.pk).where(FACILITY.c.code == code))).scalar_one()
    return pk
