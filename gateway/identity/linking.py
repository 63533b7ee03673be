"""One step further: rows that share another number with the person asked for (DESIGN 4). Pure; the first step is choice.py.

Links are never stored and never by closure: they are found at each query from what each row says of itself (`also`), so
a corrected or unlinked row is out of every answer at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gateway.identity.choice import (
    MERGEABLE_PERSONS,
    NO_SPLITS,
    Apart,
    Choice,
    Located,
    RowKey,
    Splits,
    Withheld,
    contradicts,
    groups_of,
    place,
)
from gateway.identity.city_key import PersonDigest, agrees
from schema.identity import STRONG, IdentifierKind


def ways(choice: Choice, splits: Splits = NO_SPLITS) -> dict[bytes, list[Located]]:
    """The numbers by which one further step may be made -> the kept rows that carry them.

    Only from rows of a strong number, above doubt: who was found by a weak number has used the one step already.
    """
    found: dict[bytes, list[Located]] = {}
    for row in choice.kept:
        if row.also and row.kind in STRONG and not row.doubtful:
            for _, token in row.others():
                if not splits.parted(row, token):
                    found.setdefault(token, []).append(row)
    return found


def link(
    choice: Choice,
    by_way: Mapping[bytes, list[Located]],
    rows: Iterable[Located],
    full: frozenset[bytes] = frozenset(),
    splits: Splits = NO_SPLITS,
) -> Choice:
    """`choice` with what one step further belongs to it. rows: all rows of the ways' numbers; full: numbers on more rows
    than were read.

    A row is linked when its whole birth date and sex are the asked person's, nothing makes it doubtful, and no strong
    number speaks against it.
    """
    known = {place(row) for row in (*choice.kept, *(r for r, _ in choice.withheld), *(r for r, _ in choice.apart))}
    met: dict[tuple[str, str, str], list[Located]] = {}
    found = sorted(rows, key=place)
    for row in found:
        if place(row) not in known:
            met.setdefault(place(row), []).append(row)
    if not met:
        return choice
    asked = {row.token for row in choice.kept}
    mine = frozenset(pair for row in choice.kept if not row.doubtful for pair in row.strong())
    persons: dict[bytes, set[PersonDigest]] = {token: {row.person for row in of} for token, of in by_way.items()}
    contested = _unsure(by_way)
    for row in found:
        if not row.doubtful:
            persons[row.token].add(row.person)
        if place(row) not in known and _contradicts(row, mine) and _may_be(row, by_way):
            contested.add(row.token)  # two holders of one number whom only their cards tell apart: twins, say
    quarantined = full | {t for t, p in persons.items() if len(groups_of(frozenset(p))) > MERGEABLE_PERSONS}
    linked: list[Located] = []
    withheld = list(choice.withheld)
    apart = list(choice.apart)
    for same in met.values():
        usable = [row for row in same if not splits.parted(row, row.token)]
        verdict = _verdict(usable, by_way, mine, contested, quarantined)
        if not usable or splits.from_any(same[0], choice.kept) or any(splits.parted(same[0], t) for t in asked):
            apart.append((same[0], Apart.UNLINKED))
        elif isinstance(verdict, Withheld):
            withheld.append((usable[0], verdict))
        elif verdict is not None:
            apart.append((usable[0], verdict))
        else:
            linked.append(next(row for row in usable if row.token not in quarantined))
    clash = splits.clashing(linked) | _at_odds(linked)
    withheld += [(row, Withheld.IDENTITY_CONFLICT) for row in linked if row.key in clash]
    kept = sorted((*choice.kept, *(row for row in linked if row.key not in clash)), key=place)
    return Choice(tuple(kept), tuple(sorted(withheld, key=lambda pair: place(pair[0]))), tuple(apart))


def _verdict(
    rows: list[Located],
    by_way: Mapping[bytes, list[Located]],
    mine: frozenset[tuple[IdentifierKind, bytes]],
    contested: set[bytes],
    quarantined: frozenset[bytes],
) -> Withheld | Apart | None:
    """Of one patient met by these rows; None: linked."""
    if not all(_may_be(row, by_way) for row in rows):
        return Apart.OTHER_PERSON
    if any(row.doubtful for row in rows):
        return Withheld.IDENTITY_DOUBTFUL  # before a contradiction: a parent's card on a child's row is the usual case
    if any(_contradicts(row, mine) or row.token in contested for row in rows):
        return Withheld.IDENTITY_CONFLICT
    whole = any(row.person == origin.person and row.person.full for row in rows for origin in by_way[row.token])
    if not whole:
        return Withheld.IDENTITY_DOUBTFUL
    return Withheld.IDENTITY_QUARANTINED if all(row.token in quarantined for row in rows) else None


def _may_be(row: Located, by_way: Mapping[bytes, list[Located]]) -> bool:
    return all(agrees(row.person, origin.person) is not False for origin in by_way[row.token])


def _unsure(by_way: Mapping[bytes, list[Located]]) -> set[bytes]:
    """Weak numbers that may be somebody else's, a sibling's card say: everybody has one of a kind for life, and the kept
    rows name another that as many facilities or more know."""
    facilities = {token: {row.facility for row in rows} for token, rows in by_way.items()}
    kinds = {token: kind for rows in by_way.values() for row in rows for kind, token in row.others()}
    unsure: set[bytes] = set()
    for token, here in facilities.items():
        rivals = [t for t in facilities if t != token and kinds[t] is kinds[token] and kinds[t] not in STRONG]
        if any(len(facilities[rival]) >= len(here) for rival in rivals):
            unsure.add(token)
    return unsure


def _contradicts(row: Located, mine: frozenset[tuple[IdentifierKind, bytes]]) -> bool:
    return contradicts(row.strong(), mine)


def _at_odds(linked: list[Located]) -> frozenset[RowKey]:
    """Rows linked side by side whose strong numbers contradict each other."""
    return frozenset(row.key for row in linked if any(_contradicts(row, other.strong()) for other in linked))


def one_version(rows: Iterable[Located]) -> tuple[list[Located], list[Located]]:
    """While two key versions live: the rows of one, the older unless the newer knows more, and of the other what it lacks.

    Digests under two keys cannot be compared. Sync writes both versions (sync.py), so the older is whole and the second
    list is empty.
    """
    by_version: dict[bytes, list[Located]] = {}
    for row in rows:
        by_version.setdefault(row.token[:1], []).append(row)
    if len(by_version) < 2:
        return [row for some in by_version.values() for row in some], []
    best = max(sorted(by_version), key=lambda v: len({row.key for row in by_version[v]}))
    covered = {row.key for row in by_version[best]}
    rest = [row for v, some in by_version.items() if v != best for row in some if row.key not in covered]
    return by_version[best], rest
