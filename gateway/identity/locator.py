"""Where a patient token leads (DESIGN 4): the reads of the locator, and one person put together from them.

Which rows are one person is choice.py and linking.py, both pure. Writing rows is sync.py; unlinking is splits.py.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

from gateway.errors import StoreUnavailable
from gateway.identity.choice import KIND_OF, Choice, Located, Splits, Withheld, choose, choose_beside, place
from gateway.identity.city_key import PersonDigest
from gateway.identity.linking import link, one_version, ways

PROBES = 8  # tokens in one read; fewer are filled up by repeating the last
ROWS_LIMIT = 500  # more rows than any person has: a number with so many belongs to nobody
# The same on SQLite and PostgreSQL but for the spelling of the placeholders. The last column tells when to read SPLITS again.
FIND = f"""
SELECT l.token, n.id, f.code, l.ref, l.kind, l.day, l.year, l.sex, l.cccd_agrees, l.doubtful, l.also,
  (SELECT max(s.id) FROM identity_split s)
FROM locator l JOIN facility f ON f.pk = l.facility JOIN node n ON n.pk = l.node
WHERE l.token IN ({", ".join("?" * PROBES)}) LIMIT {ROWS_LIMIT}
"""
FIND_ONE = FIND.replace(f"IN ({', '.join('?' * PROBES)})", "= ?")  # the usual case, a third cheaper
SPLITS = """
SELECT s.id, s.root, s.rejoins, a.code, s.ref_a, b.code, s.ref_b, s.token
FROM identity_split s JOIN facility a ON a.pk = s.facility_a LEFT JOIN facility b ON b.pk = s.facility_b ORDER BY s.id
"""
Row = Sequence[Any]


class Locator(Protocol):
    """The two reads, one implementation a database. Neither waits for a writer, and both see what was committed last. They raise StoreUnavailable."""

    async def find(self, tokens: Sequence[bytes]) -> Sequence[Row]:
        """FIND of at most PROBES tokens."""
        ...

    async def splits(self) -> Sequence[Row]:
        """SPLITS."""
        ...


class SqliteLocator:
    """A raw read connection on the event loop's thread: a point read is cheaper than handing it to another thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    async def find(self, tokens: Sequence[bytes]) -> Sequence[Row]:
        """See Locator."""
        return self._read(FIND_ONE, tokens) if len(tokens) == 1 else self._read(FIND, probes(tokens))

    async def splits(self) -> Sequence[Row]:
        """See Locator."""
        return self._read(SPLITS, ())

    def _read(self, sql: str, values: Sequence[bytes]) -> Sequence[Row]:
        try:
            if self._connection is None:
                # Used by the loop alone, but closed by whoever ends the process. mode=rw makes no file.
                uri = f"{self._path.resolve().as_uri()}?mode=rw"
                self._connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
                self._connection.execute("PRAGMA query_only=ON")
            return self._connection.execute(sql, values).fetchall()
        except sqlite3.Error:
            self.close()
            raise StoreUnavailable from None

    def close(self) -> None:
        """Closes the connection; the next read opens it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class People:
    """Asks the locator who a person is. Keeps only what was unlinked, and only while nothing was added to it."""

    def __init__(self, locator: Locator) -> None:
        self.locator = locator
        self._splits: tuple[int, Splits] = (0, Splits())

    async def find(self, tokens: Sequence[bytes], warehouses: frozenset[str] = frozenset()) -> Choice:
        """Who has this identifier. tokens: the identifier under each live key version; warehouses: by node id.

        Two reads at most for nearly everybody: the rows of the identifier, and those that share another number with them.
        """
        rows = await self.locator.find(tokens)
        if not rows:
            return Choice((), ())
        splits = await self._splits_now(rows[0][-1])
        found, rest = one_version(map(located, rows)) if len(tokens) > 1 else ([located(row) for row in rows], [])
        choice = choose_beside(found, warehouses, splits) if warehouses else choose(found, splits)
        if by_way := ways(choice, splits):
            known = {(row.node_id, row.ref) for row in found}
            more, full = await self._further(list(by_way))
            if any((row[1], row[3]) not in known for row in more):
                choice = link(choice, by_way, map(located, more), full, splits)
        if rest:
            withheld = [*choice.withheld, *((row, Withheld.IDENTITY_DOUBTFUL) for row in sorted(rest, key=place))]
            choice = Choice(choice.kept, tuple(withheld), choice.apart)
        return choice

    async def _further(self, tokens: list[bytes]) -> tuple[list[Row], frozenset[bytes]]:
        """The rows of these tokens, and the tokens that have more rows than were read."""
        found: list[Row] = []
        full: set[bytes] = set()
        for i in range(0, len(tokens), PROBES):
            some = tokens[i : i + PROBES]
            rows = await self.locator.find(some)
            if len(rows) < ROWS_LIMIT:
                found += rows
                continue
            for token in some:  # one number of thousands must not hide the others' rows
                rows = await self.locator.find((token,))
                found += rows
                if len(rows) == ROWS_LIMIT:
                    full.add(token)
        return found, frozenset(full)

    async def _splits_now(self, newest: int | None) -> Splits:
        if newest is not None and newest != self._splits[0]:
            self._splits = newest, splits_of(await self.locator.splits())
        return self._splits[1] if newest is not None else Splits()


def probes(tokens: Sequence[bytes]) -> tuple[bytes, ...]:
    """Exactly PROBES tokens for FIND."""
    return (*tokens, *([tokens[-1]] * (PROBES - len(tokens))))


def located(row: Row) -> Located:
    """A row of FIND."""
    token, node_id, facility, ref, kind, day, year, sex, fits, doubtful, also, _ = row
    person = PersonDigest(day, year, sex)
    agrees = None if fits is None else bool(fits)
    return Located(node_id, facility, ref, KIND_OF[kind], person, agrees, bool(doubtful), also or b"", token)


def splits_of(rows: Iterable[Row]) -> Splits:
    """The rows of SPLITS: `rejoins` takes back the line of that id, and whatever was carried over from it, before or after."""
    lines = list(rows)
    over = {row[2] for row in lines if row[2] is not None}
    active = [row for row in lines if row[2] is None and (row[1] or row[0]) not in over]
    pairs = {frozenset(((r[3], r[4]), (r[5], r[6]))) for r in active if r[7] is None}
    return Splits(frozenset(pairs), frozenset(((r[3], r[4]), bytes(r[7])) for r in active if r[7] is not None))
