"""The clinical records, FHIR R4 names where FHIR has the concept (DESIGN 2, 3a).

Plain Strawberry types: nothing here resolves anything. A node builds these bodies as JSON inside its database, the
gateway copies them unread. How attributes become columns: `node_agent/columns.py`.
Fields added after 1.0 must be nullable (DESIGN 6, versions).
"""

from __future__ import annotations

import strawberry

from schema.documents import Appointment, DocumentReference, InsurancePlanCard, Referral
from schema.elements import (
    Code,
    Diagnosis,
    DiagnosisRole,
    EncounterClass,
    EncounterStatus,
    MedicationUse,
    Period,
    Practitioner,
    Quantity,
    RecordKind,
)
from schema.record import Record
from schema.scalars import Decimal, PartialDate


@strawberry.type(description="Đơn thuốc: một dòng. One line of a prescription.")
class PrescriptionItem:
    """drug is the name as written; dose is LIEU_DUNG or dosage text as written."""

    position: int
    drug: str
    code: Code | None
    strength: str | None
    form: str | None
    dose: str | None
    instructions: str | None
    route: Code | None
    quantity: Decimal | None
    unit: str | None
    registration_number: str | None


@strawberry.type(description="Đơn thuốc. A prescription, with its items.")
class Prescription(Record):
    """XML2 rows of one order (MA_LK, NGAY_YL, MA_BAC_SI) of an outpatient kind; FHIR MedicationRequest."""

    number: str | None
    status: str | None
    use: MedicationUse
    authored_on: PartialDate | None
    period: Period | None
    prescribers: list[Practitioner]
    reasons: list[Code]
    items: list[PrescriptionItem]
    note: str | None


@strawberry.type(description="Thuốc dùng tại viện. A drug given in the facility.")
class MedicationAdministration(Record):
    """An XML2 row of an inpatient kind; FHIR MedicationAdministration."""

    status: str | None
    use: MedicationUse
    drug: str
    code: Code | None
    strength: str | None
    form: str | None
    dose: str | None
    instructions: str | None
    route: Code | None
    quantity: Decimal | None
    unit: str | None
    registration_number: str | None
    period: Period | None
    practitioners: list[Practitioner]


@strawberry.type(description="Bệnh, vấn đề sức khoẻ. A diagnosis or problem.")
class Condition(Record):
    """FHIR Condition; XML1 MA_BENH_CHINH, MA_BENH_KT, MA_BENH_YHCT."""

    code: Code
    role: DiagnosisRole | None
    clinical_status: str | None
    verification_status: str | None
    onset: PartialDate | None
    abatement: PartialDate | None
    recorded_date: PartialDate | None
    note: str | None


@strawberry.type(description="Một phần của kết quả, ví dụ huyết áp tâm thu. One component of an observation.")
class ObservationComponent:
    """FHIR Observation.component."""

    position: int
    code: Code
    value: str | None
    quantity: Quantity | None
    value_code: Code | None


@strawberry.type(description="Kết quả xét nghiệm, dấu hiệu sinh tồn. An observation.")
class Observation(Record):
    """value is the result as text, always as sent; quantity and value_code only where it can be read as such."""

    status: str | None
    categories: list[Code]
    code: Code
    service: Code | None
    value: str | None
    quantity: Quantity | None
    value_code: Code | None
    interpretation: str | None
    reference_range: str | None
    effective: PartialDate | None
    issued: PartialDate | None
    performers: list[Practitioner]
    components: list[ObservationComponent]
    note: str | None


@strawberry.type(description="Thủ thuật, phẫu thuật, dịch vụ kỹ thuật. A procedure or technical service.")
class Procedure(Record):
    """FHIR Procedure; XML3 service rows."""

    status: str | None
    code: Code
    international_code: Code | None
    performed: Period | None
    performers: list[Practitioner]
    reasons: list[Code]
    body_site: Code | None
    quantity: Decimal | None
    unit: str | None
    device: str | None
    anaesthesia: str | None
    note: str | None


@strawberry.type(description="Một chuỗi ảnh. One series of an imaging study.")
class ImagingSeries:
    """FHIR ImagingStudy.series."""

    position: int
    uid: str
    modality: Code | None
    body_site: Code | None
    description: str | None
    number_of_instances: int | None


@strawberry.type(description="Chẩn đoán hình ảnh: một lần chụp. An imaging study; never pixels.")
class ImagingStudy(Record):
    """FHIR ImagingStudy."""

    status: str | None
    study_uid: str | None
    accession_number: str | None
    modalities: list[Code]
    started: PartialDate | None
    description: str | None
    number_of_series: int | None
    number_of_instances: int | None
    series: list[ImagingSeries]


