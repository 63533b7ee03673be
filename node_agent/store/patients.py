"""Patients and their identifiers as the store keeps them: the word of the greatest (version, inbox, position) stands.

So a late old file changes no name, a replay changes nothing, and a corrected number replaces the wrong one of its kind.
A unit that only names a patient (no name, date, sex or number) says nothing about them and never makes one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from node_agent.records import ParsedPatient
from node_agent.store.ids import Ids
from node_agent.store.numbers import chunks, reserve
from node_agent.store.rows import Row
from node_agent.store.supersede import Rank
from node_agent.tables import STORE

PATIENT, IDENTIFIER = STORE.tables["patient"], STORE.tables["identifier"]
PatientKey = tuple[str, str]
LOCAL_ID_LETTERS = 500


def is_bare(patient: ParsedPatient) -> bool:
    """Whether this is only a name tag: a local id and nothing else."""
    return not (patient.name or patient.birth_date or patient.gender or patient.identifiers)


def shortened(local_id: str) -> str:
    """The local id as it is kept: one that no index of PostgreSQL could hold ends in its digest."""
    if len(local_id) <= LOCAL_ID_LETTERS:
        return local_id
    return local_id[:LOCAL_ID_LETTERS] + hashlib.sha256(local_id.encode()).hexdigest()


@dataclass(slots=True)
class _Known:
    pk: int
    rank: Rank
    row: Row
    new: bool
    touched: bool = False
    numbers_touched: bool = False
    numbers: dict[str, tuple[Rank, frozenset[str]]] = field(default_factory=dict)


class Patients:
    """The patients that one transaction meets. load(), then take() each statement in any order, then save()."""

    def __init__(self, connection: AsyncConnection, ids: Ids) -> None:
        self._connection, self._ids = connection, ids
        self._known: dict[PatientKey, _Known] = {}
        self._next = 0

    async def load(self, keys: Iterable[PatientKey]) -> None:
        """Reads what the store knows of these (facility, local_id)."""
        wanted = {(f, shortened(i)) for f, i in keys} - self._known.keys()
        for facility in sorted({f for f, _ in wanted}):
            for part in chunks(sorted(i for f, i in wanted if f == facility)):
                found = select(PATIENT).where(PATIENT.c.facility == facility, PATIENT.c.local_id.in_(part))
                for row in (await self._connection.execute(found)).mappings():
                    rank = (row["version"], row["inbox"], row["position"])
                    known = {name: row[name] for name in ("name", "birth_date", "gender", "doubts")}
                    self._known[facility, row["local_id"]] = _Known(row["pk"], rank, known, new=False)
        by_pk = {k.pk: k for k in self._known.values()}
        for pks in chunks(sorted(by_pk)):
            for row in (
                await self._connection.execute(select(IDENTIFIER).where(IDENTIFIER.c.patient.in_(pks)))
            ).mappings():
                numbers = by_pk[row["patient"]].numbers
                _, values = numbers.get(row["kind"], (None, frozenset()))
                numbers[row["kind"]] = (
                    (row["version"], row["inbox"], row["position"]),
                    values | {row["value"]},
                )

    def pk(self, facility: str, local_id: str) -> int | None:
        """The number of a known patient."""
        known = self._known.get((facility, shortened(local_id)))
        return known.pk if known else None

    async def take(self, facility: str, patient: ParsedPatient, rank: Rank) -> int:
        """Learns what a unit of this rank says of its patient, and returns the patient's number."""
        said: Row = {
            "name": patient.name,
            "birth_date": patient.birth_date,
            "gender": patient.gender,
            "doubts": " ".join(sorted(patient.doubts)),
        }
        local_id = shortened(patient.local_id)
        known = self._known.get((facility, local_id))
        if known is None:
            pk = await reserve(self._connection, PATIENT, 1)
            known = self._known[facility, local_id] = _Known(pk, rank, said, new=True, touched=True)
        elif known.rank <= rank and not is_bare(patient):
            known.touched = known.touched or (known.rank, known.row) != (rank, said)
            known.rank, known.row = rank, said
        self._take_numbers(known, patient, rank)
        return known.pk

    @staticmethod
    def _take_numbers(known: _Known, patient: ParsedPatient, rank: Rank) -> None:
        said: dict[str, set[str]] = {}
        for identifier in patient.identifiers:
            said.setdefault(identifier.kind.value, set()).add(identifier.value)
        before = dict(known.numbers)
        for kind in [k for k, (r, _) in known.numbers.items() if r == rank and k not in said]:
            del known.numbers[kind]
        for kind, values in said.items():
            if kind not in known.numbers or known.numbers[kind][0] <= rank:
                known.numbers[kind] = (rank, frozenset(values))
        known.numbers_touched = known.numbers_touched or known.numbers != before

    async def save(self) -> None:
        """Writes what changed."""
        new, changed = [], []
        for (facility, local_id), k in self._known.items():
            if k.touched:
                stamp = dict(zip(("version", "inbox", "position"), k.rank, strict=True))
                if k.new:
                    ref = self._ids.ref(facility, local_id)
                    new.append({"pk": k.pk, "ref": ref, "facility": facility, "local_id": local_id, **k.row, **stamp})
                else:
                    changed.append((k.pk, {**k.row, **stamp}))
        if new:
            await self._connection.execute(insert(PATIENT), new)
        for pk, values in changed:
            await self._connection.execute(update(PATIENT).where(PATIENT.c.pk == pk).values(values))
        await self._save_numbers([k for k in self._known.values() if k.numbers_touched])

    async def _save_numbers(self, patients: list[_Known]) -> None:
        for pks in chunks([k.pk for k in patients if not k.new]):
            await self._connection.execute(delete(IDENTIFIER).where(IDENTIFIER.c.patient.in_(pks)))
        rows = [
            {
                "patient": k.pk,
                "kind": kind,
                "value": value,
                "version": rank[0],
                "inbox": rank[1],
                "position": rank[2],
            }
            for k in patients
            for kind, (rank, values) in sorted(k.numbers.items())
            for value in sorted(values)
        ]
        if rows:
            await self._connection.execute(insert(IDENTIFIER), rows)
