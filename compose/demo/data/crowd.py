"""The crowd: ordinary people of one hospital and people shared by several; no named stories here."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from compose.demo.data.conditions import CONDITIONS, Condition, suits
from compose.demo.data.facilities import FACILITIES, FHIR
from compose.demo.data.people import Person
from compose.demo.data.stories import Cast
from compose.demo.data.visits import (
    COLLECTION,
    DAY_PATIENT,
    EXAMINATION,
    INPATIENT,
    LONG_TERM,
    OTHER,
    SHORT_STAY,
    TREATMENT,
    VisitPlan,
)

MINIMUM = 80
_CODES = tuple(facility.code for facility in FACILITIES)


def gather(cast: Cast, people: int) -> None:
    """Fills the city up to `people`; at least a third of all are seen at two or more hospitals."""
    if people < MINIMUM:
        raise ValueError(f"a demo city needs at least {MINIMUM} people to hold every story, got {people}")
    for place in range(people // 3 - 8):
        _shared(cast, place)
    place = 0
    while len(cast.people) < people:
        _ordinary(cast, place)
        place += 1


def _shared(cast: Cast, place: int) -> None:
    person = cast.add("shared", ages=(8, 86))
    rng = cast.rng("shared")
    many = 5 if place % 23 == 4 else 4 if place % 11 == 6 else 3 if place % 4 == 1 else 2
    facilities = rng.sample(_CODES, many)
    conditions = _conditions(rng, person, cast, 3)
    for facility in facilities:
        for visit in range(rng.choice((1, 1, 2, 2, 3))):
            condition = conditions[(visit + rng.randint(0, 1)) % len(conditions)]
            cast.visit(_plan(rng, cast, person, facility, condition, rng.randint(12, 1_000)))
    if place % 9 == 2:
        _open_visit(cast, person, facilities[0], conditions[0], place)
    if place in {3, 15}:
        xml = next((code for code in facilities if not _is_fhir(code)), facilities[0])
        plan = _plan(rng, cast, person, xml, conditions[0], 33)
        # A second registration: one person with two local numbers in one hospital.
        cast.visit(replace(plan, kind=EXAMINATION, nights=0, flags=plan.flags | {"second_number"}))


def _ordinary(cast: Cast, place: int) -> None:
    person = cast.add("ordinary", ages=(1, 88))
    rng = cast.rng("ordinary")
    facility = _CODES[place % len(_CODES)]
    conditions = _conditions(rng, person, cast, 2)
    longest = min(1_000, (cast.as_of - person.birth).days - 20)
    if place < 3 * len(_CODES):
        # Every hospital has visits of the last days, so that its feed does not look silent.
        recent = _plan(rng, cast, person, facility, conditions[0], 1 + place % 3)
        cast.visit(replace(recent, kind=EXAMINATION, nights=0))
    for _ in range(rng.choice((1, 1, 2, 3))):
        condition = rng.choice(conditions)
        cast.visit(_plan(rng, cast, person, facility, condition, rng.randint(12, longest)))
    if 20 <= place < 23:
        _open_visit(cast, person, facility, conditions[0], place)


def _is_fhir(code: str) -> bool:
    return next(facility.feed for facility in FACILITIES if facility.code == code) == FHIR


def _conditions(rng: Random, person: Person, cast: Cast, most: int) -> list[Condition]:
    age = person.age(cast.as_of) - 3 if person.age(cast.as_of) > 8 else person.age(cast.as_of)
    fitting = [condition for condition in CONDITIONS.values() if suits(condition, age, person.male)]
    return rng.sample(fitting, min(most, len(fitting)))


def _plan(rng: Random, cast: Cast, person: Person, facility: str, condition: Condition, days_ago: int) -> VisitPlan:
    chance = rng.random()
    kind, nights = EXAMINATION, 0
    if condition.inpatient and chance < 0.45:
        kind, nights = INPATIENT, rng.randint(2, 8)
    elif condition.chronic and chance < 0.8:
        kind = LONG_TERM if chance < 0.68 else COLLECTION
    elif chance > 0.95:
        kind = rng.choice((SHORT_STAY, OTHER, DAY_PATIENT))
    elif chance > 0.89:
        kind = TREATMENT
    flags: set[str] = set()
    if nights and 18 < person.age(cast.as_of) < 60 and rng.random() < 0.4:
        flags.add("sick_leave")
    if _is_fhir(facility):
        # One statement per person: nobody is both allergic and free of allergies.
        standing = Random(f"allergy/{cast.seed}/{person.key}").random()
        if standing < 0.25 and rng.random() < 0.75:
            flags.add("allergy" if standing < 0.15 else "no_allergy")
        flags |= {flag for flag, share in (("immunization", 0.12), ("document", 0.18)) if rng.random() < share}
    return VisitPlan(
        person,
        facility,
        cast.day(max(days_ago, nights + 3) if nights else days_ago),
        condition.code,
        kind,
        others=tuple(code for code in condition.also if rng.random() < 0.5),
        nights=nights,
        appointment_days=rng.choice((7, 14, 28)) if rng.random() < 0.25 else 0,
        flags=frozenset(flags),
    )


def _open_visit(cast: Cast, person: Person, facility: str, condition: Condition, place: int) -> None:
    """Admitted in the last two days and not yet discharged."""
    cast.visit(VisitPlan(person, facility, cast.day(place % 2), condition.code, INPATIENT, nights=1, still_open=True))
