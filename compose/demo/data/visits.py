"""What a visit is: the plan a story makes and the clinical facts both feeds are written from."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from compose.demo.data.drugs import Drug
from compose.demo.data.facilities import Facility, Practitioner
from compose.demo.data.laboratory import Index, Service
from compose.demo.data.people import Person

# MA_LOAI_KCB
EXAMINATION, TREATMENT, INPATIENT, DAY_PATIENT, LONG_TERM, COLLECTION, SHORT_STAY, OTHER = (
    "01", "02", "03", "04", "05", "07", "09", "10",
)  # fmt: skip
ADMITTED = frozenset({INPATIENT, DAY_PATIENT, SHORT_STAY})


@dataclass(frozen=True)
class Referral:
    """A referral letter; its number is unique only together with the facility that issued it."""

    number: str
    source: str
    target: str
    person: str


@dataclass(frozen=True)
class VisitPlan:
    """What a story wants to happen: who, where, when, why. Everything else follows in `clinic`."""

    person: Person
    facility: str
    day: date
    code: str
    kind: str = EXAMINATION
    others: tuple[str, ...] = ()
    nights: int = 0
    out: Referral | None = None
    brought: Referral | None = None
    appointment_days: int = 0
    still_open: bool = False
    flags: frozenset[str] = frozenset()
    drugs: tuple[str, ...] | None = None
    services: tuple[str, ...] = ()
    written_birth: date | None = None
    written_id: str | None = None
    baby: Person | None = None
    mother: Person | None = None


@dataclass(frozen=True)
class DrugOrder:
    """One drug row: `days` counts the days the quantity lasts; `given` is set when a nurse gave it."""

    drug: Drug
    doctor: Practitioner
    ordered: datetime
    days: int
    quantity: Decimal
    given: datetime | None = None

    @property
    def dose_text(self) -> str:
        """LIEU_DUNG in the documented form of QĐ 4750 XML2."""
        each, unit = self.drug.each, self.drug.unit.lower()
        total = f"{Decimal(each) * self.drug.times:f}"
        return f"{each} {unit}/lần * {self.drug.times} lần/ngày * {self.days} ngày [{total} {unit}/ngày]"


@dataclass(frozen=True)
class ServiceOrder:
    """One service with the result lines it produced."""

    service: Service
    doctor: Practitioner
    performer: Practitioner
    ordered: datetime
    resulted: datetime
    values: tuple[tuple[Index, str], ...] = ()
    days: int = 1


@dataclass(frozen=True)
class Vitals:
    pulse: int
    temperature: str
    systolic: int
    diastolic: int
    breaths: int
    oxygen: int
    weight: str

    @property
    def csst(self) -> str:
        """The vitals text of QĐ 4750 XML5.DIEN_BIEN_LS; its angle brackets need escaping or CDATA."""
        return (
            f"CSST<M{self.pulse}_T{self.temperature}_HA{self.systolic}/{self.diastolic}"
            f"_NT{self.breaths}_SP{self.oxygen}_HL2>"
        )


@dataclass(frozen=True)
class Note:
    when: datetime
    author: Practitioner
    text: str
    vitals: Vitals


@dataclass(frozen=True)
class Visit:
    """A finished or open visit with everything both feeds can say about it."""

    plan: VisitPlan
    facility: Facility
    patient_number: str
    number: str
    serial: int
    start: datetime
    admitted: datetime | None
    end: datetime
    doctor: Practitioner
    vitals: Vitals
    drugs: tuple[DrugOrder, ...] = ()
    services: tuple[ServiceOrder, ...] = ()
    notes: tuple[Note, ...] = ()
    appointment: datetime | None = None
    tags: frozenset[str] = field(default_factory=frozenset)

    @property
    def person(self) -> Person:
        return self.plan.person

    @property
    def codes(self) -> tuple[str, ...]:
        return (self.plan.code, *self.plan.others)

    @property
    def is_stay(self) -> bool:
        return self.plan.kind in ADMITTED

    @property
    def sent(self) -> date:
        """The day the hospital exports it; NGAY_RA of 02/05/07 may lie after this day."""
        return (self.end if self.is_stay else self.start).date()
