"""Reading what the store holds of some units: the versions and records that resolve() must see together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncConnection

from node_agent.records import Supersede
from node_agent.store.numbers import chunks
from node_agent.store.supersede import Held, UnitKey, Version
from node_agent.tables import STORE

SourceKey = tuple[str, str, str]  # facility, kind, source key: what an id is made of
_UNIT, _RECORD, _WITHDRAWAL = (STORE.tables[name] for name in ("unit", "record", "withdrawal"))


async def load_held(
    connection: AsyncConnection, keys: set[UnitKey], sources: set[SourceKey], supersede: Supersede
) -> tuple[list[Held], dict[Version, bool]]:
    """All versions of the keys with their records, and whether each version is marked newest.

    Where records supersede, also every unit that has, or ever had, a record of these source keys, and so on until nothing
    new comes up: a resource may move from one encounter to another.
    """
    versions: dict[int, tuple[Version, bool]] = {}
    held: dict[int, Held] = {}
    asked_keys: set[UnitKey] = set()
    asked_sources: set[SourceKey] = set()
    keys, sources = set(keys), set(sources)
    while keys - asked_keys or (supersede is Supersede.RECORD and sources - asked_sources):
        await _versions(connection, keys - asked_keys, versions)
        asked_keys |= keys
        fresh = [v for v, _ in versions.values() if v.pk not in {h.unit.pk for h in held.values()}]
        for row in await _records(connection, fresh):
            unit = versions[row.unit][0]
            held[row.pk] = Held(row.pk, row.id, row.kind, row.source_table, row.own_labels, unit, row.source_key)
            sources.add((row.facility, row.kind, row.source_key))
        if supersede is Supersede.RECORD:
            keys |= await _units_of(connection, sources - asked_sources)
            asked_sources |= sources
    return list(held.values()), dict(versions.values())


async def is_overtaken(connection: AsyncConnection, inbox: int) -> bool:
    """Whether a later item replaced or withdrew any of what this one stored and would, by arrival alone, yield to it."""
    mine, later = _UNIT.alias("mine"), _UNIT.alias("later")
    after = (later.c.facility == mine.c.facility, later.c.inbox > mine.c.inbox, later.c.version <= mine.c.version)
    same_unit = select(mine.c.pk).join(later, later.c.unit_key == mine.c.unit_key).where(mine.c.inbox == inbox, *after)
    queries = [same_unit]
    for old in (_RECORD.alias("old"), _WITHDRAWAL.alias("old")):
        for new in (_RECORD.alias("new"), _WITHDRAWAL.alias("new")):
            same_source = (
                select(mine.c.pk)
                .join(old, old.c.unit == mine.c.pk)
                .join(new, (new.c.facility == old.c.facility) & (new.c.source_key == old.c.source_key))
                .join(later, later.c.pk == new.c.unit)
            )
            queries.append(same_source.where(mine.c.inbox == inbox, *after))
    for query in queries:
        if (await connection.execute(query.limit(1))).first():
            return True
    return False


async def _versions(
    connection: AsyncConnection, keys: Iterable[UnitKey], into: dict[int, tuple[Version, bool]]
) -> None:
    for facility, names in _by_facility(keys).items():
        for part in chunks(sorted(names)):
            query = select(_UNIT).where(_UNIT.c.facility == facility, _UNIT.c.unit_key.in_(part))
            rows = (await connection.execute(query)).all()
            withdrawn = await _withdrawn(connection, [row.pk for row in rows])
            for row in rows:
                rank = (row.version, row.inbox, row.position)
                key = (row.facility, row.unit_key)
                tables, taken = frozenset(row.tables.split()), frozenset(withdrawn.get(row.pk, ()))
                into[row.pk] = (Version(row.pk, key, row.patient, rank, tables, row.labels, taken), row.current)


async def _withdrawn(connection: AsyncConnection, pks: list[int]) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for part in chunks(pks):
        for row in await connection.execute(select(_WITHDRAWAL).where(_WITHDRAWAL.c.unit.in_(part))):
            found.setdefault(row.unit, set()).add(row.source_key)
    return found


async def _records(connection: AsyncConnection, versions: list[Version]) -> list[Any]:
    columns = select(
        _RECORD.c.pk,
        _RECORD.c.id,
        _RECORD.c.facility,
        _RECORD.c.kind,
        _RECORD.c.source_table,
        _RECORD.c.source_key,
        _RECORD.c.own_labels,
        _RECORD.c.unit,
    )
    return [
        row
        for part in chunks([v.pk for v in versions])
        for row in await connection.execute(columns.where(_RECORD.c.unit.in_(part)))
    ]


async def _units_of(connection: AsyncConnection, sources: Iterable[SourceKey]) -> set[UnitKey]:
    names = _by_facility((facility, source_key) for facility, _, source_key in sources)
    found: set[UnitKey] = set()
    for facility, keys in names.items():
        for part in chunks(sorted(keys)):
            mine: ColumnElement[bool] = (_RECORD.c.facility == facility) & _RECORD.c.source_key.in_(part)
            query = select(_UNIT.c.facility, _UNIT.c.unit_key).join(_RECORD, _RECORD.c.unit == _UNIT.c.pk).where(mine)
            taken = (_WITHDRAWAL.c.facility == facility) & _WITHDRAWAL.c.source_key.in_(part)
            back = select(_UNIT.c.facility, _UNIT.c.unit_key).join(_WITHDRAWAL, _WITHDRAWAL.c.unit == _UNIT.c.pk)
            for some in (query.distinct(), back.where(taken).distinct()):
                found |= {(row.facility, row.unit_key) for row in await connection.execute(some)}
    return found


def _by_facility(pairs: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    grouped: dict[str, set[str]] = {}
    for facility, name in pairs:
        grouped.setdefault(facility, set()).add(name)
    return grouped
