"""Which of the versions a node holds stand, and which labels a unit spreads. Pure: the same set gives the same answer.

A unit's rank is (version, inbox item, position in it); the greatest rank of a unit key is its newest version. Nothing here
depends on the order in which versions arrived, so a late file and a replay end in the same store.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from node_agent.labels import ATTENDANCE, REPEATS_UNIT, TESTS, Label
from node_agent.records import Supersede
from schema.elements import RecordKind

Rank = tuple[str, int, int]
UnitKey = tuple[str, str]
_ENCOUNTER = "ENCOUNTER"


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a unit. key: (facility, unit_key). tables: those it carries. labels: bits of the unit as a whole.

    patient: the number of whom this version says the unit is about.
    """

    pk: int
    key: UnitKey
    patient: int
    rank: Rank
    tables: frozenset[str]
    labels: int
    withdrawn: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Held:
    """A record of some version. Within one version the greater pk was written later. labels: its own bits."""

    pk: int
    id: str
    kind: str
    table: str
    labels: int
    unit: Version
    source_key: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """What the spine says of a record. labels: its own, and what the current records of its unit spread to it."""

    patient: int
    current: bool
    not_resent: bool
    labels: int


def newest(units: Iterable[Version]) -> dict[UnitKey, Version]:
    """Unit key -> its version of the greatest rank."""
    best: dict[UnitKey, Version] = {}
    for unit in units:
        if unit.key not in best or best[unit.key].rank < unit.rank:
            best[unit.key] = unit
    return best


def resolve(held: Sequence[Held], units: Sequence[Version], supersede: Supersede) -> dict[int, Standing]:
    """pk -> standing, for all versions of some unit keys (and, where records supersede, of all records of the same ids).

    UNIT: a table's rows come from the newest version that carries the table, and are not_resent when a still newer one
    lacks it; the encounter itself comes from the newest version that has one. All of them belong to the patient whom the
    newest version names, since a visit typed under the wrong patient is sent again. One row of an id and unit key is
    current. RECORD: of one id the greatest rank stands, unless a version of that rank or a greater one withdraws it.
    """
    top = newest(units)
    standing_in = _not_withdrawn(held, units) if supersede is Supersede.RECORD else _of_holders(held, units)
    current: dict[tuple[str, UnitKey | None], Held] = {}
    for record in standing_in:
        # Two visits that claim one record are a fault of the feed, which the database then refuses aloud.
        place = (record.id, record.unit.key if supersede is Supersede.UNIT else None)
        if place not in current or _place(current[place]) < _place(record):
            current[place] = record
    chosen = {record.pk: record for record in current.values()}
    spread = _spread(chosen.values(), top)
    return {
        r.pk: Standing(
            (top[r.unit.key] if supersede is Supersede.UNIT and r.pk in chosen else r.unit).patient,
            r.pk in chosen,
            supersede is Supersede.UNIT and r.pk in chosen and r.unit.pk != top[r.unit.key].pk,
            _labels(r, spread.get(r.unit.key, (0, 0))) if r.pk in chosen else r.labels,
        )
        for r in held
    }


def _place(record: Held) -> tuple[Rank, int]:
    return record.unit.rank, record.pk


def _table(record: Held) -> str:
    # A check-in (XML0) and the visit (XML1) are two tables but one encounter.
    return _ENCOUNTER if record.kind == _ENCOUNTER else record.table


def _not_withdrawn(held: Sequence[Held], units: Sequence[Version]) -> list[Held]:
    taken_back: dict[tuple[str, str], Rank] = {}
    for unit in units:
        for source_key in unit.withdrawn:
            place = (unit.key[0], source_key)
            taken_back[place] = max(taken_back.get(place, unit.rank), unit.rank)
    nothing: Rank = ("", -1, -1)
    return [r for r in held if taken_back.get((r.unit.key[0], r.source_key), nothing) < r.unit.rank]


def _of_holders(held: Sequence[Held], units: Sequence[Version]) -> list[Held]:
    holder: dict[tuple[UnitKey, str], Rank] = {}
    carried = [(u, table) for u in units for table in u.tables] + [(r.unit, _table(r)) for r in held]
    for unit, table in carried:
        place = (unit.key, table)
        if place not in holder or holder[place] < unit.rank:
            holder[place] = unit.rank
    return [r for r in held if holder[r.unit.key, _table(r)] == r.unit.rank]


def _spread(current: Iterable[Held], top: dict[UnitKey, Version]) -> dict[UnitKey, tuple[int, int]]:
    """Unit key -> (bits that the visit as a whole has, bits of its tests, which only papers repeat)."""
    spread = {key: (unit.labels, 0) for key, unit in top.items()}
    for record in current:
        whole, tests = spread.get(record.unit.key, (0, 0))
        own = record.labels & ~Label.CERTIFICATE
        if record.kind in TESTS:
            spread[record.unit.key] = (whole | record.unit.labels, tests | own)
        else:
            spread[record.unit.key] = (whole | record.unit.labels | own, tests)
    return spread


def _labels(record: Held, spread: tuple[int, int]) -> int:
    whole, tests = spread
    if record.kind == RecordKind.DOCUMENT_REFERENCE.value:
        return record.labels | whole | tests
    return record.labels | (whole if record.kind in REPEATS_UNIT else whole & ATTENDANCE)
