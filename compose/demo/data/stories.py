"""The named stories: people whose data is awkward on purpose; the crowd is elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from random import Random

from compose.demo.data.people import Person, invent, personal_number
from compose.demo.data.visits import (
    COLLECTION,
    DAY_PATIENT,
    INPATIENT,
    LONG_TERM,
    OTHER,
    TREATMENT,
    Referral,
    VisitPlan,
)

STORIES = (
    "ordinary", "shared", "referral", "newborn", "hiv", "tuberculosis", "birth_conflict", "placeholder",
    "foreigner",
    "old_cmnd", "no_card", "psychiatric",
)  # fmt: skip
PLACEHOLDERS = ("000000000000", "123456789012", "111111111111", "")


@dataclass
class Cast:
    """People and plans gathered while the stories are told; `day(n)` is n days before the anchor date."""

    seed: int
    as_of: date
    people: list[Person] = field(default_factory=list)
    plans: list[VisitPlan] = field(default_factory=list)
    referrals: list[Referral] = field(default_factory=list)
    refer_serial: dict[str, int] = field(default_factory=dict)

    def day(self, days_ago: int) -> date:
        return self.as_of - timedelta(days=days_ago)

    def rng(self, what: str) -> Random:
        return Random(f"{what}/{self.seed}/{len(self.people)}")

    def add(self, story: str, *, male: bool | None = None, ages: tuple[int, int] = (20, 75)) -> Person:
        number = len(self.people) + 1
        person = invent(self.rng("person"), f"P{number:03d}", story, number, self.as_of, male=male, ages=ages)
        self.people.append(person)
        return person

    def change(self, person: Person, **fields: object) -> Person:
        changed = replace(person, **fields)  # type: ignore[arg-type]
        self.people[self.people.index(person)] = changed
        return changed

    def visit(self, plan: VisitPlan) -> None:
        self.plans.append(plan)

    def refer(self, person: Person, source: str, target: str, day: date) -> Referral:
        """Serials run per facility, so two hospitals issue equal numbers: the key is (facility, number)."""
        serial = self.refer_serial[source] = self.refer_serial.get(source, 400) + 1
        referral = Referral(f"{serial:05d}/{day.year}/GCT", source, target, person.key)
        self.referrals.append(referral)
        return referral


def tell(cast: Cast) -> None:
    """Adds every named story except the crowd (`ordinary`, `shared`)."""
    tellers: tuple[Callable[[Cast], None], ...] = (
        _showcase, _referrals, _newborns, _hiv, _tuberculosis, _birth_conflicts, _placeholders, _foreigners,
        _old_cmnd, _no_card, _psychiatric,
    )  # fmt: skip
    for teller in tellers:
        teller(cast)


def _showcase(cast: Cast) -> None:
    person = cast.add("referral", male=False, ages=(60, 64))
    birth = date(1964, 9, 2)
    person = cast.change(
        person, name="Nguyễn Thị Minh Hòa", birth=birth, showcase=True, year_only=False, blood="O+",
        cccd=personal_number("001", False, birth, 24_680), cards=(f"HT301{person.bhxh}",),
    )  # fmt: skip

    def go(facility: str, days_ago: int, code: str, **more: object) -> None:
        cast.visit(VisitPlan(person, facility, cast.day(days_ago), code, **more))  # type: ignore[arg-type]

    both = ("I10", "E78.5")
    go("01025", 1090, "E11.9", others=("I10",), flags=frozenset({"all_services"}))
    go("01025", 1030, "E11.9", kind=LONG_TERM, others=("I10",), appointment_days=28)
    for days_ago in (905, 780, 655, 540):
        go("01003", days_ago, "E11.9", kind=LONG_TERM, others=both, appointment_days=28)
    go(
        "01929",
        470,
        "I25.1",
        others=("I10", "E11.9"),
        services=("chest",),
        flags=frozenset({"all_services", "allergy"}),
    )
    letter = cast.refer(person, "01003", "01006", cast.day(392))
    go("01003", 392, "E11.9", others=both, out=letter, services=("chest", "blood"))
    go(
        "01006", 391, "E11.9", kind=INPATIENT, nights=6, others=both, brought=letter, appointment_days=30,
        drugs=("insulin", "metformin", "amlodipin", "nacl", "ceftriaxon"), services=("chest", "blood", "crp"),
    )  # fmt: skip
    go("01006", 355, "E11.9", kind=COLLECTION, others=both)
    go("01816", 290, "H25.1", kind=DAY_PATIENT, others=("E11.9", "I10"), nights=1, appointment_days=14)
    go("01816", 275, "H25.1", others=("E11.9",))
    for days_ago in (240, 150, 62):
        go("01003", days_ago, "E11.9", kind=LONG_TERM, others=both, appointment_days=28)
    go("01929", 120, "I25.1", others=("I10",), services=("echo",), flags=frozenset({"immunization"}))
    go("01003", 6, "E11.9", kind=LONG_TERM, others=both, appointment_days=28)


def _referrals(cast: Cast) -> None:
    routes = (
        ("01003", "01006", "I63.9"), ("01003", "01006", "J18.9"), ("01003", "01006", "I50.0"),
        ("01025", "01006", "K35.8"), ("01025", "01929", "I25.1"), ("01816", "01929", "I50.0"),
    )  # fmt: skip
    for place, (source, target, code) in enumerate(routes):
        person = cast.add("referral", ages=(56, 70) if code.startswith("I") else (20, 58))
        when = 300 - 41 * place
        letter = cast.refer(person, source, target, cast.day(when))
        cast.visit(VisitPlan(person, source, cast.day(when), code, out=letter))
        cast.visit(
            VisitPlan(
                person, target, cast.day(when - 1), code, INPATIENT, nights=4 + place % 3, brought=letter,
                appointment_days=14,
            )
        )  # fmt: skip
        if place % 2:
            cast.visit(VisitPlan(person, source, cast.day(when - 40), code, appointment_days=30))


def _newborns(cast: Cast) -> None:
    """The baby's row at 01003: the mother's name, CCCD and card, the baby's own birth date and sex."""
    for place, baby_male in enumerate((True, False)):
        mother = cast.add("newborn", male=False, ages=(24, 33))
        mother = cast.change(mother, cards=mother.cards or (f"DN401{mother.bhxh}",), year_only=False)
        born = cast.day(140 - 55 * place)
        baby = cast.add("newborn", male=baby_male, ages=(1, 2))
        baby = cast.change(
            baby, birth=born, cccd="", bhxh="", phone="", mother=mother.key, year_only=False, blood="",
            cards=(f"TE101{27_000_000 + place * 31:010d}",), address=mother.address,
            ward_code=mother.ward_code,
        )  # fmt: skip
        leave = frozenset({"pregnancy_leave"})
        cast.visit(VisitPlan(mother, "01006", cast.day(330 - 55 * place), "Z34.0", appointment_days=28))
        cast.visit(VisitPlan(mother, "01003", cast.day(190 - 55 * place), "Z34.0", flags=leave, appointment_days=28))
        cast.visit(
            VisitPlan(
                mother, "01003", born - timedelta(days=1), "O80.0", INPATIENT, nights=4, baby=baby,
                flags=frozenset({"delivery"}),
            )
        )  # fmt: skip
        cast.visit(VisitPlan(mother, "01006", cast.day(60 - 20 * place), "J20.9"))
        cast.visit(
            VisitPlan(
                baby, "01003", born, "P59.9" if place else "Z38.0", INPATIENT, nights=3, mother=mother,
                flags=frozenset({"newborn", "two_cards"} if place else {"newborn"}),
            )
        )  # fmt: skip


