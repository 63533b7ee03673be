"""The people of the demo city: who they are and which identifiers are true of them; no visits here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from compose.demo.data import names

HANOI = "001"
# Province heads of the personal number (Thông tư 59/2021): neighbours that feed Hanoi's hospitals.
OTHER_PROVINCES = ("036", "033", "034", "030", "027", "026", "025", "038", "040", "031", "024", "022")
# (group, benefit digit) of a BHYT card: working groups first, then those that go by age.
WORKING, STUDENT, RETIRED, CHILD = (
    (("DN", "4"), ("GD", "4"), ("HC", "4")),
    ("HS", "4"),
    ("HT", "3"),
    ("TE", "1"),
)


@dataclass(frozen=True)
class Person:
    """One human being. `cccd`, `cmnd`, `passport`, `bhxh`, `cards` hold what is really theirs, or nothing.

    `written_id` is what the hospitals write in SO_CCCD when it is not the person's own (placeholders).
    """

    key: str
    story: str
    name: str
    birth: date
    male: bool
    address: str
    ward_code: str
    phone: str
    cccd: str = ""
    cmnd: str = ""
    passport: str = ""
    nationality: str = "000"
    bhxh: str = ""
    cards: tuple[str, ...] = ()
    written_id: str = ""
    year_only: bool = False
    showcase: bool = False
    mother: str = ""
    blood: str = ""

    @property
    def identifier(self) -> str:
        """What a clerk types into SO_CCCD for this person."""
        return self.written_id or self.cccd or self.passport or self.cmnd

    def age(self, day: date) -> int:
        return day.year - self.birth.year - ((day.month, day.day) < (self.birth.month, self.birth.day))


def personal_number(province: str, male: bool, birth: date, serial: int) -> str:
    """12 digits: province, sex and century of birth, two of the year, six of serial. No check digit."""
    sex_and_century = (birth.year // 100 - 19) * 2 + (0 if male else 1)
    return f"{province}{sex_and_century}{birth.year % 100:02d}{serial:06d}"


def _cards(rng: Random, bhxh: str, age: int) -> tuple[str, ...]:
    """One or two cards; a new card prints only the ten digits of the BHXH number."""
    by_age = CHILD if age < 6 else STUDENT if age < 22 else RETIRED if age > 61 else None
    group, benefit = by_age or rng.choice(WORKING)
    old = f"{group}{benefit}01{bhxh}"
    if rng.random() < 0.22:
        return (bhxh,)
    if rng.random() < 0.06:
        return (old, f"GD401{bhxh}")
    return (old,)


def invent(
    rng: Random,
    key: str,
    story: str,
    number: int,
    as_of: date,
    *,
    male: bool | None = None,
    ages: tuple[int, int] = (1, 88),
) -> Person:
    """A person with a consistent CCCD and BHXH number; `number` keeps serials apart."""
    is_male = rng.random() < 0.48 if male is None else male
    birth = as_of - timedelta(days=rng.randint(ages[0] * 365 + 30, ages[1] * 365))
    home, ward_code = names.address(rng)
    province = HANOI if rng.random() < 0.67 else rng.choice(OTHER_PROVINCES)
    bhxh = f"01{rng.randint(10, 29)}{100_000 + number * 173 % 900_000:06d}"
    age = (as_of - birth).days // 365
    return Person(
        key=key,
        story=story,
        name=names.full_name(rng, is_male),
        birth=birth,
        male=is_male,
        address=home,
        ward_code=ward_code,
        phone=f"09{rng.randint(10_000_000, 99_999_999)}" if rng.random() < 0.8 else "",
        cccd=personal_number(province, is_male, birth, 2_000 + number * 37 % 990_000),
        bhxh=bhxh,
        cards=_cards(rng, bhxh, age) if rng.random() < 0.93 else (),
        year_only=age > 60 and rng.random() < 0.2,
        blood=rng.choice(("A", "B", "O", "AB", "O+", "")) if rng.random() < 0.5 else "",
    )
