"""Encounter -> ENCOUNTER, and the roles its diagnoses have. Its records find it by reference (units.py)."""

from __future__ import annotations

from node_agent.feeds.fhir_r4.bundle import Entry
from node_agent.feeds.fhir_r4.codes import EMPTY_CODE
from node_agent.feeds.fhir_r4.index import Index
from node_agent.feeds.fhir_r4.problem import ReadingError
from node_agent.feeds.fhir_r4.reader import Node, Notes, joined
from node_agent.feeds.fhir_r4.source import Draft, Source, unique
from node_agent.records import Body
from schema.elements import DiagnosisRole, EncounterClass, EncounterStatus, RecordKind

REFERRAL_WORDS = ("referral", "chuyển tuyến", "chuyen-tuyen", "chuyentuyen", "chuyen tuyen")
_STATUS = {
    "planned": EncounterStatus.PLANNED,
    "arrived": EncounterStatus.IN_PROGRESS,
    "triaged": EncounterStatus.IN_PROGRESS,
    "in-progress": EncounterStatus.IN_PROGRESS,
    "onleave": EncounterStatus.IN_PROGRESS,
    "finished": EncounterStatus.FINISHED,
    "cancelled": EncounterStatus.CANCELLED,
    "entered-in-error": EncounterStatus.ENTERED_IN_ERROR,
    "unknown": EncounterStatus.UNKNOWN,
}
_CLASS = {
    "AMB": EncounterClass.AMBULATORY,
    "IMP": EncounterClass.INPATIENT,
    "ACUTE": EncounterClass.INPATIENT,
    "NONAC": EncounterClass.INPATIENT,
    "OBSENC": EncounterClass.OTHER,  # neither admitted nor sent home: no word of the contract fits
    "EMER": EncounterClass.EMERGENCY,
    "SS": EncounterClass.DAY,
    "HH": EncounterClass.HOME,
    "VR": EncounterClass.VIRTUAL,
    "PRENC": EncounterClass.OTHER,
    "FLD": EncounterClass.OTHER,
}


def read_encounter(source: Source) -> Draft:
    """The visit itself; its diagnoses are the Condition records that name it."""
    node = source.node
    status = node.text("status")
    if status is not None and status not in _STATUS:
        raise ReadingError("WRONG_VALUE", node.at("status"))
    reasons, period = node.concepts("reasonCode"), node.period("period")
    stay = node.node("hospitalization")
    node.take("diagnosis")  # read by `diagnosis_roles`
    source.reference("serviceProvider", "Organization")  # decides the facility, in places.py; checked here
    body: Body = {
        "status": (_STATUS[status] if status else EncounterStatus.UNKNOWN).value,
        "class": _class(node).value,
        "types": node.codes("type"),
        "careType": None,
        "eligibility": None,
        "period": period,
        "admittedAt": None,
        "recordNumber": source.identifier(),
        "departments": _departments(source),
        "reason": joined(concept.words() for concept in reasons),
        "reasons": unique([c.code for c in reasons if c.code] + source.coded_references("reasonReference")),
        "admissionReason": None,
        "admissionDiagnosis": None,
        "dischargeDiagnosis": None,
        "treatment": None,
        "advice": None,
        "outcome": None,
        "disposition": stay.code("dischargeDisposition") if stay else None,
        "referredFrom": _organization(source, stay, "origin"),
        "referredTo": _organization(source, stay, "destination"),
        "broughtLetterNumber": _letter(stay),
        "days": _days(node),
        "weightKg": None,
        "practitioners": _practitioners(source),
    }
    return Draft(RecordKind.ENCOUNTER, body, (period["start"] or period["end"]) if period else None)


def diagnosis_roles(entry: Entry, index: Index) -> dict[str, DiagnosisRole]:
    """Condition key -> role, from Encounter.diagnosis: admission by use AD, comorbid by use CM or rank
    above 1, main by rank 1.

    Empty when the element cannot be read; a diagnosis without use and rank gives no role.
    """
    roles: dict[str, DiagnosisRole] = {}
    try:
        for item in Node(entry.resource, entry.type, Notes()).nodes("diagnosis"):
            key = index.read(item.take("condition"), item.at("condition"), entry, "Condition").key
            use, rank = item.concept("use"), item.whole("rank")
            if key is None:
                continue
            if use and use.has(("AD",)):
                roles[key] = DiagnosisRole.ADMISSION
            elif (use and use.has(("CM",))) or (rank is not None and rank > 1):
                roles[key] = DiagnosisRole.COMORBID
            elif rank == 1:
                roles[key] = DiagnosisRole.MAIN
    except ReadingError:
        return {}
    return roles


def _class(node: Node) -> EncounterClass:
    found = node.coding("class")
    if not found or not found["code"]:
        return EncounterClass.OTHER if found else EncounterClass.UNKNOWN
    return _CLASS.get(found["code"], EncounterClass.OTHER)


def _departments(source: Source) -> list[Body]:
    made = []
    for item in source.node.nodes("location"):
        found = source.reference("location", "Location", item)
        name = found.target.resource.get("name") if found and found.target else None
        display = name if isinstance(name, str) and name.strip() else found.display if found else None
        item.take("status")
        if found and (display or found.identifier):
            made.append({**EMPTY_CODE, "code": found.identifier, "display": display, "asSent": found.identifier})
        elif found:
            item.note("UNRESOLVED_REFERENCE", item.at("location"))
    return unique(made)


def _practitioners(source: Source) -> list[Body]:
    made = []
    for item in source.node.nodes("participant"):
        person = source.practitioner("individual", item)
        if person:
            made.append(person)
    return unique(made)


def _organization(source: Source, stay: Node | None, name: str) -> str | None:
    """Another hospital the patient came from or went to; a mere Location (home, ward) is counted."""
    if stay is None:
        return None
    found = source.reference(name, None, stay)
    if found is None:
        return None
    kind = found.target.type if found.target else found.type
    if kind == "Organization" or (kind is None and found.identifier):
        return source.organizations.label(found)
    stay.note_unmapped(name)
    return None


def _letter(stay: Node | None) -> str | None:
    """The number of the referral letter the patient brought: hospitalization.preAdmissionIdentifier of a
    referral system.
    """
    found = stay.node("preAdmissionIdentifier") if stay else None
    if found is None:
        return None
    system, value, kind = found.text("system") or "", found.text("value"), found.concept("type")
    words = f"{system} {kind.words() or '' if kind else ''}".lower()
    if any(word in words for word in REFERRAL_WORDS):
        return value
    found.note_unmapped("value")
    return None


def _days(node: Node) -> int | None:
    length = node.node("length")
    if length is None:
        return None
    digits, code, unit = length.digits("value"), length.text("code"), length.text("unit")
    length.take("system")
    if (
        digits
        and digits.isdecimal()
        and len(digits) < 6
        and (code == "d" or (code is None and unit in ("d", "day", "days", "ngày")))
    ):
        return int(digits)
    node.note_unmapped("length")
    return None
