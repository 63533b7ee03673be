"""Documents, referrals, appointments and cards of the FHIR feed, and what is counted instead of stored."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from schema.elements import RecordKind
from tests.node_agent.feeds.fhir_files import (
    PATIENT,
    concept,
    errors,
    make,
    one,
    parse,
    records,
    remarks,
)

SNOMED = "http://snomed.info/sct"


@pytest.mark.parametrize(
    ("content_type", "data", "text"),
    [
        ("text/plain; charset=utf-8", "Ổn định\n", "Ổn định\n"),
        ("text/html", "<p>A</p><p>B</p>", "A\nB"),
        ("application/pdf", "%PDF", None),
    ],
)
def test_only_text_attachments_are_decoded(content_type: str, data: str, text: str | None) -> None:
    attachment = {
        "contentType": content_type,
        "title": "Ra viện",
        "data": base64.b64encode(data.encode()).decode(),
    }
    parsed = parse(
        PATIENT,
        make(
            "DocumentReference",
            content=[{"attachment": attachment}],
            context={"encounter": [{"reference": "Encounter/e9"}]},
        ),
    )
    record = records(parsed)[0]
    assert (record.body["text"], record.body["title"], record.body["contentType"]) == (
        text,
        "Ra viện",
        content_type,
    )
    assert record.encounter_key == "Encounter/e9"
    assert (("UNMAPPED_ELEMENT", "DocumentReference.content.attachment.data") in remarks(parsed)) is (text is None)


def test_an_attachment_that_cannot_be_decoded_is_an_error() -> None:
    parsed = parse(
        PATIENT,
        make("DocumentReference", content=[{"attachment": {"contentType": "text/plain", "data": "@@"}}]),
    )
    assert errors(parsed) == [
        ("WRONG_VALUE", "entry[1] DocumentReference", "DocumentReference.content.attachment.data")
    ]


def test_a_composition_becomes_a_document_whose_nested_sections_follow_their_parent() -> None:
    inner = {"title": "Thuốc", "text": {"status": "generated", "div": "<div>Aspirin</div>"}}
    empty = {"title": "Dị ứng", "emptyReason": concept("withheld", display="Không công bố")}
    record = one(
        make(
            "Composition",
            title="Tóm tắt",
            date="2026-01-01",
            section=[{"title": "Điều trị", "section": [inner]}, empty],
        )
    )
    assert record.kind is RecordKind.DOCUMENT_REFERENCE
    assert [(s["position"], s["title"], s["text"]) for s in record.body["sections"]] == [
        (1, "Điều trị / Thuốc", "Aspirin"),
        (2, "Dị ứng", "Không công bố"),
    ]


@pytest.mark.parametrize(
    "elements",
    [
        {"category": [concept("3457005", SNOMED)]},
        {"category": [{"text": "Referral"}]},
        {"identifier": [{"system": "http://fhir.vn/sid/referral/01929", "value": "7/GCT"}]},
        {
            "requester": {"reference": "Organization/org-here"},
            "performer": [{"reference": "Organization/org-there"}],
        },
    ],
)
def test_a_request_that_sends_the_patient_elsewhere_is_a_referral(elements: dict[str, Any]) -> None:
    assert one(make("ServiceRequest", status="active", intent="order", **elements)).kind is RecordKind.REFERRAL


@pytest.mark.parametrize(
    "elements",
    [
        {},
        {
            "requester": {"reference": "Organization/org-here"},
            "performer": [{"reference": "Organization/org-here"}],
        },
        {"category": [concept("3457005")], "doNotPerform": True},
    ],
)
def test_any_other_request_is_counted_as_unmapped(elements: dict[str, Any]) -> None:
    parsed = parse(PATIENT, make("ServiceRequest", code=concept("1"), **elements))
    assert records(parsed) == [] and remarks(parsed) == {("UNMAPPED_RESOURCE", "ServiceRequest"): 1}


def test_a_referral_names_both_facilities_and_its_issuers_number() -> None:
    letter = make(
        "ServiceRequest",
        identifier=[{"system": "http://fhir.vn/sid/referral/01816", "value": "7/GCT"}],
        requester={"reference": "Organization/org-there"},
        performer=[{"identifier": {"system": "http://fhir.vn/sid/cskcb", "value": "01929"}}],
        authoredOn="2026-01-01",
    )
    record = one(letter)
    assert record.number == ("01816", "7/GCT")
    assert (record.body["fromFacility"], record.body["toFacility"], record.time) == (
        "01816",
        "01929",
        "2026-01-01",
    )


def test_an_appointment_finds_its_patient_among_the_participants() -> None:
    actors = [
        {"actor": {"reference": "Patient/p1"}},
        {"actor": {"reference": "Practitioner/d", "display": "BS Thử"}},
    ]
    visit = {
        "resourceType": "Appointment",
        "id": "a1",
        "status": "booked",
        "start": "2026-02-01T08:00:00+07:00",
        "participant": actors,
    }
    record = one(visit)
    assert record.body["practitioners"] == [{"licence": None, "name": "BS Thử"}]
    assert record.time == "2026-02-01T08:00:00+07:00"
    crowd = {**visit, "participant": [*actors, {"actor": {"reference": "Patient/p2"}}]}
    assert remarks(parse(PATIENT, crowd))["SEVERAL_PATIENTS", "Appointment"] == 1


def test_a_coverage_is_an_insurance_card_and_no_identifier() -> None:
    card = make("Coverage", status="active", subscriberId="DN4010012345678", period={"start": "2026-01-01"})
    parsed = parse(PATIENT, card)
    assert records(parsed)[0].body["number"] == "DN4010012345678"
    assert len(parsed.units[0].patient.identifiers) == 1


def test_what_is_not_mapped_is_counted_by_type_and_element_and_never_dropped_in_silence() -> None:
    parsed = parse(
        PATIENT,
        {"resourceType": "Claim"},
        {"resourceType": "Claim"},
        make("Observation", code=concept("1"), method={"text": "x"}, device={"display": "y"}),
    )
    found = remarks(parsed)
    assert found["UNMAPPED_RESOURCE", "Claim"] == 2
    assert found["UNMAPPED_ELEMENT", "Observation.method"] == found["UNMAPPED_ELEMENT", "Observation.device"] == 1


def test_a_modifier_extension_that_is_not_understood_refuses_the_resource() -> None:
    parsed = parse(
        PATIENT,
        make("Observation", code=concept("1"), modifierExtension=[{"url": "x", "valueBoolean": True}]),
    )
    assert errors(parsed) == [("UNKNOWN_MODIFIER", "entry[1] Observation", "Observation.modifierExtension")]
