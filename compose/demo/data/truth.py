"""What is true of the demo city, for tests only: who is who, what each hospital should hold.

Nothing of this is fed to a hospital.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import date
from typing import Any

from compose.demo.data.bundles import FhirExport
from compose.demo.data.exports import Export
from compose.demo.data.facilities import FACILITIES
from compose.demo.data.people import Person
from compose.demo.data.stories import Cast
from compose.demo.data.visits import ADMITTED, Visit

Truth = dict[str, Any]
OUTPATIENT = frozenset({"01", "02", "05", "07", "08"})
_TABLE_LABELS = {
    "XML6": "hiv",
    "XML9": "birth",
    "XML10": "pregnancy_leave",
    "XML11": "sick_leave",
    "XML15": "tuberculosis",
}
_WHOLE_VISIT = ("hiv", "psychiatric")
_ADMINISTRATIVE = frozenset({"Organization", "Practitioner", "Patient", "Coverage"})


def tell_truth(cast: Cast, visits: list[Visit], exports: dict[str, Export], fhir: dict[str, FhirExport]) -> Truth:
    """One JSON object; its keys are described in the parts below."""
    by_person: dict[str, list[Visit]] = {person.key: [] for person in cast.people}
    for visit in visits:
        by_person[visit.person.key].append(visit)
    return {
        "seed": cast.seed,
        "as_of": cast.as_of.isoformat(),
        "showcase": next(person.key for person in cast.people if person.showcase),
        "facilities": {f.code: _facility(f.code, visits, exports, fhir) for f in FACILITIES},
        "people": [_person(person, by_person[person.key], exports, fhir) for person in cast.people],
        "referrals": [_referral(letter, visits) for letter in cast.referrals],
        "restricted": [row for visit in visits for row in _restricted(visit, exports, fhir)],
        "resends": [
            {"facility": code, "visit": again.visit, "kind": again.kind, "not_resent": list(again.not_resent)}
            for code, export in exports.items()
            for again in export.resends
        ],
        "amended": {code: export.amended for code, export in fhir.items()},
    }


def _counts(visit: Visit, exports: dict[str, Export], fhir: dict[str, FhirExport]) -> Counter[str]:
    """Rows per table or resources per type, plus the kinds of record they become."""
    counts: Counter[str] = Counter(encounters=1)
    counts["diagnoses"] = 0 if visit.plan.still_open and visit.facility.code in exports else len(visit.codes)
    if visit.facility.code in exports:
        tables = exports[visit.facility.code].final.get(visit.number, {})
        for name, rows in tables.items():
            counts[name.partition("_")[0]] += len(rows)
        drugs = tables.get("XML2", [])
        if visit.plan.kind in ADMITTED:
            counts["medication_administrations"] = len(drugs)
        elif visit.plan.kind in OUTPATIENT:
            counts["prescriptions"] = len({(row["NGAY_YL"], row["MA_BAC_SI"]) for row in drugs})
            counts["prescription_items"] = len(drugs)
        else:
            counts["medications_of_unknown_use"] = len(drugs)
        counts["open_check_ins"] = int(visit.plan.still_open)
    else:
        for resource in fhir[visit.facility.code].final[visit.number]:
            if resource["resourceType"] not in _ADMINISTRATIVE:
                counts[resource["resourceType"]] += 1
    return Counter({kind: number for kind, number in counts.items() if number})


def _total(counts: Iterable[Counter[str]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return dict(sorted(total.items()))


def _facility(code: str, visits: list[Visit], exports: dict[str, Export], fhir: dict[str, FhirExport]) -> Truth:
    """`local_patients`: MA_BN or FHIR Patient.id -> person key."""
    own = [visit for visit in visits if visit.facility.code == code]
    files = exports[code].files if code in exports else fhir[code].files
    facility = own[0].facility
    return {
        "name": facility.name,
        "feed": facility.feed,
        "files": [{"name": f.name, "visits": list(f.visits), "oddities": list(f.oddities)} for f in files],
        "counts": _total(_counts(visit, exports, fhir) for visit in own),
        "local_patients": dict(sorted((visit.patient_number, visit.person.key) for visit in own)),
    }


def _person(person: Person, visits: list[Visit], exports: dict[str, Export], fhir: dict[str, FhirExport]) -> Truth:
    facilities: dict[str, Truth] = {}
    for code in sorted({visit.facility.code for visit in visits}):
        own = [visit for visit in visits if visit.facility.code == code]
        facilities[code] = {
            "local": sorted({visit.patient_number for visit in own}),
            "visits": [
                {
                    "visit": visit.number, "local": visit.patient_number, "kind": visit.plan.kind,
                    "start": visit.start.isoformat(), "end": visit.end.isoformat(),
                    "open": visit.plan.still_open,
                    "codes": list(visit.codes), "written_id": _written_id(visit),
                    "written_birth": _written_birth(visit),
                }
                for visit in own
            ],
            "counts": _total(_counts(visit, exports, fhir) for visit in own),
        }  # fmt: skip
    return {
        "person": person.key, "story": person.story, "showcase": person.showcase, "name": person.name,
        "birth": f"{person.birth:%Y}" if person.year_only else person.birth.isoformat(),
        "sex": "male" if person.male else "female", "mother": person.mother or None,
        "identifiers": {
            "cccd": person.cccd, "cmnd": person.cmnd, "passport": person.passport, "bhxh": person.bhxh,
            "cards": list(person.cards),
        },
        "facilities": facilities,
    }  # fmt: skip


def _written_id(visit: Visit) -> str:
    plan = visit.plan
    if plan.mother is not None:
        return plan.mother.identifier
    return plan.person.identifier if plan.written_id is None else plan.written_id


def _written_birth(visit: Visit) -> str:
    written: date = visit.plan.written_birth or visit.person.birth
    return f"{written:%Y}" if visit.person.year_only else written.isoformat()


def _referral(letter: Any, visits: list[Visit]) -> Truth:
    source = next(visit for visit in visits if visit.plan.out == letter)
    target = next(visit for visit in visits if visit.plan.brought == letter)
    return {
        "number": letter.number, "from": letter.source, "to": letter.target, "person": letter.person,
        "from_visit": source.number, "to_visit": target.number,
    }  # fmt: skip


def _restricted(visit: Visit, exports: dict[str, Export], fhir: dict[str, FhirExport]) -> Iterable[Truth]:
    """A visit for HIV or psychosis is restricted whole; otherwise only the rows of the restricted tables."""
    whole = next((label for label in _WHOLE_VISIT if label in visit.tags), "")
    base = {"facility": visit.facility.code, "visit": visit.number, "person": visit.person.key}
    if visit.facility.code in fhir:
        for resource in fhir[visit.facility.code].final[visit.number] if whole else ():
            if resource["resourceType"] not in _ADMINISTRATIVE:
                yield {**base, "table": resource["resourceType"], "row": resource["id"], "label": whole}
        return
    for name, rows in exports[visit.facility.code].final.get(visit.number, {}).items():
        label = whole or _TABLE_LABELS.get(name, "")
        for row in rows if label else ():
            yield {**base, "table": name.partition("_")[0], "row": row.get("STT", "1"), "label": label}
