"""What this node has to tell the gateway, read from the store: changed patients and the state of the feeds.

Also where sync stands in the change log. Sending is sync.py. Positions of the log are committed in order, and one batch
is read at one moment: Store.writing() and Store.reading() see to that.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from node_agent.tables import STORE
from schema.elements import Feed, Gender
from schema.messages import BATCH_LIMIT, FacilityReport, FeedState, SyncPatient
from schema.scalars import PARTIAL_DATE

CURSOR = "sync"
CHANGES_READ = 2_000
IDENTIFIERS_LIMIT = 50
_GENDERS = {gender.value: gender for gender in Gender}


@dataclass(frozen=True, slots=True, repr=False)
class Batch:
    """What one message tells: the patients behind since < position of the change log, as they are now."""

    since: int
    position: int
    head: int
    patients: list[SyncPatient]
    withdrawn: list[str]


async def read_batch(connection: AsyncConnection, since: int, facilities: tuple[str, ...]) -> Batch:
    """The next at most BATCH_LIMIT patients of the change log after `since`, of facilities the gateway knows this node by.

    Several changes of a patient are one: the newest state is sent. Patients without identifiers are withdrawn.
    """
    change, patient, identifier = (STORE.tables[name] for name in ("change", "patient", "identifier"))
    head: int = (await connection.execute(select(func.coalesce(func.max(change.c.position), 0)))).scalar_one()
    some = select(change.c.position, change.c.patient).where(change.c.position > since)
    position, pks = since, set[int]()
    for row in await connection.execute(some.order_by(change.c.position).limit(CHANGES_READ)):
        if row.patient not in pks and len(pks) == BATCH_LIMIT:
            break
        position = row.position
        pks.add(row.patient)
    held: dict[int, list[tuple[str, str]]] = {}
    numbers = select(identifier).where(identifier.c.patient.in_(pks))
    for row in await connection.execute(numbers.order_by(identifier.c.kind, identifier.c.value)):
        held.setdefault(row.patient, []).append((row.kind, row.value))
    known = select(patient).where(patient.c.pk.in_(pks), patient.c.facility.in_(facilities))
    rows = (await connection.execute(known.order_by(patient.c.pk))).all()
    patients = [_patient(row, held[row.pk]) for row in rows if row.pk in held]
    return Batch(since, position, max(head, position), patients, [row.ref for row in rows if row.pk not in held])


def _patient(row: Any, identifiers: list[tuple[str, str]]) -> SyncPatient:
    birth_date = row.birth_date if row.birth_date and PARTIAL_DATE.fullmatch(row.birth_date) else None
    return SyncPatient(
        row.ref,
        row.facility,
        identifiers[:IDENTIFIERS_LIMIT],
        birth_date[:10] if birth_date else None,
        _GENDERS.get(row.gender or ""),
        bool(row.doubts.strip()),
    )


async def read_feeds(connection: AsyncConnection, facilities: tuple[str, ...], now: datetime) -> list[FacilityReport]:
    """How the feeds of each facility are. A feed that never brought anything counts as lagging."""
    feed = STORE.tables["feed"]
    states: dict[str, list[FeedState]] = {code: [] for code in facilities}
    for row in await connection.execute(select(feed).order_by(feed.c.facility, feed.c.feed)):
        if row.facility in states:
            last = _utc(row.last_received_at) if row.last_received_at else None
            text = last.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if last else None
            states[row.facility].append(FeedState(Feed(row.feed).value, row.rhythm_seconds, text))
    return [FacilityReport(code, feeds, any(_silent(f, now) for f in feeds)) for code, feeds in states.items()]


def _utc(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)


def _silent(state: FeedState, now: datetime) -> bool:
    if state.last_received_at is None:
        return True
    return (now - _utc(state.last_received_at)).total_seconds() > state.rhythm_seconds


async def read_cursor(connection: AsyncConnection) -> int:
    """The position the gateway last accepted; 0 before the first message."""
    cursor = STORE.tables["cursor"]
    return (await connection.execute(select(cursor.c.position).where(cursor.c.name == CURSOR))).scalar() or 0


async def write_cursor(connection: AsyncConnection, position: int) -> None:
    """Remembers it."""
    cursor = STORE.tables["cursor"]
    result = await connection.execute(update(cursor).where(cursor.c.name == CURSOR).values(position=position))
    if result.rowcount == 0:
        await connection.execute(insert(cursor).values(name=CURSOR, position=position))
