"""The records that are papers: documents, referral and appointment letters, insurance cards (DESIGN 2, 3a).

Plain words where Vietnam has a paper that FHIR splits up. Plain Strawberry types, as in clinical.py.
"""

from __future__ import annotations

import strawberry

from schema.elements import Code, Period, Practitioner
from schema.record import Record
from schema.scalars import PartialDate


@strawberry.type(description="Một mục của văn bản. One section of a document.")
class DocumentSection:
    """title is a stable heading in Vietnamese, or the source's own."""

    position: int
    title: str
    text: str


@strawberry.type(description="Văn bản: giấy ra viện, tóm tắt hồ sơ, diễn biến. A clinical document.")
class DocumentReference(Record):
    """XML5 progress note, XML7 discharge paper, XML8 summary; FHIR DocumentReference and Composition."""

    type: Code
    status: str | None
    date: PartialDate | None
    title: str | None
    authors: list[Practitioner]
    content_type: str | None
    text: str | None
    sections: list[DocumentSection]


@strawberry.type(description="Giấy chuyển tuyến. A referral letter.")
class Referral(Record):
    """XML13 in every known layout; FHIR ServiceRequest that refers to another facility."""

    number: str | None
    file_number: str | None
    book_number: str | None
    status: str | None
    from_facility: str | None
    to_facility: str | None
    authored_on: PartialDate | None
    reason: Code | None
    diagnoses: list[Code]
    diagnosis_text: str | None
    clinical_signs: str | None
    history: str | None
    results_summary: str | None
    treatment: str | None
    condition: str | None
    services: str | None
    drugs: str | None
    plan: str | None
    transport: str | None
    escort: Practitioner | None
    practitioners: list[Practitioner]


@strawberry.type(description="Giấy hẹn khám lại. An appointment letter.")
class Appointment(Record):
    """XML14; FHIR Appointment."""

    number: str | None
    status: str | None
    start: PartialDate | None
    authored_on: PartialDate | None
    diagnoses: list[Code]
    diagnosis_text: str | None
    eligibility: Code | None
    practitioners: list[Practitioner]
    note: str | None


@strawberry.type(
    description="Thẻ bảo hiểm y tế. A health-insurance card (InsurancePlanCard, to keep the word Coverage free)."
)
class InsurancePlanCard(Record):
    """The card as shown at the visit; number as written on the card."""

    number: str | None
    registered_facility: str | None
    period: Period | None
    benefit: str | None
