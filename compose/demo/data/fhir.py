"""FHIR primitives of the demo feed: references, codings, times. Systems under fhir.vn/sid are our own.

References are relative ("Patient/<id>"); `bundles` turns them into urn:uuid.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from compose.demo.data.facilities import Facility, Practitioner
from compose.demo.data.visits import Visit

Resource = dict[str, Any]
SID = "http://fhir.vn/sid"
ICD10 = "http://hl7.org/fhir/sid/icd-10"
SNOMED = "http://snomed.info/sct"
TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"


def instant(when: datetime) -> str:
    """Vietnam's local time with its offset."""
    return f"{when:%Y-%m-%dT%H:%M:00}+07:00"


def reference(kind: str, identity: str) -> dict[str, str]:
    return {"reference": f"{kind}/{identity}"}


def coded(system: str, code: str, text: str) -> Resource:
    return {"coding": [{"system": system, "code": code, "display": text}], "text": text}


def practitioner_id(facility: Facility, person: Practitioner) -> str:
    return f"{facility.code}-pr-{facility.staff.index(person) + 1}"


def about(visit: Visit) -> Resource:
    return {
        "subject": reference("Patient", visit.patient_number),
        "encounter": reference("Encounter", visit.number),
    }
