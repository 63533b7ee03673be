"""Prescriptions, given drugs, allergies and statements that there is none, and what was entered in error."""

from __future__ import annotations

from typing import Any

import pytest

from node_agent.feeds.fhir_r4.condition import STATED_NONE
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


@pytest.mark.parametrize(
    ("category", "use"),
    [
        ("inpatient", "IN_FACILITY"),
        ("outpatient", "TAKE_HOME"),
        ("community", "TAKE_HOME"),
        ("discharge", "TAKE_HOME"),
        ("other", "UNKNOWN"),
        (None, "UNKNOWN"),
    ],
)
def test_where_a_prescribed_drug_is_used_comes_from_the_category_alone(category: str | None, use: str) -> None:
    extra: dict[str, Any] = {"category": [concept(category)]} if category else {}
    body = one(
        make("MedicationRequest", status="active", medicationCodeableConcept={"text": "Metformin 500"}, **extra)
    ).body
    assert body["use"] == use
    assert [item["drug"] for item in body["items"]] == ["Metformin 500"]


def test_a_drug_is_named_by_its_medication_resource_with_form_and_strength() -> None:
    strength = {"strength": {"numerator": {"value": 500, "unit": "mg"}, "denominator": {"value": 1, "unit": "viên"}}}
    drug = {
        "resourceType": "Medication",
        "id": "m",
        "code": concept("A10BA02", "http://www.whocc.no/atc", "Metformin"),
        "form": {"text": "viên nén"},
        "ingredient": [strength],
    }
    item = one(make("MedicationRequest", medicationReference={"reference": "#m"}, contained=[drug])).body["items"][0]
    assert (item["drug"], item["code"]["code"], item["form"], item["strength"]) == (
        "Metformin",
        "A10BA02",
        "viên nén",
        "500 mg / 1 viên",
    )


def test_a_drug_nobody_can_name_is_an_error() -> None:
    parsed = parse(PATIENT, make("MedicationRequest", medicationReference={"reference": "Medication/gone"}))
    assert errors(parsed) == [
        ("UNRESOLVED_REFERENCE", "entry[1] MedicationRequest", "MedicationRequest.medicationReference")
    ]


@pytest.mark.parametrize(
    ("elements", "code"),
    [({"doNotPerform": True}, "DO_NOT_PERFORM"), ({"intent": "proposal"}, "NOT_AN_ORDER")],
)
def test_what_was_not_ordered_is_no_prescription(elements: dict[str, Any], code: str) -> None:
    parsed = parse(PATIENT, make("MedicationRequest", medicationCodeableConcept={"text": "A"}, **elements))
    assert records(parsed) == [] and remarks(parsed) == {(code, "MedicationRequest"): 1}


def test_a_dose_is_as_written_and_else_composed_from_its_parts() -> None:
    timing = {"repeat": {"frequency": 2, "period": 1, "periodUnit": "d", "boundsPeriod": {"start": "2026-01-01"}}}
    composed = {
        "doseAndRate": [{"doseQuantity": {"value": 1, "unit": "viên"}}],
        "timing": timing,
        "asNeededBoolean": True,
    }
    body = one(make("MedicationRequest", medicationCodeableConcept={"text": "A"}, dosageInstruction=[composed])).body
    assert body["items"][0]["dose"] == "1 viên × 2 / 1 d, khi cần (as needed)"
    assert body["period"] == {"start": "2026-01-01", "end": None}
    written = one(
        make(
            "MedicationRequest",
            medicationCodeableConcept={"text": "A"},
            dosageInstruction=[{**composed, "text": "sáng 1 viên"}],
        )
    )
    assert written.body["items"][0]["dose"] == "sáng 1 viên"


def test_a_number_shared_by_several_lines_is_shown_and_makes_no_copy_key() -> None:
    shared = make("MedicationRequest", medicationCodeableConcept={"text": "A"}, groupIdentifier={"value": "01929abc-c"})
    assert (one(shared).body["number"], one(shared).number) == ("01929abc-c", None)
    own = make(
        "MedicationRequest",
        medicationCodeableConcept={"text": "A"},
        identifier=[{"system": "s", "value": "L1"}],
    )
    assert (one(own).body["number"], one(own).number) == ("L1", ("01929", "L1"))


