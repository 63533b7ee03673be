"""Whom the running demo can be asked about: invented people of every story, each with a grant given through the API.

Who was written down where comes from the generator's truth; nothing of it reaches a hospital or the gateway.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from compose.demo.data.truth import Truth
from compose.demo.launch import RunningCity
from compose.demo.question import ASKING_FACILITY
from schema.identity import Identifier, IdentifierError, IdentifierKind, canonical

PEOPLE = 28
GRANT_DAYS = 30
GIVEN_AT_ONCE = 4
_FIELDS = (
    ("cccd", IdentifierKind.CCCD),
    ("passport", IdentifierKind.PASSPORT),
    ("cmnd", IdentifierKind.CMND),
)


@dataclass(frozen=True, slots=True)
class Askable:
    """A person by an identifier that some hospital wrote down; facilities are those that did."""

    identifier: Identifier
    facilities: tuple[str, ...]
    story: str


@dataclass(frozen=True, slots=True)
class Granted:
    """An askable person and their grant to the asking facility."""

    person: Askable
    grant: str

    def as_json(self) -> dict[str, Any]:
        """As it stands in demo.json."""
        identifier = self.person.identifier
        return {
            "kind": identifier.kind.value,
            "value": identifier.value,
            "facilities": list(self.person.facilities),
            "grant": self.grant,
        }


def choose(truth: Truth, count: int = PEOPLE) -> list[Askable]:
    """The showcase first, then people of every story in turn, at most `count`; nobody twice."""
    people = sorted(truth["people"], key=lambda p: not p["showcase"])
    by_story: dict[str, list[Askable]] = {}
    for person in people:
        found = _askable(person)
        if found is not None:
            by_story.setdefault(found.story, []).append(found)
    turns = max(map(len, by_story.values()))
    ordered = [line[turn] for turn in range(turns) for line in by_story.values() if turn < len(line)]
    return ordered[:count]


def give_grants(city: RunningCity, people: Sequence[Askable]) -> list[Granted]:
    """One grant each, in the same order."""

    def give(person: Askable) -> Granted:
        grant = city.give_grant(person.identifier, granteeFacility=ASKING_FACILITY, days=GRANT_DAYS)
        return Granted(person, grant)

    with ThreadPoolExecutor(GIVEN_AT_ONCE) as pool:
        return list(pool.map(give, people))


def _askable(person: Truth) -> Askable | None:
    """By the strongest number that was written down for this person; None when there was none."""
    written = {code: {visit["written_id"] for visit in seen["visits"]} for code, seen in person["facilities"].items()}
    own = person["identifiers"]
    for field, kind in _FIELDS:
        where = tuple(code for code, values in written.items() if own[field] and own[field] in values)
        if where:
            return _made(kind, own[field], where, person["story"])
    if own["bhxh"] and own["cards"]:
        return _made(IdentifierKind.BHXH, own["bhxh"], tuple(written), person["story"])
    return None


def _made(kind: IdentifierKind, value: str, facilities: tuple[str, ...], story: str) -> Askable | None:
    try:
        return Askable(canonical(kind, value), facilities, story)
    except IdentifierError:
        return None
