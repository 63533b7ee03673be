"""Turns visit plans into visits: numbers, orders, results, notes; not what goes into which file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from random import Random

from compose.demo.data.conditions import CONDITIONS, text_of
from compose.demo.data.drugs import DRUGS
from compose.demo.data.facilities import BY_CODE, Facility, Practitioner
from compose.demo.data.laboratory import SERVICES
from compose.demo.data.visits import (
    COLLECTION,
    EXAMINATION,
    LONG_TERM,
    OTHER,
    TREATMENT,
    DrugOrder,
    Note,
    ServiceOrder,
    Visit,
    VisitPlan,
    Vitals,
)

_COURSE = (
    "Bệnh nhân tỉnh, tiếp xúc tốt, da niêm mạc hồng",
    "Bệnh nhân đỡ mệt, ăn ngủ được, tim đều, phổi thông khí rõ",
    "Bụng mềm, không sốt, huyết động ổn định",
    "Các triệu chứng giảm nhiều, tiếp tục theo dõi",
)


def run_clinics(seed: int, plans: Iterable[VisitPlan]) -> list[Visit]:
    """Visits in order of facility and start; numbers rise with time inside each hospital."""
    ordered = sorted(plans, key=lambda p: (p.facility, p.day, p.person.key, p.code, p.kind))
    patient_numbers: dict[tuple[str, str, bool], str] = {}
    counts: dict[str, int] = defaultdict(int)
    visits: list[Visit] = []
    for serial, plan in enumerate(ordered):
        facility = BY_CODE[plan.facility]
        key = (plan.facility, plan.person.key, "second_number" in plan.flags)
        if key not in patient_numbers:
            counts[plan.facility] += 1
            patient_numbers[key] = facility.patient_number(104_700 + counts[plan.facility], plan.day.year)
        rng = Random(f"visit/{seed}/{plan.person.key}/{plan.facility}/{plan.day}/{plan.code}/{plan.kind}")
        visits.append(_visit(rng, plan, facility, patient_numbers[key], serial + 1))
    return visits


def _visit(rng: Random, plan: VisitPlan, facility: Facility, patient_number: str, serial: int) -> Visit:
    start = datetime.combine(plan.day, time(rng.randint(6, 16), rng.randint(0, 59)))
    stay = plan.nights > 0 or plan.kind in {"03", "04", "09"}
    admitted = start + timedelta(minutes=rng.randint(30, 95)) if stay else None
    doctor = rng.choice(facility.staff)
    vitals = _vitals(rng, plan, start.date())
    days = 0 if plan.kind in {"01", "09", "10"} else 27 if plan.kind in {LONG_TERM, COLLECTION} else 5
    end = start + timedelta(minutes=rng.randint(50, 210))
    if stay:
        end = datetime.combine(plan.day + timedelta(days=plan.nights), time(15, rng.randint(0, 59)))
        end = max(end, start + timedelta(hours=3))
    elif days:
        end = datetime.combine(plan.day + timedelta(days=days), time(23, 59))
    drugs = () if plan.still_open else _drugs(rng, plan, doctor, admitted or start)
    services = () if plan.still_open else _services(rng, plan, facility, doctor, start)
    appointment = None
    if plan.appointment_days:
        appointment = datetime.combine((start if not stay else end).date(), time(8, 0))
        appointment += timedelta(days=plan.appointment_days)
    return Visit(
        plan=plan,
        facility=facility,
        patient_number=patient_number,
        number=facility.visit_number(serial, plan.day.year, plan.day.month, patient_number),
        serial=serial,
        start=start,
        admitted=admitted,
        end=end,
        doctor=doctor,
        vitals=vitals,
        drugs=drugs,
        services=services,
        notes=() if plan.still_open else _notes(rng, plan, facility, admitted or start, vitals),
        appointment=appointment,
        tags=plan.flags,
    )


def _vitals(rng: Random, plan: VisitPlan, day: date) -> Vitals:
    age = plan.person.age(day)
    weight = rng.uniform(45, 74) if age > 15 else 3.1 + age * 2.7 + rng.random()
    pressure = rng.randint(136, 168) if "I10" in (plan.code, *plan.others) else rng.randint(104, 132)
    fever = plan.code[:1] in "JA"
    return Vitals(
        pulse=rng.randint(68, 102) if age > 5 else rng.randint(110, 142),
        temperature=f"{rng.uniform(37.6, 39.4) if fever else rng.uniform(36.4, 37.1):.1f}",
        systolic=pressure if age > 15 else 95,
        diastolic=pressure - rng.randint(42, 58) if age > 15 else 58,
        breaths=rng.randint(16, 22),
        oxygen=rng.randint(94, 99),
        weight=f"{weight:.1f}",
    )


def _drugs(rng: Random, plan: VisitPlan, doctor: Practitioner, start: datetime) -> tuple[DrugOrder, ...]:
    keys = list(CONDITIONS[plan.code].drugs) if plan.drugs is None else list(plan.drugs)
    if plan.drugs is None:
        for code in plan.others:
            known = CONDITIONS.get(code)
            keys += [key for key in (known.drugs if known else ())[:1] if key not in keys]
    orders: list[DrugOrder] = []
    for key in keys:
        drug = DRUGS[key]
        each = Decimal(drug.each) * drug.times
        if plan.kind in {EXAMINATION, OTHER, LONG_TERM, COLLECTION, TREATMENT}:
            if drug.needs_a_nurse:
                continue
            days = 28 if plan.kind in {LONG_TERM, COLLECTION} else rng.choice((5, 7, 10))
            ordered = start + timedelta(minutes=35)
            orders.append(DrugOrder(drug, doctor, ordered, days, _quantity(each * days)))
            continue
        for night in range(max(plan.nights, 1)):
            ordered = start + timedelta(days=night, minutes=20)
            given = ordered + timedelta(minutes=rng.randint(25, 70))
            orders.append(DrugOrder(drug, doctor, ordered, 1, _quantity(each), given))
    return tuple(orders)


def _quantity(amount: Decimal) -> Decimal:
    """At most three decimals, never written with an exponent."""
    return amount.quantize(Decimal("0.001")).normalize() + 0


def _services(
    rng: Random, plan: VisitPlan, facility: Facility, doctor: Practitioner, start: datetime
) -> tuple[ServiceOrder, ...]:
    if plan.kind == COLLECTION:
        return ()
    exam = {"K30": "exam_eye", "K27": "exam_obs"}.get(CONDITIONS[plan.code].department, "exam")
    wanted = [exam, *CONDITIONS[plan.code].services]
    if plan.kind == EXAMINATION and len(wanted) > 3 and "all_services" not in plan.flags:
        wanted = [exam, *rng.sample(wanted[1:], 2)]
    wanted += [key for key in plan.services if key not in wanted]
    orders: list[ServiceOrder] = []
    for place, key in enumerate(wanted):
        service = SERVICES[key]
        ordered = start + timedelta(minutes=8 + 4 * place)
        resulted = ordered + timedelta(minutes=rng.randint(20, 45) if service.indices or service.imaging else 10)
        values = tuple((index, index.value(rng)) for index in service.indices)
        orders.append(ServiceOrder(service, doctor, rng.choice(facility.staff), ordered, resulted, values))
    if plan.nights:
        bed = SERVICES["bed"]
        orders.append(
            ServiceOrder(bed, doctor, doctor, start + timedelta(hours=2), start + timedelta(hours=2), (), plan.nights)
        )
    return tuple(orders)


def _notes(rng: Random, plan: VisitPlan, facility: Facility, start: datetime, first: Vitals) -> tuple[Note, ...]:
    """QĐ 4750 sends XML5 for stays and for treatment over days, not for a plain examination."""
    if plan.kind in {EXAMINATION, COLLECTION, OTHER}:
        return ()
    notes = []
    for day in range(max(plan.nights, 1)):
        vitals = first if day == 0 else _vitals(rng, plan, start.date())
        text = f"{_COURSE[(day + rng.randint(0, 1)) % len(_COURSE)]}. Chẩn đoán: {text_of(plan.code).lower()}."
        notes.append(Note(start + timedelta(days=day, minutes=15), rng.choice(facility.staff), text, vitals))
    return tuple(notes)
