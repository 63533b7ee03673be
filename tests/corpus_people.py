"""10,000 invented people and how hospitals wrote them down, mistakes included; the truth is kept beside every row.

What nobody could tell from numbers, birth date and sex alone does not occur, and docs/IDENTITY.md says so: a twin written
with the sibling's card and no own number, and a number that only ever stood on somebody else's row. Those lines are `sure`.
Nothing here knows the rules of linking. Deterministic: the same seed gives the same city.
"""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta

TODAY = date(2026, 6, 1)
SURNAMES = ("Nguyễn", "Trần", "Lê", "Phạm", "Hoàng", "Vũ", "Đặng", "Bùi", "Đỗ", "Ngô")
GIVEN = ("Hương", "Tuấn", "Thảo", "Dũng", "Hải", "Yến", "Khánh", "Phượng", "Đức", "Mỹ", "Hiếu", "Quỳnh")
PLACEHOLDERS = ("000000000000", "123456789012", "999999999999", "KHONGCO", "0")
HOUSE_DUMMIES = ("001099000000", "4010000001")  # a CCCD and a card number that clerks use for whoever has none


@dataclass
class Person:
    """cccd: all numbers this person ever had, the one in force last. passport: as printed, without country."""

    id: int
    story: str
    name: str
    birth: date
    male: bool
    cccd: list[str] = field(default_factory=list)
    cmnd: str | None = None
    bhxh: str | None = None
    passport: str | None = None


@dataclass(frozen=True)
class Sighting:
    """One patient row of one hospital: cells of the insurer's XML1, and further numbers as only a FHIR feed carries them."""

    person: int
    facility: str
    local_id: str
    day: str
    cells: dict[str, str]
    more: tuple[tuple[str, str], ...] = ()


