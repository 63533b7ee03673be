"""FAILED parts of inbox items that belong to a known person: while one stands, that person's coverage is INCOMPLETE.

A failure is settled (1) by a replay of its item in which the part no longer fails, or (2) by a newer item that stores, or
takes back, what failed: the same unit key or source key at the same facility. Only when no key could be read, by a newer
item that stores anything current for that patient. A failure of an item older than that is never put back, so the order of
replays does not matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, delete, exists, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from node_agent.records import ParsedPatient
from node_agent.store.ids import Ids
from node_agent.store.patients import Patients, is_bare
from node_agent.store.supersede import Rank
from node_agent.store.write import log_change
from node_agent.tables import STORE
from schema.identity import STRONG

_FAILURE, _UNIT, _RECORD, _WITHDRAWAL = (STORE.tables[name] for name in ("failure", "unit", "record", "withdrawal"))


@dataclass(frozen=True, slots=True)
class Failure:
    """A part that failed, and whose it is. unit_key: of the unit, or the source key. position: unique within its item."""

    facility: str
    patient: ParsedPatient
    unit_key: str | None
    position: int
    code: str


async def replace_failures(
    connection: AsyncConnection, ids: Ids, inbox: int, failures: Sequence[Failure], at: str
) -> None:
    """Makes these the item's failures, and settles older ones that its stored units answer."""
    touched = set((await connection.execute(select(_FAILURE.c.patient).where(_FAILURE.c.inbox == inbox))).scalars())
    await connection.execute(delete(_FAILURE).where(_FAILURE.c.inbox == inbox))
    failures = [_placed(failure) for failure in failures]
    patients = Patients(connection, ids)
    await patients.load((f.facility, f.patient.local_id) for f in failures)
    rows = []
    for failure in failures:
        if is_bare(failure.patient) and patients.pk(failure.facility, failure.patient.local_id) is None:
            continue  # nobody whom the gateway could locate
        pk = await patients.take(failure.facility, failure.patient, _rank(failure, inbox))
        row = {"patient": pk, "facility": failure.facility, "inbox": inbox, "position": failure.position}
        rows.append({**row, "code": failure.code, "unit_key": failure.unit_key})
    await patients.save()
    if rows:
        await connection.execute(insert(_FAILURE), rows)
    answered = (await connection.execute(select(_FAILURE.c.pk, _FAILURE.c.patient).where(_settled()))).all()
    if answered:
        await connection.execute(delete(_FAILURE).where(_FAILURE.c.pk.in_([pk for pk, _ in answered])))
    touched |= {patient for _, patient in answered} | {row["patient"] for row in rows}
    await log_change(connection, touched, at)


def _placed(failure: Failure) -> Failure:
    """The failure with a local id: where none could be read, the number stands for it. Else all such people were one."""
    who = failure.patient
    if who.local_id or not who.identifiers:
        return failure
    number = min(who.identifiers, key=lambda i: (i.kind not in STRONG, i.kind.value, i.value))
    return replace(failure, patient=replace(who, local_id=f"?{number.kind.value}:{number.value}"))


def _rank(failure: Failure, inbox: int) -> Rank:
    """What a failed part says of a person stands below what stored ones say; bare numbers stand below everything."""
    who = failure.patient
    return ("", inbox if who.name or who.birth_date or who.gender else -1, failure.position)


def _settled() -> ColumnElement[bool]:
    newer = _UNIT.c.inbox > _FAILURE.c.inbox
    same_unit = exists().where(_UNIT.c.facility == _FAILURE.c.facility, _UNIT.c.unit_key == _FAILURE.c.unit_key, newer)
    same_source = (
        exists()
        .where(part.c.facility == _FAILURE.c.facility, part.c.source_key == _FAILURE.c.unit_key)
        .where(_UNIT.c.pk == part.c.unit, newer)
        for part in (_RECORD, _WITHDRAWAL)
    )
    same_patient = (
        exists()
        .where(_RECORD.c.patient == _FAILURE.c.patient, _RECORD.c.current)
        .where(_UNIT.c.pk == _RECORD.c.unit, newer)
    )
    return or_(same_unit, *same_source, _FAILURE.c.unit_key.is_(None) & same_patient)
