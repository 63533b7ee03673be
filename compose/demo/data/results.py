"""FHIR results of a visit: vital signs, laboratory observations, reports and imaging studies."""

from __future__ import annotations

import re
import uuid
from typing import Any

from compose.demo.data.laboratory import Index
from compose.demo.data.visits import ServiceOrder, Visit

Resource = dict[str, Any]
LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
_SECTIONS = "http://terminology.hl7.org/CodeSystem/v2-0074"
_NUMERIC = re.compile(r"^([<>]?)(\d+(?:\.\d+)?)$")


class Number(str):
    """A decimal kept as text until it is written as a JSON number, so that 7.40 keeps its last digit."""


def _loinc(code: str, text: str) -> Resource:
    return {"coding": [{"system": LOINC, "code": code, "display": text}], "text": text}


def _time(visit: Visit, order: ServiceOrder | None = None) -> str:
    when = order.resulted if order else visit.start
    return f"{when:%Y-%m-%dT%H:%M:00}+07:00"


def _observation(visit: Visit, identity: str, category: str, code: str, text: str) -> Resource:
    system = "http://terminology.hl7.org/CodeSystem/observation-category"
    return {
        "resourceType": "Observation", "id": identity, "status": "final",
        "category": [{"coding": [{"system": system, "code": category}]}], "code": _loinc(code, text),
        "subject": {"reference": f"Patient/{visit.patient_number}"},
        "encounter": {"reference": f"Encounter/{visit.number}"},
    }  # fmt: skip


def _quantity(value: str, unit: str, ucum: str) -> Resource:
    return {"value": Number(value), "unit": unit, "system": UCUM, "code": ucum}


def vital_signs(visit: Visit) -> list[Resource]:
    """Blood pressure as one observation with two components, then pulse, temperature, weight and oxygen."""
    vitals = visit.vitals
    pressure = _observation(visit, f"{visit.number}-vs1", "vital-signs", "85354-9", "Huyết áp")
    pressure |= {
        "effectiveDateTime": _time(visit),
        "component": [
            {"code": _loinc(code, text), "valueQuantity": _quantity(str(value), "mmHg", "mm[Hg]")}
            for code, text, value in (
                ("8480-6", "Huyết áp tâm thu", vitals.systolic),
                ("8462-4", "Huyết áp tâm trương", vitals.diastolic),
            )
        ],
    }  # fmt: skip
    found = [pressure]
    for place, (code, text, value, unit, ucum) in enumerate(
        (
            ("8867-4", "Mạch", str(vitals.pulse), "lần/phút", "/min"),
            ("8310-5", "Nhiệt độ", vitals.temperature, "°C", "Cel"),
            ("29463-7", "Cân nặng", vitals.weight, "kg", "kg"),
            ("59408-5", "SpO2", str(vitals.oxygen), "%", "%"),
        ),
        start=2,
    ):
        single = _observation(visit, f"{visit.number}-vs{place}", "vital-signs", code, text)
        found.append(single | {"effectiveDateTime": _time(visit), "valueQuantity": _quantity(value, unit, ucum)})
    return found


def laboratory(visit: Visit) -> list[Resource]:
    """Per service with results: its observations, then one report over them; imaging adds a study."""
    found: list[Resource] = []
    for place, order in enumerate(visit.services, start=1):
        if not order.values and not order.service.imaging:
            continue
        lines = [
            _line(visit, order, f"{visit.number}-ob{place}.{line}", index, value)
            for line, (index, value) in enumerate(order.values, start=1)
        ]
        found += lines
        report = _report(visit, order, place, lines)
        if order.service.imaging:
            study = _study(visit, order, place)
            found.append(study)
            report |= {"imagingStudy": [{"reference": f"ImagingStudy/{study['id']}"}]}
            report |= {"conclusion": " ".join(order.service.findings)}
        found.append(report)
    return found


def _line(visit: Visit, order: ServiceOrder, identity: str, index: Index, value: str) -> Resource:
    found = _observation(visit, identity, "laboratory", index.loinc, index.name)
    found |= {"effectiveDateTime": _time(visit, order), "issued": _time(visit, order)}
    match = _NUMERIC.match(value)
    if match is None:
        return found | {"valueString": value}
    quantity = _quantity(match[2], index.unit, index.ucum)
    return found | {"valueQuantity": {"comparator": match[1], **quantity} if match[1] else quantity}


def _report(visit: Visit, order: ServiceOrder, place: int, lines: list[Resource]) -> Resource:
    section = "RAD" if order.service.imaging else "LAB"
    staff = visit.facility.staff.index(order.performer) + 1
    return {
        "resourceType": "DiagnosticReport", "id": f"{visit.number}-dr{place}", "status": "final",
        "category": [{"coding": [{"system": _SECTIONS, "code": section}]}],
        "code": {
            "coding": [{"system": "http://fhir.vn/sid/dvkt", "code": order.service.code}],
            "text": order.service.name,
        },
        "subject": {"reference": f"Patient/{visit.patient_number}"},
        "encounter": {"reference": f"Encounter/{visit.number}"}, "effectiveDateTime": _time(visit, order),
        "issued": _time(visit, order),
        "performer": [{"reference": f"Practitioner/{visit.facility.code}-pr-{staff}"}],
        # FHIR allows no empty list, so a report without lines has no `result`.
        **({"result": [{"reference": f"Observation/{line['id']}"} for line in lines]} if lines else {}),
    }  # fmt: skip


def _study(visit: Visit, order: ServiceOrder, place: int) -> Resource:
    """ImagingStudy with its accession number; the UIDs are derived, so they never change between builds."""
    key = f"{visit.facility.code}/{visit.number}/{place}"
    study_uid = f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, key).int}"
    series_uid = f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, key + '/1').int}"
    modality = {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": order.service.imaging}
    accession = {
        "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "ACSN"}]},
        "system": f"http://fhir.vn/sid/accession/{visit.facility.code}",
        "value": f"{order.service.imaging}{visit.start:%y%m}{visit.serial:05d}{place}",
    }
    return {
        "resourceType": "ImagingStudy", "id": f"{visit.number}-is{place}", "status": "available",
        "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{study_uid}"}, accession],
        "modality": [modality], "subject": {"reference": f"Patient/{visit.patient_number}"},
        "encounter": {"reference": f"Encounter/{visit.number}"}, "started": _time(visit, order),
        "numberOfSeries": 1, "numberOfInstances": 2, "description": order.service.name,
        "series": [{"uid": series_uid, "number": 1, "modality": modality, "numberOfInstances": 2}],
    }  # fmt: skip