class City:
    """Invents people story by story."""

    def __init__(self, seed: str, people: int, facilities: tuple[str, ...]) -> None:
        self.chance, self.facilities = random.Random(seed), facilities
        self.people: list[Person] = []
        self.sightings: list[Sighting] = []
        self._given: set[str] = set()
        stories: list[tuple[Callable[[], None], float]] = [
            (self.adult, 0.58), (self.old_card, 0.10), (self.reissued, 0.03), (self.family, 0.05), (self.toddler, 0.04),
            (self.twins, 0.02), (self.foreigner, 0.05), (self.borrowed, 0.03), (self.nameless, 0.02),
        ]  # fmt: skip
        while len(self.people) < people:
            story = self.chance.choices([s for s, _ in stories], [w for _, w in stories])[0]
            story()

    # Numbers

    def fresh(self, make: Callable[[], str]) -> str:
        """A number nobody has yet."""
        while (number := make()) in self._given or number in HOUSE_DUMMIES:
            pass
        self._given.add(number)
        return number

    def digits(self, count: int) -> str:
        return "".join(self.chance.choices("0123456789", k=count))

    def cccd(self, birth: date, male: bool) -> str:
        century = 2 * (birth.year // 100 - 19) + (0 if male else 1)
        return self.fresh(lambda: f"0{self.digits(2)}{century}{birth:%y}{self.digits(6)}")

    def person(self, story: str, youngest: int = 18, oldest: int = 90, **given: object) -> Person:
        c = self.chance
        birth = TODAY - timedelta(days=c.randint(youngest * 365 + 40, oldest * 365))
        name = f"{c.choice(SURNAMES)} {'Văn' if c.random() < 0.5 else 'Thị'} {c.choice(GIVEN)}"
        someone = Person(len(self.people), story, name, birth, c.random() < 0.5)
        for key, value in given.items():
            setattr(someone, key, value)
        self.people.append(someone)
        return someone

    def numbered(self, p: Person) -> Person:
        """Gives the numbers that nearly everybody has."""
        p.cccd = [self.cccd(p.birth, p.male)]
        p.bhxh = self.fresh(lambda: "01" + self.digits(8)) if self.chance.random() < 0.93 else None
        return p

    # Writing down

    def write(self, p: Person, number: str | None, card: str | None, **special: str) -> None:
        """A row of p somewhere new, with a clerk's usual mistakes."""
        c = self.chance
        used = {s.facility for s in self.sightings[-12:] if s.person == p.id}
        facility = c.choice([f for f in self.facilities if f not in used])
        age_day = max(p.birth + timedelta(days=1), TODAY - timedelta(days=c.randint(1, 900)))
        cells = {
            "MA_BN": f"{len(self.sightings)}", "HO_TEN": p.name, "NGAY_SINH": f"{p.birth:%Y%m%d}0000",
            "GIOI_TINH": "1" if p.male else "2", "SO_CCCD": number or "",
            "MA_THE_BHYT": f"DN401{card}" if card and len(card) == 10 else card or "", **special,
        }  # fmt: skip
        day, more = special.get("day", age_day.isoformat()), special.get("more", "")
        cells = {k: v for k, v in cells.items() if k.isupper()}
        if "sure" not in special:
            self.mistakes(cells, p)
        pairs = (("PASSPORT" if ":" in more else "CMND", more),) if more else ()
        self.sightings.append(Sighting(p.id, facility, cells["MA_BN"], day, cells, pairs))

    def mistakes(self, cells: dict[str, str], p: Person) -> None:
        c = self.chance
        if c.random() < 0.12:
            cells["HO_TEN"] = unicodedata.normalize("NFD", cells["HO_TEN"])
        if c.random() < 0.03 and cells["SO_CCCD"]:  # another keyboard, or a stamp's layout
            wide = str.maketrans("0123456789", "０１２３４５６７８９")
            number = cells["SO_CCCD"]
            cells["SO_CCCD"] = c.choice(
                (number.translate(wide), f" {number[:3]} {number[3:]}", f"{number[:6]}.{number[6:]}")
            )
        elif c.random() < 0.02 and len(cells["SO_CCCD"]) > 8:
            cells["SO_CCCD"] = self.typo(cells["SO_CCCD"])
        if c.random() < 0.015 and len(cells["MA_THE_BHYT"]) > 8:
            cells["MA_THE_BHYT"] = self.typo(cells["MA_THE_BHYT"])
        if c.random() < 0.06:  # only the year is known
            cells["NGAY_SINH"] = f"{p.birth.year}00000000"
        elif c.random() < 0.01:
            cells["NGAY_SINH"] = f"{p.birth + timedelta(days=c.choice((-1, 1, 10, 30))):%Y%m%d}0000"
        if c.random() < 0.02:
            cells["GIOI_TINH"] = c.choice(("", "3", "1" if not p.male else "2"))
        if c.random() < 0.02:
            cells["SO_CCCD"] = c.choice((*PLACEHOLDERS, HOUSE_DUMMIES[0]))
        if c.random() < 0.01:
            cells["MA_THE_BHYT"] = c.choice(("DN4010000000000", f"DN401{HOUSE_DUMMIES[1]}"))

    def typo(self, number: str) -> str:
        """One digit wrong, or two neighbours swapped, towards the end of the number."""
        at = self.chance.randrange(max(len(number) - 10, 0), len(number) - 1)
        if self.chance.random() < 0.4:
            return number[:at] + number[at + 1] + number[at] + number[at + 2 :]
        return number[:at] + self.chance.choice("0123456789") + number[at + 1 :]

    def visits(self, p: Person, count: int = 0) -> None:
        """Rows with the numbers of today: a card, a CCCD, or both."""
        for _ in range(count or self.chance.choices((1, 2, 3, 4, 6), (30, 30, 20, 15, 5))[0]):
            number = p.cccd[-1] if p.cccd and self.chance.random() < 0.75 else None
            card = p.bhxh if self.chance.random() < 0.8 else None
            self.write(p, number or (None if card else p.cccd[-1] if p.cccd else None), card)

    # Stories

    def adult(self) -> None:
        self.visits(self.numbered(self.person("adult")))

    def old_card(self) -> None:
        """Once a CMND of 9 digits, today a CCCD; some hospitals have both."""
        p = self.numbered(self.person("old card", youngest=30))
        p.cmnd = self.fresh(lambda: f"01{self.digits(7)}")
        for _ in range(self.chance.randint(1, 2)):
            self.write(p, p.cmnd, p.bhxh if self.chance.random() < 0.6 else None)
        if self.chance.random() < 0.5:
            self.write(p, p.cccd[-1], p.bhxh, more=p.cmnd)
        self.visits(p)

    def reissued(self) -> None:
        """A corrected birth entry brought a new CCCD number; older rows have the old one."""
        p = self.numbered(self.person("re-issued CCCD"))
        p.cccd.append(self.cccd(p.birth, p.male))
        for _ in range(self.chance.randint(1, 2)):
            self.write(p, p.cccd[0], p.bhxh)
        self.visits(p)

    def family(self) -> None:
        """A mother gives birth; the newborn is written under her name, card and CCCD, and has its own later."""
        c = self.chance
        mother = self.numbered(self.person("mother", youngest=20, oldest=42, male=False))
        self.visits(mother, 2)
        born = TODAY - timedelta(days=c.randint(5, 1200))
        self.write(mother, mother.cccd[-1], mother.bhxh, CAN_NANG_CON="3200", day=born.isoformat())
        for _ in range(c.choices((1, 2), (9, 1))[0]):
            child = self.person("newborn", birth=born, male=c.random() < 0.5, name=f"Con bà {mother.name}")
            for _ in range(c.randint(1, 2)):
                self.write(child, mother.cccd[-1], mother.bhxh, CAN_NANG_CON="3200", day=born.isoformat())
            if c.random() < 0.5:
                child.cccd = [self.cccd(child.birth, child.male)]
                child.bhxh = self.fresh(lambda: "01" + self.digits(8))
                self.write(child, child.cccd[-1], f"TE101{child.bhxh}")

    def toddler(self) -> None:
        """Under six: an own card of the kind TE, often with a parent's CCCD beside it."""
        parent = self.numbered(self.person("parent", youngest=22, oldest=45))
        self.visits(parent, 1)
        child = self.numbered(self.person("toddler", youngest=1, oldest=5))
        for _ in range(self.chance.randint(1, 3)):
            number = self.chance.choice((child.cccd[-1], parent.cccd[-1], None))
            self.write(child, number, f"TE101{child.bhxh}" if child.bhxh else parent.bhxh)

    def twins(self) -> None:
        """Equal birth dates, often equal sex; a desk mixes up their cards while each shows the own CCCD."""
        a = self.numbered(self.person("twin", youngest=7, oldest=60))
        b = self.numbered(self.person("twin", birth=a.birth, male=a.male if self.chance.random() < 0.6 else not a.male))
        mixed = self.chance.random() < 0.5
        for p, other in ((a, b), (b, a)):
            self.visits(p, 2)
            if mixed:
                self.write(p, p.cccd[-1], p.bhxh, sure="")
                self.write(p, p.cccd[-1], other.bhxh, sure="")

    def foreigner(self) -> None:
        """A passport, sometimes renewed; some pay for a card as well."""
        p = self.person("foreigner")
        p.passport = self.fresh(lambda: f"{self.chance.choice('ABCEKMPT')}{self.digits(8)}")
        p.bhxh = self.fresh(lambda: "01" + self.digits(8)) if self.chance.random() < 0.4 else None
        for _ in range(self.chance.randint(1, 3)):
            card = p.bhxh if self.chance.random() < 0.8 else None
            if self.chance.random() < 0.2:  # a FHIR feed knows the country, the insurer's XML does not
                self.write(p, None, card, more=f"KOR:{p.passport}")
            else:
                self.write(p, p.passport if self.chance.random() < 0.85 or not card else None, card)

    def borrowed(self) -> None:
        """A relative's card, or card and CCCD, with the borrower's own birth date; the owner uses them as well."""
        owner = self.numbered(self.person("card owner"))
        self.visits(owner, 2)
        self.write(owner, owner.cccd[-1], owner.bhxh, sure="")
        other = self.numbered(self.person("borrower"))
        self.visits(other, 1)
        whole = self.chance.random() < 0.3
        self.write(other, owner.cccd[-1] if whole else other.cccd[-1], owner.bhxh, sure="")

    def nameless(self) -> None:
        """Comes with nothing that identifies: placeholders, or a dummy number of the house."""
        p = self.person("no number")
        for _ in range(self.chance.randint(1, 2)):
            self.write(p, self.chance.choice((*PLACEHOLDERS, HOUSE_DUMMIES[0])), "")
