"""Which rows of one number may be shown as one person (DESIGN 4). Pure: no I/O, no clock.

Reading rows is locator.py; rows that share another number are linking.py. A wrong merge is worse than a missed one, and a
missed one is not silent: a row that could be this person is either kept or withheld with a reason for the ledger.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import Enum

from gateway.identity.city_key import TOKEN_BYTES, PersonDigest, agrees
from gateway.store.tables import KIND_NUMBERS
from schema.identity import STRONG, IdentifierKind

MERGEABLE_PERSONS = 2  # a value seen with more birth-date/sex pairs than this identifies nobody
KIND_OF = {number: kind for kind, number in KIND_NUMBERS.items()}
Strong = frozenset[tuple[IdentifierKind, bytes]]
RowKey = tuple[str, str]  # facility and ref: stays when a facility's agent is enrolled anew


@dataclass(frozen=True, slots=True)
class Located:
    """One row of the locator: this facility's node knows, under `ref`, somebody with the identifier of `token`.

    cccd_agrees: whether the CCCD's own digits fit the row's birth date and sex; None when unknown or no CCCD.
    doubtful: the row may carry a parent's name or card. also: the patient's other numbers that may link, each a kind
    byte and a digest of TOKEN_BYTES under the token's key version.
    """

    node_id: str
    facility: str
    ref: str
    kind: IdentifierKind
    person: PersonDigest
    cccd_agrees: bool | None
    doubtful: bool
    also: bytes = field(default=b"", repr=False)
    token: bytes = field(default=b"", repr=False)

    @property
    def key(self) -> RowKey:
        """The patient row, whatever number found it."""
        return self.facility, self.ref

    def others(self) -> Iterator[tuple[IdentifierKind, bytes]]:
        """The patient's other numbers: kind and token."""
        for at in range(0, len(self.also), 1 + TOKEN_BYTES):
            part = self.also[at : at + 1 + TOKEN_BYTES]
            yield KIND_OF[part[0]], self.token[:1] + part[1:]

    def strong(self) -> Strong:
        """The strong numbers of this patient."""
        return frozenset(pair for pair in ((self.kind, self.token), *self.others()) if pair[0] in STRONG)


class Withheld(Enum):
    """Why a row was located and not shown. Stable codes, printed as the ledger's reason."""

    IDENTITY_CONFLICT = "IDENTITY_CONFLICT"
    IDENTITY_DOUBTFUL = "IDENTITY_DOUBTFUL"
    IDENTITY_QUARANTINED = "IDENTITY_QUARANTINED"


class Apart(Enum):
    """Why a row met on the way is somebody else's: not shown and not in the ledger. For `identity explain`."""

    OTHER_PERSON = "OTHER_PERSON"
    UNLINKED = "UNLINKED"


@dataclass(frozen=True, slots=True)
class Splits:
    """What operators have unlinked: pairs of rows that are not one person, and rows that a number must not reach."""

    pairs: frozenset[frozenset[RowKey]] = frozenset()
    tokens: frozenset[tuple[RowKey, bytes]] = frozenset()

    def clashing(self, rows: Iterable[Located]) -> frozenset[RowKey]:
        """The rows of these that are in a pair with another of them."""
        here = {row.key for row in rows} if self.pairs else set()
        return frozenset(key for pair in self.pairs if pair <= here for key in pair)

    def parted(self, row: Located, token: bytes) -> bool:
        """Whether this number must not reach this row."""
        return bool(self.tokens) and (row.key, token) in self.tokens

    def from_any(self, row: Located, others: Iterable[Located]) -> bool:
        """Whether the row is in a pair with one of the others."""
        return bool(self.pairs) and any(frozenset((row.key, other.key)) in self.pairs for other in others)


NO_SPLITS = Splits()


@dataclass(frozen=True, slots=True)
class Choice:
    """All rows found, each once: shown as the person asked for, withheld, or somebody else's."""

    kept: tuple[Located, ...]
    withheld: tuple[tuple[Located, Withheld], ...]
    apart: tuple[tuple[Located, Apart], ...] = ()


def choose(located: Iterable[Located], splits: Splits = NO_SPLITS) -> Choice:
    """Which rows of one token are one person.

    Doubtful rows whose CCCD does not itself fit them have no say about others; they are shown only when a row above
    doubt is the same whole birth date and sex. Of two rows that were unlinked from each other neither is shown: nobody
    has said whose number it is.
    """
    found = sorted(located, key=place)
    apart = tuple((row, Apart.UNLINKED) for row in found if splits.tokens and splits.parted(row, row.token))
    rows = [row for row in found if (row, Apart.UNLINKED) not in apart] if apart else found
    firm = [row for row in rows if _speaks(row)]
    plain = len(firm) == len(rows) and len({row.person for row in rows}) < 2 and all(r.kind in STRONG for r in rows)
    if plain and not splits.pairs:
        return Choice(tuple(rows), (), apart)  # what nearly every query meets; the rules below would say the same
    kept, reason = _one_person(firm, rows)
    unlinked = splits.clashing(kept)
    kept = frozenset(row for row in kept if row.key not in unlinked)
    hosts = [row for row in kept if not row.doubtful and row.person.full]
    same = {row.person for row in hosts}
    guests = [row for row in rows if not _speaks(row) and row.person in same and not at_odds([row], hosts)]
    unwelcome = splits.clashing([*kept, *guests])
    shown: list[Located] = []
    withheld: list[tuple[Located, Withheld]] = []
    for row in rows:
        if row in kept or (row in guests and row.key not in unwelcome):
            shown.append(row)
        elif row.key in unlinked:
            withheld.append((row, Withheld.IDENTITY_CONFLICT))
        else:
            withheld.append((row, reason if _speaks(row) else Withheld.IDENTITY_DOUBTFUL))
    return Choice(tuple(shown), tuple(withheld), apart)


