"""One rule a test: how each FHIR resource becomes a record of the contract."""

from __future__ import annotations

import pytest

from tests.node_agent.feeds.fhir_files import (
    ENCOUNTER,
    PATIENT,
    Json,
    concept,
    errors,
    make,
    one,
    parse,
    records,
    remarks,
)

LOINC, SNOMED = "http://loinc.org", "http://snomed.info/sct"
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ("AMB", "AMBULATORY"),
        ("IMP", "INPATIENT"),
        ("ACUTE", "INPATIENT"),
        ("NONAC", "INPATIENT"),
        ("EMER", "EMERGENCY"),
        ("SS", "DAY"),
        ("HH", "HOME"),
        ("VR", "VIRTUAL"),
        ("OBSENC", "OTHER"),
        ("PRENC", "OTHER"),
        ("xyz", "OTHER"),
    ],
)
def test_an_encounter_class_is_named_in_plain_words(code: str, word: str) -> None:
    assert one({**ENCOUNTER, "class": {"system": ACT, "code": code}}).body["class"] == word


@pytest.mark.parametrize(
    ("status", "word"),
    [
        ("planned", "PLANNED"),
        ("arrived", "IN_PROGRESS"),
        ("triaged", "IN_PROGRESS"),
        ("in-progress", "IN_PROGRESS"),
        ("onleave", "IN_PROGRESS"),
        ("finished", "FINISHED"),
        ("cancelled", "CANCELLED"),
        ("entered-in-error", "ENTERED_IN_ERROR"),
    ],
)
def test_an_encounter_status_is_one_of_the_contracts(status: str, word: str) -> None:
    assert one({**ENCOUNTER, "status": status}).body["status"] == word


def test_an_encounter_without_class_and_status_is_unknown_not_an_error() -> None:
    bare = {name: ENCOUNTER[name] for name in ("resourceType", "id", "subject")}
    body = one(bare).body
    assert (body["class"], body["status"], body["period"]) == ("UNKNOWN", "UNKNOWN", None)


def test_a_status_outside_fhir_is_an_error_that_names_the_field_and_the_patient() -> None:
    parsed = parse(PATIENT, {**ENCOUNTER, "status": "done"})
    assert errors(parsed) == [("WRONG_VALUE", "entry[1] Encounter", "Encounter.status")]
    assert parsed.errors[0].patient is not None and parsed.errors[0].patient.identifiers


def test_the_letter_a_patient_brought_and_where_from_are_kept() -> None:
    origin = {"identifier": {"system": "http://fhir.vn/sid/cskcb", "value": "01003"}}
    brought = {"system": "http://fhir.vn/sid/referral/01003", "value": "12/2026/GCT"}
    body = one({**ENCOUNTER, "hospitalization": {"origin": origin, "preAdmissionIdentifier": brought}}).body
    assert (body["referredFrom"], body["broughtLetterNumber"]) == ("01003", "12/2026/GCT")


def test_a_conditions_role_comes_from_the_encounters_list_and_is_problem_without_one() -> None:
    uses: list[tuple[Json, str]] = [
        ({"rank": 1}, "MAIN"),
        ({"rank": 2}, "COMORBID"),
        ({"use": concept("AD")}, "ADMISSION"),
        ({"use": concept("CM")}, "COMORBID"),
        ({}, "PROBLEM"),
    ]
    listed = [{"condition": {"reference": f"Condition/c{n}"}, **use} for n, (use, _) in enumerate(uses)]
    conditions = [make("Condition", id=f"c{n}", code=concept("I10")) for n in range(len(uses))]
    found = records(parse(PATIENT, {**ENCOUNTER, "diagnosis": listed}, *conditions))[1:]
    assert [record.body["role"] for record in found] == [role for _, role in uses]
    assert {record.encounter_key for record in found} == {"Encounter/e1"}


def test_a_condition_sorts_by_its_onset_and_else_by_when_it_was_recorded() -> None:
    assert one(make("Condition", code=concept("1"), onsetDateTime="2019", recordedDate="2020-01-01")).time == "2019"
    assert one(make("Condition", code=concept("1"), recordedDate="2020-01-01")).time == "2020-01-01"


def test_a_condition_without_a_code_is_stored_and_counted() -> None:
    parsed = parse(PATIENT, make("Condition", recordedDate="2020"))
    assert records(parsed)[0].body["code"] == {"system": None, "code": None, "display": None, "asSent": None}
    assert remarks(parsed)["NO_CODE", "Condition.code"] == 1


def test_components_keep_order_and_value() -> None:
    parts = [
        {"code": concept("8480-6", LOINC), "valueQuantity": {"value": 120, "unit": "mmHg"}},
        {"code": concept("8462-4", LOINC), "valueString": "80"},
    ]
    body = one(make("Observation", code=concept("85354-9", LOINC), component=parts)).body
    assert [(c["position"], c["value"]) for c in body["components"]] == [(1, "120 mmHg"), (2, "80")]
    assert body["value"] is None


def test_an_observation_without_a_code_is_an_error_and_its_neighbours_stay() -> None:
    parsed = parse(PATIENT, make("Observation", valueString="x"), make("Observation", id="x2", code=concept("1")))
    assert errors(parsed) == [("MISSING_FIELD", "entry[1] Observation", "Observation.code")]
    assert [record.source_key for record in records(parsed)] == ["Observation/x2"]


