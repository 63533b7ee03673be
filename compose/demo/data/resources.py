"""A visit as FHIR R4 resources: patient, encounter, conditions, orders; `statements` holds the rest."""

from __future__ import annotations

from compose.demo.data.conditions import CONDITIONS, text_of
from compose.demo.data.facilities import Facility
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
from compose.demo.data.results import Number, laboratory, vital_signs
from compose.demo.data.statements import allergy, appointment, document, immunization, referral
from compose.demo.data.visits import Visit
from compose.demo.data.written import birth_digits

V2_0203 = "http://terminology.hl7.org/CodeSystem/v2-0203"
CATEGORY = coded(f"{TERMINOLOGY}/condition-category", "encounter-diagnosis", "Encounter Diagnosis")


def resources_of(visit: Visit) -> list[Resource]:
    """Every resource of one visit, the patient, the organization and the staff first."""
    found = [_organization(visit.facility), *_practitioners(visit), patient(visit)]
    if visit.person.cards:
        found.append(_coverage(visit))
    conditions = _conditions(visit)
    found += [_encounter(visit, conditions), *conditions]
    if visit.plan.still_open:
        return found
    found += vital_signs(visit) + laboratory(visit) + _procedures(visit) + _medication(visit)
    if visit.tags & {"allergy", "no_allergy"}:
        found.append(allergy(visit))
    if "immunization" in visit.tags:
        found.append(immunization(visit))
    if visit.is_stay or "document" in visit.tags:
        found.append(document(visit))
    if visit.plan.out:
        found.append(referral(visit))
    if visit.appointment:
        found.append(appointment(visit))
    return found


def _organization(facility: Facility) -> Resource:
    return {
        "resourceType": "Organization", "id": f"org-{facility.code}", "active": True,
        "identifier": [{"system": f"{SID}/cskcb", "value": facility.code}], "name": facility.name,
    }  # fmt: skip


def _practitioners(visit: Visit) -> list[Resource]:
    return [
        {
            "resourceType": "Practitioner", "id": practitioner_id(visit.facility, person),
            "identifier": [{"system": f"{SID}/cchn", "value": person.licence}],
            "name": [{"text": person.name}],
        }
        for person in visit.facility.staff
    ]  # fmt: skip


def patient(visit: Visit) -> Resource:
    """FHIR Patient. The birth date may hold only the year; the local number always has type MR."""
    plan, person, code = visit.plan, visit.person, visit.facility.code
    identifiers: list[Resource] = [
        {
            "use": "usual", "type": coded(V2_0203, "MR", "Mã bệnh nhân"), "system": f"{SID}/mr/{code}",
            "value": visit.patient_number,
        }
    ]  # fmt: skip
    written = person.identifier if plan.written_id is None else plan.written_id
    if person.passport:
        passport = coded(V2_0203, "PPN", "Hộ chiếu")
        identifiers.append({"type": passport, "system": f"{SID}/passport/{person.nationality}", "value": written})
    elif written:
        kind = "cmnd" if len(written) == 9 else "cccd"
        identifiers.append({"use": "official", "system": f"{SID}/{kind}", "value": written})
    identifiers += [{"system": f"{SID}/bhyt", "value": card} for card in person.cards]
    family, *given = person.name.split()
    digits = birth_digits(plan.written_birth or person.birth, person.year_only)
    found: Resource = {
        "resourceType": "Patient", "id": visit.patient_number, "active": True, "identifier": identifiers,
        "name": [{"use": "official", "text": person.name, "family": family, "given": given}],
        "gender": "male" if person.male else "female",
        "birthDate": digits[:4] if person.year_only else f"{digits[:4]}-{digits[4:6]}-{digits[6:8]}",
        "address": [{"use": "home", "text": person.address, "city": "Hà Nội", "country": "VN"}],
    }  # fmt: skip
    if person.phone:
        found["telecom"] = [{"system": "phone", "value": person.phone, "use": "mobile"}]
    return found


def _coverage(visit: Visit) -> Resource:
    card = visit.person.cards[0]
    return {
        "resourceType": "Coverage", "id": f"{visit.patient_number}-cov-{visit.start:%Y}", "status": "active",
        "identifier": [{"system": f"{SID}/bhyt", "value": card}], "subscriberId": card,
        "type": {"text": "Bảo hiểm y tế"}, "beneficiary": reference("Patient", visit.patient_number),
        "period": {"start": f"{visit.start:%Y}-01-01", "end": f"{visit.start:%Y}-12-31"},
        "payor": [{"display": "Bảo hiểm xã hội Thành phố Hà Nội"}],
    }  # fmt: skip


