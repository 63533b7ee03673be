"""The inbox: bytes as received, safe on disk before anything looks at them, with state and errors. Nothing is parsed here.

States: RECEIVED (not yet worked on, or a crash in between), STORED, PARTIAL (some parts failed), FAILED (nothing stored),
DUPLICATE (the same bytes of the same feed came before; kept as a pointer to the item that holds them). Bytes that come back
after something newer are STORED as an item of their own, which points to the first as well.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from sqlalchemy import Row, Select, delete, func, insert, select, update

from node_agent.errors import InboxItemNotFound
from node_agent.problem import Problem, Severity
from node_agent.store.engine import Store
from node_agent.tables import INBOX
from schema.elements import Feed
from schema.scalars import VIETNAM

Clock = Callable[[], datetime]
ITEM, ERROR = INBOX.tables["inbox"], INBOX.tables["inbox_error"]


class State(Enum):
    """What became of an item."""

    RECEIVED = "RECEIVED"
    STORED = "STORED"
    PARTIAL = "PARTIAL"
    FAILED = "FAILED"
    DUPLICATE = "DUPLICATE"


@dataclass(frozen=True, slots=True)
class Item:
    """An inbox item without its bytes. received_at: UTC, fixed width."""

    pk: int
    feed: Feed
    name: str
    sha256: str
    size: int
    received_at: str
    state: State
    error_code: str | None
    attempts: int
    units: int
    duplicate_of: int | None


def utc_text(moment: datetime) -> str:
    """'2026-11-24T08:18:32.000000Z': fixed width, so that text order is time order."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def local_text(utc: str) -> str:
    """A utc_text as PartialDate in Vietnam's local time, to the second."""
    moment = datetime.strptime(utc, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    return moment.astimezone(VIETNAM).strftime("%Y-%m-%dT%H:%M:%S+07:00")


class Inbox:
    """The inbox of one node."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock

    async def receive(self, feed: Feed, name: str, data: bytes) -> Item:
        """Commits the bytes and returns their item: RECEIVED, or DUPLICATE of an earlier one."""
        digest = hashlib.sha256(data).hexdigest()
        first = select(ITEM.c.pk).where(
            ITEM.c.sha256 == digest, ITEM.c.feed == feed.value, ITEM.c.state != State.DUPLICATE.value
        )
        async with self._store.writing_inbox() as connection:
            earlier = (await connection.execute(first.order_by(ITEM.c.pk))).scalars().first()
            row = {
                "feed": feed.value,
                "name": name,
                "sha256": digest,
                "content": b"" if earlier else data,
                "received_at": utc_text(self._clock()),
                "state": (State.DUPLICATE if earlier else State.RECEIVED).value,
                "attempts": 0,
                "units": 0,
                "duplicate_of": earlier,
            }
            pk = (await connection.execute(insert(ITEM).values(row).returning(ITEM.c.pk))).scalar_one()
        return await self.item(pk)

    async def item(self, pk: int) -> Item:
        """The item. Raises InboxItemNotFound."""
        async with self._store.inbox_engine.connect() as connection:
            row = (await connection.execute(_items().where(ITEM.c.pk == pk))).first()
        if row is None:
            raise InboxItemNotFound(pk)
        return _item(row)

    async def twin(self, duplicate: Item) -> Item:
        """The last item before a DUPLICATE that stands for the same bytes. Raises InboxItemNotFound."""
        same = (ITEM.c.sha256 == duplicate.sha256) & (ITEM.c.feed == duplicate.feed.value)
        query = select(func.max(ITEM.c.pk)).where(same, ITEM.c.state != State.DUPLICATE.value)
        async with self._store.inbox_engine.connect() as connection:
            pk = (await connection.execute(query)).scalar()
        if pk is None:
            raise InboxItemNotFound(duplicate.pk)
        return await self.item(pk)

    async def content(self, pk: int) -> bytes:
        """The untouched bytes; of bytes that came before, those of the first item with them. Raises InboxItemNotFound."""
        item = await self.item(pk)
        async with self._store.inbox_engine.connect() as connection:
            query = select(ITEM.c.content).where(ITEM.c.pk == (item.duplicate_of or pk))
            return bytes((await connection.execute(query)).scalar_one())

    async def items(self, state: State | None = None) -> list[Item]:
        """All items, or those in one state, oldest first."""
        query = _items().order_by(ITEM.c.pk)
        if state:
            query = query.where(ITEM.c.state == state.value)
        async with self._store.inbox_engine.connect() as connection:
            return [_item(row) for row in await connection.execute(query)]

    async def problems(self, pk: int) -> list[Problem]:
        """What the last attempt at the item reported, errors first."""
        query = select(ERROR).where(ERROR.c.inbox == pk).order_by(ERROR.c.severity, ERROR.c.pk)
        async with self._store.inbox_engine.connect() as connection:
            return [
                Problem(
                    Severity(r.severity),
                    r.code,
                    r.place,
                    r.source_table,
                    r.field,
                    r.reason_vi,
                    r.reason_en,
                    r._mapping["count"],
                )
                for r in await connection.execute(query)
            ]

    async def conclude(self, pk: int, state: State, units: int, problems: Sequence[Problem]) -> None:
        """Writes what an attempt came to, in place of what the attempt before it said."""
        errors = [p for p in problems if p.severity is Severity.ERROR]
        values = {"state": state.value, "units": units, "error_code": errors[0].code if errors else None}
        rows = [
            {
                "inbox": pk,
                "severity": p.severity.value,
                "code": p.code,
                "place": p.place,
                "source_table": p.table,
                "field": p.field,
                "reason_vi": p.reason_vi,
                "reason_en": p.reason_en,
                "count": p.count,
            }
            for p in problems
        ]
        async with self._store.writing_inbox() as connection:
            await connection.execute(delete(ERROR).where(ERROR.c.inbox == pk))
            if rows:
                await connection.execute(insert(ERROR), rows)
            await connection.execute(update(ITEM).where(ITEM.c.pk == pk).values(attempts=ITEM.c.attempts + 1, **values))


def _items() -> Select[Any]:
    columns = [c for c in ITEM.c if c.name != "content"]
    return select(*columns, func.length(ITEM.c.content).label("size"))


def _item(row: Row[Any]) -> Item:
    return Item(
        row.pk,
        Feed(row.feed),
        row.name,
        row.sha256,
        row.size,
        row.received_at,
        State(row.state),
        row.error_code,
        row.attempts,
        row.units,
        row.duplicate_of,
    )
