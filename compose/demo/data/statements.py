"""FHIR statements beside the orders of a visit: allergies, vaccines, documents, referrals, appointments."""

from __future__ import annotations

import base64

from compose.demo.data.conditions import CONDITIONS, text_of
from compose.demo.data.fhir import (
    ICD10,
    SID,
    SNOMED,
    TERMINOLOGY,
    Resource,
    about,
    coded,
    instant,
    practitioner_id,
    reference,
)
from compose.demo.data.visits import Visit

VERIFICATION = f"{TERMINOLOGY}/allergyintolerance-verification"
ALLERGENS = (
    ("764146007", "Penicillin", "Nổi mẩn, khó thở sau tiêm penicillin"),
    ("387458008", "Aspirin", "Phù mi mắt"),
    ("735029006", "Shellfish", "Nổi mề đay sau ăn tôm cua"),
)
VACCINES = (
    ("http://hl7.org/fhir/sid/cvx", "141", "Vắc xin cúm mùa"),
    ("http://hl7.org/fhir/sid/cvx", "43", "Vắc xin viêm gan B người lớn"),
    (f"{SID}/vaccine", "VX-UV", "Vắc xin uốn ván hấp phụ"),
)


def allergy(visit: Visit) -> Resource:
    """Either a real allergy or a clinician's statement that none is known (SNOMED 716186003)."""
    found: Resource = {
        "resourceType": "AllergyIntolerance", "id": f"{visit.number}-al1",
        "clinicalStatus": coded(f"{TERMINOLOGY}/allergyintolerance-clinical", "active", "Active"),
        "verificationStatus": coded(VERIFICATION, "confirmed", "Confirmed"),
        "patient": reference("Patient", visit.patient_number),
        "encounter": reference("Encounter", visit.number),
        "recordedDate": instant(visit.start),
        "recorder": reference("Practitioner", practitioner_id(visit.facility, visit.doctor)),
    }  # fmt: skip
    if "no_allergy" in visit.tags:
        return found | {"code": coded(SNOMED, "716186003", "No known allergy")}
    which = 0 if visit.person.showcase else int(visit.person.key[1:]) % len(ALLERGENS)
    code, display, reaction = ALLERGENS[which]
    return found | {
        "code": coded(SNOMED, code, display), "criticality": "high" if which == 0 else "low",
        "type": "allergy", "reaction": [{"manifestation": [{"text": reaction}]}],
    }  # fmt: skip


def immunization(visit: Visit) -> Resource:
    system, code, text = VACCINES[visit.serial % len(VACCINES)]
    return {
        "resourceType": "Immunization", "id": f"{visit.number}-im1", "status": "completed",
        "vaccineCode": coded(system, code, text), "patient": reference("Patient", visit.patient_number),
        "encounter": reference("Encounter", visit.number), "occurrenceDateTime": f"{visit.start:%Y-%m-%d}",
        "lotNumber": f"L{visit.serial:05d}", "primarySource": True,
    }  # fmt: skip


def document(visit: Visit) -> Resource:
    text = (
        f"TÓM TẮT BỆNH ÁN\nHọ tên: {visit.person.name}\nChẩn đoán: {text_of(visit.plan.code)}\n"
        f"Lý do vào viện: {CONDITIONS[visit.plan.code].complaint}\nKết quả: ổn định, ra viện.\n"
    )
    return {
        "resourceType": "DocumentReference", "id": f"{visit.number}-doc1", "status": "current",
        "type": coded("http://loinc.org", "18842-5", "Discharge summary"),
        "subject": reference("Patient", visit.patient_number), "date": instant(visit.end),
        "author": [reference("Practitioner", practitioner_id(visit.facility, visit.doctor))],
        "content": [
            {
                "attachment": {
                    "contentType": "text/plain; charset=utf-8", "language": "vi", "title": "Tóm tắt bệnh án",
                    "data": base64.b64encode(text.encode()).decode("ascii"),
                }
            }
        ],
        "context": {"encounter": [reference("Encounter", visit.number)]},
    }  # fmt: skip


def referral(visit: Visit) -> Resource:
    """ServiceRequest as a referral letter; the other hospital is named by identifier, not by a resource."""
    letter = visit.plan.out
    assert letter is not None
    return {
        "resourceType": "ServiceRequest", "id": f"{visit.number}-ref1", "status": "active", "intent": "order",
        "identifier": [{"system": f"{SID}/referral/{letter.source}", "value": letter.number}],
        "category": [coded(SNOMED, "3457005", "Patient referral")], "code": {"text": "Giấy chuyển tuyến"},
        **about(visit), "authoredOn": instant(visit.end),
        "requester": reference("Organization", f"org-{visit.facility.code}"),
        "performer": [{"identifier": {"system": f"{SID}/cskcb", "value": letter.target}}],
        "reasonCode": [coded(ICD10, visit.plan.code, text_of(visit.plan.code))],
        "reasonReference": [reference("Condition", f"{visit.number}-co1")],
    }  # fmt: skip


def appointment(visit: Visit) -> Resource:
    assert visit.appointment is not None
    return {
        "resourceType": "Appointment", "id": f"{visit.number}-ap1", "status": "booked",
        "description": "Tái khám theo hẹn", "start": instant(visit.appointment),
        "end": instant(visit.appointment.replace(minute=30)), "created": instant(visit.end),
        "participant": [
            {"actor": reference("Patient", visit.patient_number), "status": "accepted"},
            {
                "actor": reference("Practitioner", practitioner_id(visit.facility, visit.doctor)),
                "status": "accepted",
            },
        ],
    }  # fmt: skip
