"""Writing units: one transaction turns ready units into rows, settles which versions stand, and logs whom it touched.

Also the way back (forget: what a replay no longer finds). Nothing here parses, labels or decides; see prepare.py and
supersede.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Table, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from node_agent.records import Supersede
from node_agent.store.held import SourceKey, load_held
from node_agent.store.ids import Ids
from node_agent.store.numbers import chunks, reserve
from node_agent.store.patients import Patients, is_bare
from node_agent.store.prepare import ReadyUnit
from node_agent.store.rows import Row
from node_agent.store.supersede import Held, Standing, UnitKey, Version, newest, resolve
from node_agent.tables import CHILD, DETAIL, STORE

UNIT, RECORD = STORE.tables["unit"], STORE.tables["record"]
WITHDRAWAL = STORE.tables["withdrawal"]
LINK, SEARCH_CODE, CHANGE = STORE.tables["link"], STORE.tables["search_code"], STORE.tables["change"]
_BY_RECORD = (*CHILD.values(), LINK, SEARCH_CODE)


@dataclass(slots=True)
class _Touched:
    """What a transaction has changed so far: unit keys and source keys to settle, patients to log."""

    keys: set[UnitKey] = field(default_factory=set)
    sources: set[SourceKey] = field(default_factory=set)
    patients: set[int] = field(default_factory=set)


async def write_units(
    connection: AsyncConnection, ids: Ids, units: Sequence[ReadyUnit], at: str
) -> tuple[list[ReadyUnit], list[ReadyUnit]]:
    """Writes units of one inbox item and one mode of superseding; (stored, those whose patient is unknown).

    A unit already there (a replay) is written anew. `at` is the UTC time of the change log. Raises database errors only;
    the caller's transaction then takes everything back.
    """
    patients = Patients(connection, ids)
    await patients.load((u.facility, u.patient.local_id) for u in units)
    touched = _Touched()
    stored: list[tuple[ReadyUnit, int]] = []
    for unit in sorted(units, key=lambda u: is_bare(u.patient)):
        if is_bare(unit.patient) and patients.pk(unit.facility, unit.patient.local_id) is None:
            continue
        stored.append((unit, await patients.take(unit.facility, unit.patient, unit.rank)))
    await patients.save()
    stored.sort(key=lambda pair: pair[0].position)
    await _remove(connection, await _same(connection, [u for u, _ in stored]), touched)
    await _insert(connection, stored, touched)
    await log_change(connection, touched.patients, at)
    done = {id(u) for u, _ in stored}
    return [u for u, _ in stored], [u for u in units if id(u) not in done]


async def forget_units(connection: AsyncConnection, pks: Sequence[int], supersede: Supersede, at: str) -> None:
    """Takes units out and lets older versions stand again."""
    touched = _Touched()
    await _remove(connection, pks, touched)
    held, versions = await load_held(connection, touched.keys, touched.sources, supersede)
    await _settle(connection, held, versions, resolve(held, list(versions), supersede), touched)
    await log_change(connection, touched.patients, at)


async def log_change(connection: AsyncConnection, patients: Iterable[int], at: str) -> None:
    """A change-log row for each patient, for sync to read in order."""
    rows = [{"patient": pk, "at": at} for pk in sorted(patients)]
    if rows:
        await connection.execute(insert(CHANGE), rows)


async def _same(connection: AsyncConnection, units: list[ReadyUnit]) -> list[int]:
    if not units:
        return []
    mine = {(u.facility, u.unit_key, u.version, u.position) for u in units}
    found: list[int] = []
    for keys in chunks(sorted({u.unit_key for u in units})):
        query = select(UNIT).where(UNIT.c.unit_key.in_(keys), UNIT.c.inbox == units[0].inbox)
        for row in (await connection.execute(query)).mappings():
            if (row["facility"], row["unit_key"], row["version"], row["position"]) in mine:
                found.append(row["pk"])
    return found


async def _remove(connection: AsyncConnection, unit_pks: Sequence[int], touched: _Touched) -> None:
    for pks in chunks(unit_pks):
        for unit in await connection.execute(select(UNIT.c.facility, UNIT.c.unit_key).where(UNIT.c.pk.in_(pks))):
            touched.keys.add((unit.facility, unit.unit_key))
        for row in await connection.execute(select(WITHDRAWAL).where(WITHDRAWAL.c.unit.in_(pks))):
            touched.sources.add((row.facility, "", row.source_key))
        await connection.execute(delete(WITHDRAWAL).where(WITHDRAWAL.c.unit.in_(pks)))
        columns = select(RECORD.c.facility, RECORD.c.kind, RECORD.c.source_key, RECORD.c.patient)
        for row in await connection.execute(columns.where(RECORD.c.unit.in_(pks))):
            touched.sources.add((row.facility, row.kind, row.source_key))
            touched.patients.add(row.patient)
        records = select(RECORD.c.pk).where(RECORD.c.unit.in_(pks))
        for table in _BY_RECORD:
            await connection.execute(delete(table).where(table.c.record.in_(records)))
        for table in DETAIL.values():
            await connection.execute(delete(table).where(table.c.pk.in_(records)))
        await connection.execute(delete(RECORD).where(RECORD.c.unit.in_(pks)))
        await connection.execute(delete(UNIT).where(UNIT.c.pk.in_(pks)))


async def _insert(connection: AsyncConnection, units: Sequence[tuple[ReadyUnit, int]], touched: _Touched) -> None:
    if not units:
        return
    first_unit = await reserve(connection, UNIT, len(units))
    total = sum(len(u.records) for u, _ in units)
    record_pk = await reserve(connection, RECORD, total) if total else 0
    rows: dict[Table, list[Row]] = {RECORD: []}
    fresh: list[Held] = []
    versions: dict[Version, ReadyUnit] = {}
    for unit_pk, (unit, patient) in enumerate(units, first_unit):
        key = (unit.facility, unit.unit_key)
        version = Version(unit_pk, key, patient, unit.rank, unit.tables, unit.labels, unit.withdrawn)
        for source_key in sorted(unit.withdrawn):
            touched.sources.add((unit.facility, "", source_key))
            row = {"unit": unit_pk, "source_key": source_key, "facility": unit.facility}
            rows.setdefault(WITHDRAWAL, []).append(row)
        versions[version] = unit
        touched.keys.add(key)
        touched.patients.add(patient)
        for seq, record in enumerate(unit.records):
            spine = {"pk": record_pk, "unit": unit_pk, "seq": seq, **record.spine}
            rows[RECORD].append(spine)
            fresh.append(
                Held(
                    record_pk,
                    spine["id"],
                    spine["kind"],
                    spine["source_table"],
                    spine["labels"],
                    version,
                    spine["source_key"],
                )
            )
            touched.sources.add((unit.facility, spine["kind"], spine["source_key"]))
            rows.setdefault(STORE.tables[record.body.table], []).append({"pk": record_pk, **record.body.detail})
            for name, child in record.body.children:
                rows.setdefault(CHILD[name], []).append({"record": record_pk, **child})
            for code in record.body.codes:
                rows.setdefault(SEARCH_CODE, []).append({"record": record_pk, "code": code})
            for link in record.links:
                rows.setdefault(LINK, []).append({"record": record_pk, **link})
            record_pk += 1
    supersede = units[0][0].supersede
    held, old = await load_held(connection, touched.keys, touched.sources, supersede)
    standing = resolve([*held, *fresh], [*old, *versions], supersede)
    await _settle(connection, held, old, standing, touched, newcomers=list(versions))
    top = newest([*old, *versions])
    await connection.execute(insert(UNIT), [_unit_row(v, u, top[v.key].pk == v.pk) for v, u in versions.items()])
    for spine in rows[RECORD]:
        spine |= _spine(standing[spine["pk"]])
    for table, table_rows in rows.items():
        if table_rows:
            await connection.execute(insert(table), table_rows)


async def _settle(
    connection: AsyncConnection,
    held: Sequence[Held],
    versions: dict[Version, bool],
    standing: dict[int, Standing],
    touched: _Touched,
    newcomers: Sequence[Version] = (),
) -> None:
    """Brings the rows already there to their new standing; those that fall first, since one id has one current row."""
    before = await _standing(connection, [r.pk for r in held])
    moved = [(pk, standing[pk]) for pk, was in before.items() if was != standing[pk]]
    touched.patients.update(p for pk, now in moved for p in (before[pk].patient, now.patient))
    groups: dict[Standing, list[int]] = {}
    for pk, now in sorted(moved, key=lambda m: m[1].current):
        groups.setdefault(now, []).append(pk)
    for now, pks in groups.items():
        for part in chunks(pks):
            await connection.execute(update(RECORD).where(RECORD.c.pk.in_(part)).values(_spine(now)))
    top = {v.pk for v in newest([*versions, *newcomers]).values()}
    for flag in (False, True):
        for part in chunks([v.pk for v, was in versions.items() if was != flag and (v.pk in top) == flag]):
            await connection.execute(update(UNIT).where(UNIT.c.pk.in_(part)).values(current=flag))


async def _standing(connection: AsyncConnection, pks: Sequence[int]) -> dict[int, Standing]:
    columns = select(RECORD.c.pk, RECORD.c.patient, RECORD.c.current, RECORD.c.not_resent, RECORD.c.labels)
    found: dict[int, Standing] = {}
    for part in chunks(pks):
        for r in await connection.execute(columns.where(RECORD.c.pk.in_(part))):
            found[r.pk] = Standing(r.patient, r.current, r.not_resent, r.labels)
    return found


def _spine(standing: Standing) -> Row:
    return {
        "patient": standing.patient,
        "current": standing.current,
        "not_resent": standing.not_resent,
        "labels": int(standing.labels),
    }


def _unit_row(version: Version, unit: ReadyUnit, current: bool) -> Row:
    return {
        "pk": version.pk,
        "facility": unit.facility,
        "unit_key": unit.unit_key,
        "patient": version.patient,
        "version": unit.version,
        "inbox": unit.inbox,
        "position": unit.position,
        "tables": " ".join(sorted(unit.tables)),
        "labels": unit.labels,
        "current": current,
    }