def _hiv(cast: Cast) -> None:
    """Restricted visits only at 01006. The third person is known to the city through nothing else."""
    for place in range(3):
        person = cast.add("hiv", male=place != 1, ages=(24, 48))
        for step, days_ago in enumerate((690, 510, 330, 150, 20)):
            code = "B20" if place != 1 else "Z21"
            regimen = ("efavirenz",) if step < 2 else ("tld",)
            cast.visit(
                VisitPlan(
                    person, "01006", cast.day(days_ago - 3 * place), code, LONG_TERM, drugs=regimen,
                    appointment_days=28,
                    flags=frozenset({"hiv", "all_services"}),
                )
            )  # fmt: skip
        if place < 2:
            cast.visit(VisitPlan(person, "01929", cast.day(420 - place), "K29.7"))
            cast.visit(VisitPlan(person, "01929", cast.day(95 - place), "J20.9"))
            cast.visit(VisitPlan(person, "01003", cast.day(230 - place), "M54.5"))
            cast.visit(VisitPlan(person, "01006", cast.day(210 - place), "J06.9"))


def _tuberculosis(cast: Cast) -> None:
    for place in range(2):
        person = cast.add("tuberculosis", male=place == 0, ages=(28, 66))
        for days_ago in (260, 230, 200):
            cast.visit(
                VisitPlan(
                    person, "01025", cast.day(days_ago + 9 * place), "A15.0", TREATMENT, drugs=("rhze",),
                    flags=frozenset({"tuberculosis", "all_services"}),
                )
            )  # fmt: skip
        cast.visit(VisitPlan(person, "01816", cast.day(75 + place), "K21.0"))