def choose_beside(located: Iterable[Located], warehouses: frozenset[str], splits: Splits = NO_SPLITS) -> Choice:
    """choose, but a warehouse's row that contradicts all of its own source's rows has no say: it is the older word, and
    would have the source's rows withheld with it. warehouses: by node id."""
    rows = tuple(located)
    own: dict[str, list[PersonDigest]] = {}
    for row in rows:
        if row.node_id not in warehouses:
            own.setdefault(row.facility, []).append(row.person)
    odd = {
        row
        for row in rows
        if row.node_id in warehouses
        and row.facility in own
        and all(agrees(row.person, person) is False for person in own[row.facility])
    }
    choice = choose((row for row in rows if row not in odd), splits)
    withheld = [*choice.withheld, *((row, Withheld.IDENTITY_CONFLICT) for row in odd)]
    return replace(choice, withheld=tuple(sorted(withheld, key=lambda one: place(one[0]))))


def place(row: Located) -> tuple[str, str, str]:
    """One patient row of one node; also the order of rows."""
    return row.facility, row.node_id, row.ref


def _speaks(row: Located) -> bool:
    # A local number is the facility's own for this very person, whoever's card was shown.
    return not row.doubtful or row.cccd_agrees is True or row.kind is IdentifierKind.MRN


def _one_person(rows: list[Located], everybody: list[Located]) -> tuple[frozenset[Located], Withheld]:
    """The rows to keep, and why the others are withheld."""
    found = groups_of(frozenset(row.person for row in rows))
    if len(found) > MERGEABLE_PERSONS:
        return frozenset(), Withheld.IDENTITY_QUARANTINED
    if any(row.kind not in STRONG for row in rows) and not _weak_link_holds(rows, everybody):
        return frozenset(), Withheld.IDENTITY_CONFLICT
    if len(found) < 2:
        return frozenset(rows), Withheld.IDENTITY_CONFLICT
    # A profile in both groups tells nothing about which of them it belongs to, and must not bridge them.
    shared = found[0] & found[1]
    sides = [[row for row in rows if row.person in group - shared] for group in found]
    return frozenset(_winner(sides)), Withheld.IDENTITY_CONFLICT


def _weak_link_holds(rows: list[Located], everybody: list[Located]) -> bool:
    several = len({row.facility for row in rows}) > 1
    verdicts = {agrees(a.person, b.person) for i, a in enumerate(rows) for b in rows[i + 1 :]}
    # Twins with one card are of one birth date and sex; their own cards tell them apart, on a doubtful row as well.
    alike = [row for row in everybody if any(agrees(row.person, firm.person) is not False for firm in rows)]
    return False not in verdicts and not (several and None in verdicts) and not at_odds(alike, alike)


def at_odds(some: list[Located], others: list[Located]) -> bool:
    """Whether a strong number of one contradicts another's."""
    return any(contradicts(a.strong(), b.strong()) for a in some if a.also for b in others if b.also)


def contradicts(theirs: Strong, mine: Strong) -> bool:
    """Whether one has another strong number of a kind of which the other has one."""
    both = theirs & mine
    return any({t for k, t in theirs if k is kind} and not {t for k, t in both if k is kind} for kind, _ in mine)


def _winner(sides: list[list[Located]]) -> list[Located]:
    """The side the CCCD's digits speak for and only it; else the one more facilities hold; else none."""
    fits = [side for side in sides if any(row.cccd_agrees is True for row in side)]
    denied = [side for side in sides if side not in fits and any(row.cccd_agrees is False for row in side)]
    if len(fits) == 1 and len(denied) == len(sides) - 1:
        return fits[0]
    held = [len({row.facility for row in side}) for side in sides]
    return [] if held[0] == held[1] else sides[held.index(max(held))]


def groups_of(persons: frozenset[PersonDigest]) -> list[frozenset[PersonDigest]]:
    """The largest sets without disagreement (maximal cliques; profiles of one token are few, and more than a handful stop early)."""
    found: list[frozenset[PersonDigest]] = []
    for part in ({p.day for p in persons if p.day}, {p.year for p in persons if p.year}):
        if len(part) > MERGEABLE_PERSONS:  # a number of thousands: told without comparing them all
            return [frozenset({p}) for p in persons]
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