def _encounter(visit: Visit, conditions: list[Resource]) -> Resource:
    code, display = ("IMP", "inpatient encounter") if visit.is_stay else ("AMB", "ambulatory")
    if visit.plan.code == "S52.5" and not visit.is_stay:
        code, display = "EMER", "emergency"
    period = {"start": instant(visit.start)}
    if not visit.plan.still_open:
        period["end"] = instant(visit.end)
    found: Resource = {
        "resourceType": "Encounter", "id": visit.number,
        "status": "in-progress" if visit.plan.still_open else "finished",
        "identifier": [{"system": f"{SID}/visit/{visit.facility.code}", "value": visit.number}],
        "class": {"system": f"{TERMINOLOGY}/v3-ActCode", "code": code, "display": display},
        "subject": reference("Patient", visit.patient_number),
        "participant": [
            {"individual": reference("Practitioner", practitioner_id(visit.facility, visit.doctor))}
        ],
        "period": period, "reasonCode": [{"text": CONDITIONS[visit.plan.code].complaint}],
        "diagnosis": [
            {"condition": reference("Condition", condition["id"]), "rank": place}
            for place, condition in enumerate(conditions, start=1)
        ],
        "serviceProvider": reference("Organization", f"org-{visit.facility.code}"),
    }  # fmt: skip
    if visit.plan.brought:
        letter = visit.plan.brought
        found["hospitalization"] = {
            "preAdmissionIdentifier": {"system": f"{SID}/referral/{letter.source}", "value": letter.number},
            "origin": {"identifier": {"system": f"{SID}/cskcb", "value": letter.source}},
        }
    return found


def _conditions(visit: Visit) -> list[Resource]:
    return [
        {
            "resourceType": "Condition", "id": f"{visit.number}-co{place}",
            "clinicalStatus": coded(f"{TERMINOLOGY}/condition-clinical", "active", "Active"),
            "verificationStatus": coded(f"{TERMINOLOGY}/condition-ver-status", "confirmed", "Confirmed"),
            "category": [CATEGORY],
            "code": coded(ICD10, code, text_of(code)), **about(visit), "recordedDate": instant(visit.start),
            "recorder": reference("Practitioner", practitioner_id(visit.facility, visit.doctor)),
        }
        for place, code in enumerate(visit.codes, start=1)
    ]  # fmt: skip


def _procedures(visit: Visit) -> list[Resource]:
    return [
        {
            "resourceType": "Procedure", "id": f"{visit.number}-px{place}", "status": "completed",
            "code": coded(SNOMED, order.service.snomed, order.service.name), **about(visit),
            "performedDateTime": instant(order.ordered),
            "performer": [
                {"actor": reference("Practitioner", practitioner_id(visit.facility, order.performer))}
            ],
        }
        for place, order in enumerate(visit.services, start=1)
        if order.service.snomed and (not order.service.imaging or order.service.key == "endoscopy")
    ]  # fmt: skip


def _medication(visit: Visit) -> list[Resource]:
    """One request per drug; in a stay every dose given is a MedicationAdministration of it."""
    found: list[Resource] = []
    requests: dict[str, str] = {}
    for place, order in enumerate(visit.drugs, start=1):
        drug = order.drug
        concept = coded("http://www.whocc.no/atc", drug.atc, f"{drug.name} {drug.strength}")
        if drug.key not in requests:
            requests[drug.key] = f"{visit.number}-mr{place}"
            found.append(
                {
                    "resourceType": "MedicationRequest", "id": requests[drug.key], "status": "completed",
                    "intent": "order", "medicationCodeableConcept": concept, **about(visit),
                    "authoredOn": instant(order.ordered),
                    "requester": reference("Practitioner", practitioner_id(visit.facility, order.doctor)),
                    "dosageInstruction": [{"text": order.dose_text}],
                    "dispenseRequest": {
                        "quantity": {"value": Number(f"{order.quantity:f}"), "unit": drug.unit},
                    },
                }
            )  # fmt: skip
        if order.given:
            found.append(
                {
                    "resourceType": "MedicationAdministration", "id": f"{visit.number}-ma{place}",
                    "status": "completed", "medicationCodeableConcept": concept,
                    "subject": reference("Patient", visit.patient_number),
                    "context": reference("Encounter", visit.number),
                    "effectiveDateTime": instant(order.given),
                    "request": reference("MedicationRequest", requests[drug.key]),
                    "dosage": {
                        "text": order.dose_text,
                        "dose": {"value": Number(f"{order.quantity:f}"), "unit": drug.unit},
                    },
                }
            )  # fmt: skip
    return found