def _birth_conflicts(cast: Cast) -> None:
    """One person whose day and month were swapped, then two different people typed under one CCCD."""
    swapped = cast.add("birth_conflict", male=True, ages=(58, 64))
    birth = date(1965, 3, 8)
    swapped = cast.change(
        swapped, birth=birth, year_only=False, cccd=personal_number("001", True, birth, 31_337)
    )  # fmt: skip
    for facility, days_ago, written in (
        ("01003", 410, birth),
        ("01929", 260, date(1965, 8, 3)),
        ("01003", 88, birth),
    ):
        cast.visit(VisitPlan(swapped, facility, cast.day(days_ago), "M17.9", written_birth=written))
    right = cast.add("birth_conflict", male=False, ages=(40, 50))
    right = cast.change(right, year_only=False)
    wrong = cast.add("birth_conflict", male=False, ages=(24, 30))
    wrong = cast.change(wrong, year_only=False, written_id=right.cccd)
    cast.visit(VisitPlan(right, "01929", cast.day(310), "E03.9", appointment_days=60))
    cast.visit(VisitPlan(right, "01929", cast.day(245), "E03.9"))
    cast.visit(VisitPlan(wrong, "01003", cast.day(133), "L50.9"))


def _placeholders(cast: Cast) -> None:
    facilities = ("01003", "01929", "01006", "01816", "01025", "01006", "01003", "01816")
    for place, facility in enumerate(facilities):
        person = cast.add("placeholder", ages=(18, 70))
        person = cast.change(
            person, cccd="", written_id=PLACEHOLDERS[place // 2], cards=person.cards if place % 3 == 0 else ()
        )
        cast.visit(VisitPlan(person, facility, cast.day(45 + 23 * place), ("J06.9", "A09.9", "L50.9")[place % 3]))


def _foreigners(cast: Cast) -> None:
    for name, passport, nation, male in (
        ("Tanaka Hiroshi", "TR4418209", "392", True), ("Marie Dubois", "19FV27715", "250", False),
    ):  # fmt: skip
        person = cast.add("foreigner", male=male, ages=(26, 55))
        person = cast.change(
            person,
            name=name,
            passport=passport,
            nationality=nation,
            cccd="",
            bhxh="",
            cards=(),
            year_only=False,
        )
        cast.visit(VisitPlan(person, "01003", cast.day(150), "A97.0", INPATIENT, nights=3))
        cast.visit(VisitPlan(person, "01929", cast.day(139), "A97.0"))


def _old_cmnd(cast: Cast) -> None:
    """The first kept the nine-digit number everywhere; the second has a CCCD since 2025."""
    for place in range(2):
        person = cast.add("old_cmnd", ages=(62, 80))
        old = f"01{1_234_500 + 77 * place:07d}"
        person = cast.change(person, cmnd=old, cccd=person.cccd if place else "")
        cast.visit(VisitPlan(person, "01025", cast.day(900), "I10", LONG_TERM, written_id=old))
        cast.visit(VisitPlan(person, "01816", cast.day(640), "M17.9", written_id=old))
        cast.visit(VisitPlan(person, "01006", cast.day(210), "I10", LONG_TERM))


def _no_card(cast: Cast) -> None:
    for place, facility in enumerate(("01006", "01025", "01816")):
        person = cast.add("no_card", ages=(18, 80))
        person = cast.change(person, cccd="", bhxh="", cards=(), phone="")
        kind = OTHER if facility == "01006" else INPATIENT
        nights = 2 if kind == INPATIENT else 0
        cast.visit(VisitPlan(person, facility, cast.day(70 + 31 * place), "S52.5", kind, nights=nights))


def _psychiatric(cast: Cast) -> None:
    for place, facility in enumerate(("01006", "01816")):
        person = cast.add("psychiatric", ages=(22, 52))
        flags = frozenset({"psychiatric"})
        cast.visit(VisitPlan(person, facility, cast.day(350), "F20.0", INPATIENT, nights=9, flags=flags))
        cast.visit(VisitPlan(person, facility, cast.day(290), "F20.0", LONG_TERM, flags=flags, appointment_days=28))
        cast.visit(VisitPlan(person, "01025" if place else "01003", cast.day(100), "L50.9"))
