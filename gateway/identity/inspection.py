"""For an operator: why a number leads where it does, and which numbers are quarantined. Reads only, and lists no people.

What is printed of it is cli.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import distinct, func, or_, select, text

from gateway.identity.choice import MERGEABLE_PERSONS, Located, groups_of, place
from gateway.identity.city_key import agrees
from gateway.identity.locator import FIND, PROBES, SPLITS, People, Row, located, probes
from gateway.store.engine import Store
from gateway.store.tables import LOCATOR
from schema.identity import IdentifierKind

DIGEST_DIGITS = 8


class StoreLocator:
    """A locator's reads through the gateway's engine: for commands, on any database."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def find(self, tokens: Sequence[bytes]) -> Sequence[Row]:
        """See locator.Locator."""
        parts = FIND.split("?")
        named = "".join(f"{part}:t{i}" for i, part in enumerate(parts[:-1])) + parts[-1]
        values = {f"t{i}": token for i, token in enumerate(probes(tokens))}
        async with self._store.reading() as connection:
            return (await connection.execute(text(named), values)).all()

    async def splits(self) -> Sequence[Row]:
        """See locator.Locator."""
        async with self._store.reading() as connection:
            return (await connection.execute(text(SPLITS))).all()


def people_of(store: Store) -> People:
    """For one command."""
    return People(StoreLocator(store))


@dataclass(frozen=True, slots=True)
class Verdict:
    """One patient row met on the way. reason: KEPT, a Withheld or an Apart code. linked: reached over `kind`, in one step.

    agrees: with the birth date and sex of the rows kept; None when something is unknown.
    """

    row: Located
    linked: bool
    reason: str
    agrees: bool | None


async def explain(people: People, tokens: Sequence[bytes]) -> list[Verdict]:
    """Every row that a query by these tokens meets, in order of facility, with what becomes of it and why."""
    choice = await people.find(tokens)
    asked = frozenset(tokens)
    told = [(row, "KEPT") for row in choice.kept]
    told += [(row, why.value) for row, why in choice.withheld]
    told += [(row, why.value) for row, why in choice.apart]
    shown = [row.person for row in choice.kept]
    whole = [person for person in shown if person.full] or shown

    def fits(row: Located) -> bool | None:
        verdicts = {agrees(row.person, person) for person in whole}
        return False if False in verdicts else None if None in verdicts or not verdicts else True

    lines = [Verdict(row, row.token not in asked, reason, fits(row)) for row, reason in told]
    return sorted(lines, key=lambda line: place(line.row))


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A number that more people have than can be one. digest: the first hex digits of its token. Names nobody."""

    digest: str
    kind: IdentifierKind
    persons: int
    facilities: tuple[str, ...]


async def quarantined(store: Store) -> list[Quarantined]:
    """Every number that leads to nobody because it is on too many people; in the order of their digests."""
    reader = StoreLocator(store)
    days, years, sexes = (func.count(distinct(column)) for column in (LOCATOR.c.day, LOCATOR.c.year, LOCATOR.c.sex))
    # One person has one of each: what has no more is not read row by row.
    several = select(LOCATOR.c.token).group_by(LOCATOR.c.token).having(or_(days + years + sexes > 3, years > 2))
    async with store.reading() as connection:
        tokens = [bytes(token) for token in (await connection.execute(several)).scalars()]
    found: list[Quarantined] = []
    for token in sorted(tokens):
        rows = [located(row) for row in await reader.find((token,) * PROBES)]
        persons = frozenset(row.person for row in rows if not row.doubtful or row.cccd_agrees is True)
        if len(groups_of(persons)) > MERGEABLE_PERSONS and rows[0].kind is not IdentifierKind.MRN:
            facilities = tuple(sorted({row.facility for row in rows}))
            found.append(Quarantined(token[1:].hex()[:DIGEST_DIGITS], rows[0].kind, len(persons), facilities))
    return found
