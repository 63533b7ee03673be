"""A facility's change from one node to another. Enrolling the new one is enrolment.py; what it tells is sync.py.

The former node's locator rows stay until the new one has told all: without them a gateway that does not know of the change
yet would find nobody at the facility, and say so as if it were whole (HANDED_OVER in plan.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.store.tables import FACILITY, FACILITY_HEALTH, LOCATOR, NODE, moment


async def hand_over(connection: AsyncConnection, facility: Any, pk: int, feeds: str, now: datetime) -> None:
    """Gives the facility (its row) to the node `pk`; a node that serves nothing more is revoked."""
    await connection.execute(delete(FACILITY_HEALTH).where(FACILITY_HEALTH.c.facility == facility.pk))
    before = facility.node if facility.node != pk else None
    former = before or facility.former_node
    if former == pk:
        former = None  # it is back, and its rows are its own again
    if facility.former_node not in (None, former, pk):  # gone before it was relieved: its rows wait with the next one's
        rows = (LOCATOR.c.node == facility.former_node) & (LOCATOR.c.facility == facility.pk)
        await connection.execute(update(LOCATOR).where(rows).values(node=former))
    values = {"node": pk, "feeds": feeds, "former_node": former}
    await connection.execute(update(FACILITY).where(FACILITY.c.pk == facility.pk).values(values))
    if before is not None:
        left = (await connection.execute(select(FACILITY.c.pk).where(FACILITY.c.node == before))).first()
        if left is None:
            await connection.execute(update(NODE).where(NODE.c.pk == before).values(revoked_at=moment(now)))


async def let_go(connection: AsyncConnection, facilities: Iterable[int]) -> None:
    """The rows of these facilities' former nodes, now that the present ones have told all."""
    waiting = select(FACILITY.c.pk, FACILITY.c.former_node).where(FACILITY.c.former_node.is_not(None))
    told = set(facilities)
    for pk, former in (await connection.execute(waiting)).all():
        if pk in told:
            await connection.execute(delete(LOCATOR).where(LOCATOR.c.node == former, LOCATOR.c.facility == pk))
            await connection.execute(update(FACILITY).where(FACILITY.c.pk == pk).values(former_node=None))


async def former_nodes(connection: AsyncConnection, facilities: Iterable[int]) -> list[int]:
    """Those whose rows of any of these facilities are still believed."""
    former = select(FACILITY.c.former_node).where(FACILITY.c.pk.in_(facilities), FACILITY.c.former_node.is_not(None))
    return sorted(set((await connection.execute(former)).scalars()))