@strawberry.type(
    description="Dị ứng, không dung nạp; hoặc lời khẳng định không có dị ứng. An allergy, or the statement that there is none."
)
class AllergyIntolerance(Record):
    """stated_none is true when a clinician recorded that the patient has no (such) allergy."""

    stated_none: bool
    code: Code
    clinical_status: str | None
    verification_status: str | None
    type: str | None
    categories: list[str]
    criticality: str | None
    reactions: list[Code]
    onset: PartialDate | None
    recorded_date: PartialDate | None
    recorder: Practitioner | None
    note: str | None


@strawberry.type(description="Tiêm chủng. A vaccination.")
class Immunization(Record):
    """FHIR Immunization."""

    status: str | None
    vaccine: Code
    occurrence: PartialDate | None
    lot_number: str | None
    dose_number: str | None
    primary_source: bool | None
    performers: list[Practitioner]
    note: str | None


@strawberry.type(description="Phiếu kết quả cận lâm sàng. A diagnostic report.")
class DiagnosticReport(Record):
    """FHIR DiagnosticReport; results are the node's Observations that the report names."""

    status: str | None
    categories: list[Code]
    code: Code
    effective: PartialDate | None
    issued: PartialDate | None
    performers: list[Practitioner]
    results: list[Observation]
    conclusion: str | None
    conclusion_codes: list[Code]


@strawberry.type(description="Lượt khám chữa bệnh. An encounter: one visit or stay.")
class Encounter(Record):
    """XML0/XML1; FHIR Encounter. The lists below hold this encounter's own records at its node, without client cursors."""

    status: EncounterStatus
    class_: EncounterClass = strawberry.field(name="class")
    types: list[Code]
    care_type: Code | None
    eligibility: Code | None
    period: Period | None
    admitted_at: PartialDate | None
    record_number: str | None
    departments: list[Code]
    reason: str | None
    reasons: list[Code]
    admission_reason: str | None
    admission_diagnosis: str | None
    discharge_diagnosis: str | None
    treatment: str | None
    advice: str | None
    outcome: Code | None
    disposition: Code | None
    referred_from: str | None
    referred_to: str | None
    brought_letter_number: str | None
    days: int | None
    weight_kg: Decimal | None
    practitioners: list[Practitioner]
    diagnoses: list[Diagnosis]
    prescriptions: list[Prescription]
    medication_administrations: list[MedicationAdministration]
    observations: list[Observation]
    procedures: list[Procedure]
    imaging_studies: list[ImagingStudy]
    diagnostic_reports: list[DiagnosticReport]
    immunizations: list[Immunization]
    documents: list[DocumentReference]
    referrals: list[Referral]
    appointments: list[Appointment]


RECORD_TYPES: dict[RecordKind, type[Record]] = {
    RecordKind.ENCOUNTER: Encounter,
    RecordKind.CONDITION: Condition,
    RecordKind.OBSERVATION: Observation,
    RecordKind.PROCEDURE: Procedure,
    RecordKind.IMAGING_STUDY: ImagingStudy,
    RecordKind.MEDICATION_ADMINISTRATION: MedicationAdministration,
    RecordKind.PRESCRIPTION: Prescription,
    RecordKind.ALLERGY_INTOLERANCE: AllergyIntolerance,
    RecordKind.IMMUNIZATION: Immunization,
    RecordKind.DIAGNOSTIC_REPORT: DiagnosticReport,
    RecordKind.DOCUMENT_REFERENCE: DocumentReference,
    RecordKind.REFERRAL: Referral,
    RecordKind.APPOINTMENT: Appointment,
    RecordKind.INSURANCE_PLAN_CARD: InsurancePlanCard,
}

# The connection of Patient that carries each kind.
CONNECTION_FIELDS: dict[RecordKind, str] = {
    RecordKind.ENCOUNTER: "encounters",
    RecordKind.CONDITION: "conditions",
    RecordKind.OBSERVATION: "observations",
    RecordKind.PROCEDURE: "procedures",
    RecordKind.IMAGING_STUDY: "imagingStudies",
    RecordKind.MEDICATION_ADMINISTRATION: "medicationAdministrations",
    RecordKind.PRESCRIPTION: "prescriptions",
    RecordKind.ALLERGY_INTOLERANCE: "allergies",
    RecordKind.IMMUNIZATION: "immunizations",
    RecordKind.DIAGNOSTIC_REPORT: "diagnosticReports",
    RecordKind.DOCUMENT_REFERENCE: "documents",
    RecordKind.REFERRAL: "referrals",
    RecordKind.APPOINTMENT: "appointments",
    RecordKind.INSURANCE_PLAN_CARD: "insuranceCards",
}
