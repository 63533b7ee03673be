"""Where a patient token leads, and which of those rows may be shown as one person (DESIGN 4). Writing rows is sync.py.

`find` reads one index range; `choose` is pure. A wrong merge is worse than a missed one, and a missed one is never silent:
every row found is either kept or withheld with a reason for the ledger.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

from gateway.errors import StoreUnavailable
from gateway.identity import PersonDigest, agrees
from gateway.store.tables import KIND_NUMBERS
from schema.identity import STRONG, IdentifierKind

_KINDS = {number: kind for kind, number in KIND_NUMBERS.items()}
_FIND = """
SELECT n.id, f.code, l.ref, l.kind, l.day, l.year, l.sex, l.cccd_agrees, l.doubtful
FROM locator l JOIN facility f ON f.pk = l.facility JOIN node n ON n.pk = l.node
WHERE l.token = ? ORDER BY f.code, l.ref
"""
MERGEABLE_PERSONS = 2  # a value seen with more birth-date/sex pairs than this identifies nobody


@dataclass(frozen=True, slots=True)
class Located:
    """One row of the locator: this facility's node knows, under `ref`, somebody with the identifier asked for.

    cccd_agrees: whether the CCCD's own digits fit the row's birth date and sex; None when unknown or no CCCD.
    doubtful: the row may carry a parent's name or card.
    """

    node_id: str
    facility: str
    ref: str
    kind: IdentifierKind
    person: PersonDigest
    cccd_agrees: bool | None
    doubtful: bool


class Withheld(Enum):
    """Why a row was located and not shown. Stable codes, printed as the ledger's reason."""

    IDENTITY_CONFLICT = "IDENTITY_CONFLICT"
    IDENTITY_DOUBTFUL = "IDENTITY_DOUBTFUL"
    IDENTITY_QUARANTINED = "IDENTITY_QUARANTINED"


@dataclass(frozen=True, slots=True)
class Choice:
    """kept and withheld together are all rows found, each sorted by facility, node and ref."""

    kept: tuple[Located, ...]
    withheld: tuple[tuple[Located, Withheld], ...]


class Locator(Protocol):
    """One implementation a database: SqliteLocator here, PostgresLocator in locator_postgres.py."""

    async def find(self, token: bytes) -> tuple[Located, ...]:
        """All rows of a patient token, sorted by facility and ref; () when nobody has it. Raises StoreUnavailable."""
        ...


class SqliteLocator:
    """A raw read connection on the event loop's thread: a point read is cheaper than handing it to another thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    async def find(self, token: bytes) -> tuple[Located, ...]:
        """See Locator. WAL: never waits for a writer."""
        try:
            if self._connection is None:
                # Used by the loop alone, but closed by whoever ends the process. mode=rw makes no file.
                uri = f"{self._path.resolve().as_uri()}?mode=rw"
                self._connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
                self._connection.execute("PRAGMA query_only=ON")
            rows = self._connection.execute(_FIND, (token,)).fetchall()
        except sqlite3.Error:
            self.close()
            raise StoreUnavailable from None
        return tuple(located_of(row) for row in rows)

    def close(self) -> None:
        """Closes the connection; the next find opens it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def located_of(row: Sequence[Any]) -> Located:
    """A row of the locator, in the order of the statement's columns; booleans may be numbers."""
    node_id, facility, ref, kind, day, year, sex, fits, doubtful = row
    person = PersonDigest(day, year, sex)
    return Located(node_id, facility, ref, _KINDS[kind], person, None if fits is None else bool(fits), bool(doubtful))


def choose(located: Iterable[Located]) -> Choice:
    """Which rows of one token are one person.

    Doubtful rows whose CCCD does not itself fit them have no say about others; they are shown only when a row above
    doubt is the same whole birth date and sex.
    """
    rows = sorted(located, key=_place)
    firm = [row for row in rows if _speaks(row)]
    if len(firm) == len(rows) and len({row.person for row in rows}) < 2 and all(row.kind in STRONG for row in rows):
        return Choice(tuple(rows), ())  # what nearly every query meets; the rules below would say the same
    kept, reason = _one_person(firm)
    same = {row.person for row in kept if not row.doubtful and row.person.full}
    shown: list[Located] = []
    withheld: list[tuple[Located, Withheld]] = []
    for row in rows:
        if row in kept or (not _speaks(row) and row.person in same):
            shown.append(row)
        else:
            withheld.append((row, reason if _speaks(row) else Withheld.IDENTITY_DOUBTFUL))
    return Choice(tuple(shown), tuple(withheld))


def _place(row: Located) -> tuple[str, str, str]:
    return row.facility, row.node_id, row.ref


def _speaks(row: Located) -> bool:
    # A local number is the facility's own for this very person, whoever's card was shown.
    return not row.doubtful or row.cccd_agrees is True or row.kind is IdentifierKind.MRN


def _one_person(rows: list[Located]) -> tuple[frozenset[Located], Withheld]:
    """The rows to keep, and why the others are withheld."""
    groups = _groups(frozenset(row.person for row in rows))
    if len(groups) > MERGEABLE_PERSONS:
        return frozenset(), Withheld.IDENTITY_QUARANTINED
    if any(row.kind not in STRONG for row in rows) and not _weak_link_holds(rows):
        return frozenset(), Withheld.IDENTITY_CONFLICT
    if len(groups) < 2:
        return frozenset(rows), Withheld.IDENTITY_CONFLICT
    # A profile in both groups tells nothing about which of them it belongs to, and must not bridge them.
    shared = groups[0] & groups[1]
    sides = [[row for row in rows if row.person in group - shared] for group in groups]
    return frozenset(_winner(sides)), Withheld.IDENTITY_CONFLICT


def _weak_link_holds(rows: list[Located]) -> bool:
    several = len({row.facility for row in rows}) > 1
    verdicts = {agrees(a.person, b.person) for i, a in enumerate(rows) for b in rows[i + 1 :]}
    return False not in verdicts and not (several and None in verdicts)


def _winner(sides: list[list[Located]]) -> list[Located]:
    """The side the CCCD's digits speak for and only it; else the one more facilities hold; else none."""
    fits = [side for side in sides if any(row.cccd_agrees is True for row in side)]
    denied = [side for side in sides if side not in fits and any(row.cccd_agrees is False for row in side)]
    if len(fits) == 1 and len(denied) == len(sides) - 1:
        return fits[0]
    held = [len({row.facility for row in side}) for side in sides]
    return [] if held[0] == held[1] else sides[held.index(max(held))]


def _groups(persons: frozenset[PersonDigest]) -> list[frozenset[PersonDigest]]:
    """The largest sets without disagreement (maximal cliques; profiles of one token are few, and more than a handful stop early)."""
    found: list[frozenset[PersonDigest]] = []
    friends = {p: frozenset(q for q in persons if q != p and agrees(p, q) is not False) for p in persons}

    def grow(members: frozenset[PersonDigest], open_: frozenset[PersonDigest], done: frozenset[PersonDigest]) -> None:
        if len(found) > MERGEABLE_PERSONS:
            return
        if not open_ and not done:
            found.append(members)
        pivot = max(open_ | done, key=lambda p: len(friends[p] & open_), default=None)
        for p in open_ - (friends[pivot] if pivot else frozenset()):
            grow(members | {p}, open_ & friends[p], done & friends[p])
            open_, done = open_ - {p}, done | {p}

    if persons:
        grow(frozenset(), persons, frozenset())
    return found