def test_a_drug_given_during_an_encounter_is_used_in_the_facility() -> None:
    elements: dict[str, Any] = {
        "medicationCodeableConcept": {"text": "A"},
        "dosage": {"dose": {"value": 2, "unit": "lọ"}},
        "effectiveDateTime": "2026-01-02",
    }
    outside = one(make("MedicationAdministration", **elements))
    assert (outside.body["use"], outside.body["quantity"], outside.body["unit"]) == ("UNKNOWN", "2", "lọ")
    inside = one(make("MedicationAdministration", context={"reference": "Encounter/e9"}, **elements))
    assert (inside.body["use"], inside.encounter_key) == ("IN_FACILITY", "Encounter/e9")


@pytest.mark.parametrize("code", sorted(STATED_NONE))
def test_a_confirmed_no_known_allergy_is_stated_none(code: str) -> None:
    assert one(make("AllergyIntolerance", code=concept(code))).body["statedNone"] is True
    confirmed = make(
        "AllergyIntolerance",
        code=concept(code),
        verificationStatus=concept("confirmed"),
        clinicalStatus=concept("active"),
    )
    assert one(confirmed).body["statedNone"] is True


@pytest.mark.parametrize(
    "elements",
    [{"clinicalStatus": concept("inactive")}, {"clinicalStatus": concept("resolved")}]
    + [{"verificationStatus": concept(word)} for word in ("unconfirmed", "refuted", "presumed")],
)
def test_a_no_known_allergy_that_is_not_in_force_is_neither_none_nor_an_allergy_and_withdraws_what_was_stored(
    elements: dict[str, Any],
) -> None:
    parsed = parse(PATIENT, make("AllergyIntolerance", code=concept("716186003"), **elements))
    assert records(parsed) == [] and remarks(parsed)["NEGATION_NOT_IN_FORCE", "AllergyIntolerance"] == 1
    assert parsed.units[0].withdrawn == {"AllergyIntolerance/x1"}


def test_a_refuted_allergy_is_kept_with_its_verification_status() -> None:
    body = one(make("AllergyIntolerance", code=concept("227493005"), verificationStatus=concept("refuted"))).body
    assert (body["statedNone"], body["verificationStatus"]) == (False, "refuted")


def test_no_information_about_allergies_is_no_statement() -> None:
    parsed = parse(PATIENT, make("AllergyIntolerance", code=concept("no-allergy-info")))
    assert records(parsed) == [] and remarks(parsed) == {("NO_INFORMATION", "AllergyIntolerance"): 1}


@pytest.mark.parametrize(
    "resource",
    [
        make("AllergyIntolerance", code=concept("716186003"), verificationStatus=concept("entered-in-error")),
        make("Condition", code=concept("1"), verificationStatus=concept("entered-in-error")),
        *(
            make(kind, status="entered-in-error", code=concept("1"))
            for kind in ("Observation", "Procedure", "DiagnosticReport", "Immunization")
        ),
        *(
            make(kind, status="entered-in-error")
            for kind in ("ImagingStudy", "MedicationRequest", "MedicationAdministration", "DocumentReference")
        ),
        *(make(kind, status="entered-in-error") for kind in ("Composition", "ServiceRequest", "Coverage")),
    ],
    ids=lambda resource: str(resource["resourceType"]),
)
def test_what_was_entered_in_error_is_counted_not_stored_and_withdraws_what_was_stored(
    resource: dict[str, Any],
) -> None:
    parsed = parse(PATIENT, resource)
    kind = resource["resourceType"]
    assert records(parsed) == [] and not parsed.errors
    assert remarks(parsed) == {("ENTERED_IN_ERROR", kind): 1}
    assert parsed.units[0].withdrawn == {f"{kind}/x1"}