def test_reference_ranges_and_interpretations_become_text() -> None:
    ranges = [
        {"low": {"value": 3.5, "unit": "g"}, "high": {"value": 5.1, "unit": "g"}},
        {"text": "< 200", "type": concept("treatment", display="Đích")},
    ]
    body = one(make("Observation", code=concept("1"), referenceRange=ranges, interpretation=[concept("H")])).body
    assert body["referenceRange"] == "3.5 g – 5.1 g; Đích: < 200"
    assert body["interpretation"] == "H"


def test_practitioners_get_name_and_licence_from_their_resource_and_organizations_are_counted() -> None:
    person = {
        "resourceType": "Practitioner",
        "id": "d1",
        "name": [{"text": "Trần Thị Thử"}],
        "identifier": [{"value": "local-1"}, {"type": concept("MD"), "value": "000123/HNO-CCHN"}],
    }
    role = {"resourceType": "PractitionerRole", "id": "r1", "practitioner": {"reference": "Practitioner/d1"}}
    performers = [
        {"reference": "PractitionerRole/r1"},
        {"reference": "Practitioner/d1"},
        {"reference": "Organization/o"},
        {"reference": "Practitioner/none"},
    ]
    parsed = parse(PATIENT, person, role, make("Observation", code=concept("1"), performer=performers))
    assert records(parsed)[0].body["performers"] == [{"licence": "000123/HNO-CCHN", "name": "Trần Thị Thử"}]
    assert remarks(parsed)["NOT_A_PRACTITIONER", "Observation.performer Organization"] == 1
    assert remarks(parsed)["UNRESOLVED_REFERENCE", "Observation.performer"] == 1


def test_a_report_links_the_observations_it_names_contained_ones_too() -> None:
    inner = {"resourceType": "Observation", "id": "o1", "code": concept("1"), "valueString": "5"}
    outer = make("Observation", id="o2", code=concept("2"))
    results = [{"reference": "#o1"}, {"reference": "Observation/o2"}, {"reference": "Observation/earlier"}]
    parsed = parse(PATIENT, outer, make("DiagnosticReport", code=concept("3"), contained=[inner], result=results))
    found = {record.source_key: record for record in records(parsed)}
    assert found["DiagnosticReport/x1"].links == {
        "results": ("Observation/DiagnosticReport.x1.o1", "Observation/o2", "Observation/earlier")
    }
    assert found["Observation/DiagnosticReport.x1.o1"].body["value"] == "5"
    assert "results" not in found["DiagnosticReport/x1"].body


def test_a_contained_resource_that_nothing_names_is_counted() -> None:
    inner = {"resourceType": "Specimen", "id": "s1"}
    parsed = parse(PATIENT, make("Observation", code=concept("1"), contained=[inner]))
    assert remarks(parsed)["UNMAPPED_ELEMENT", "Observation.contained"] == 1


def test_an_accession_number_is_the_studys_number_by_type_or_by_system() -> None:
    by_type = {"type": concept("ACSN"), "value": "A1"}
    by_system = {"system": "http://fhir.vn/sid/accession/01929", "value": "A2"}
    uid = {"system": "urn:dicom:uid", "value": "urn:oid:1.2.3"}
    first = one(
        make("ImagingStudy", identifier=[uid, by_type], series=[{"uid": "1.2.3.1", "modality": {"code": "CT"}}])
    )
    assert first.number == ("01929", "A1") and first.body["studyUid"] == "1.2.3"
    assert [m["code"] for m in first.body["modalities"]] == ["CT"]
    assert one(make("ImagingStudy", identifier=[by_system])).number == ("01929", "A2")
    assert one(make("ImagingStudy", identifier=[uid])).number is None


def test_a_procedure_and_a_vaccine_keep_what_the_contract_holds() -> None:
    procedure = one(
        make(
            "Procedure",
            status="not-done",
            code=concept("80146002"),
            performedDateTime="2026-01-01",
            bodySite=[concept("1")],
            reasonCode=[{"text": "đau"}],
        )
    )
    assert procedure.body["status"] == "not-done" and procedure.time == "2026-01-01"
    assert (
        procedure.body["performed"] == {"start": "2026-01-01", "end": None}
        and procedure.body["reasons"][0]["display"] == "đau"
    )
    dose = [{"doseNumberPositiveInt": 2}]
    vaccine = one(
        make(
            "Immunization",
            status="completed",
            vaccineCode=concept("43"),
            occurrenceDateTime="2025-05",
            lotNumber="L1",
            protocolApplied=dose,
        )
    )
    assert (vaccine.body["doseNumber"], vaccine.body["lotNumber"], vaccine.time) == ("2", "L1", "2025-05")


def test_reasons_take_the_code_of_a_condition_in_the_file() -> None:
    condition = make("Condition", id="c1", code=concept("I10", "http://hl7.org/fhir/sid/icd-10", "Tăng huyết áp"))
    found = records(
        parse(
            PATIENT,
            condition,
            make("Procedure", code=concept("1"), reasonReference=[{"reference": "Condition/c1"}]),
        )
    )
    assert [reason["code"] for reason in found[1].body["reasons"]] == ["I10"]
