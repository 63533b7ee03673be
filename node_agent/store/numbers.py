"""Row numbers given out inside the transaction that uses them, so that rows of many tables go in by one statement each.

A named row of `cursor` counts; updating it also makes writers on PostgreSQL wait for each other, as SQLite's do anyway.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from sqlalchemy import Table, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from node_agent.tables import STORE

_CURSOR = STORE.tables["cursor"]
_CHUNK = 500
T = TypeVar("T")


def chunks(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Parts small enough for one IN list."""
    for start in range(0, len(items), _CHUNK):
        yield items[start : start + _CHUNK]


async def reserve(connection: AsyncConnection, table: Table, count: int) -> int:
    """The first of `count` numbers that no other row of the table has or will get."""
    name = f"pk:{table.name}"
    taken = update(_CURSOR).where(_CURSOR.c.name == name).values(position=_CURSOR.c.position + count)
    last = (await connection.execute(taken.returning(_CURSOR.c.position))).scalar_one_or_none()
    if last is None:
        last = ((await connection.execute(select(func.max(table.c.pk)))).scalar_one() or 0) + count
        await connection.execute(insert(_CURSOR).values(name=name, position=last))
    return int(last) - count + 1
