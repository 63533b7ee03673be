"""Units, patients, facilities, versions and references of the FHIR feed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from node_agent.feeds.fhir import FhirFeed
from node_agent.records import ParsedPatient, Supersede
from schema.identity import Identifier, IdentifierKind
from tests.node_agent.feeds.fhir_files import (
    ENCOUNTER,
    HERE,
    ORGANIZATIONS,
    PATIENT,
    SID,
    SYSTEMS,
    THERE,
    bundle,
    concept,
    errors,
    feed,
    make,
    parse,
    records,
    remarks,
)

IN_VISIT = make("Observation", code=concept("1"), encounter={"reference": "Encounter/e1"})
V2_0203 = "http://terminology.hl7.org/CodeSystem/v2-0203"


def person(**elements: Any) -> ParsedPatient:
    """The only patient of a file with PATIENT changed."""
    return parse({**PATIENT, **elements}).units[0].patient


def test_a_visit_is_one_unit_and_the_rest_of_the_patient_another() -> None:
    units = parse(PATIENT, ENCOUNTER, IN_VISIT, make("Condition", code=concept("2"))).units
    assert [unit.unit_key for unit in units] == ["Encounter/e1", "Patient/p1"]
    assert [[record.source_key for record in unit.records] for unit in units] == [
        ["Encounter/e1", "Observation/x1"],
        ["Condition/x1"],
    ]
    assert {unit.supersede for unit in units} == {Supersede.RECORD}
    assert units[0].tables == {"Encounter", "Observation"} and units[0].facility == HERE
    assert [record.encounter_key for record in units[0].records] == [None, "Encounter/e1"]


def test_a_record_of_a_visit_in_another_file_finds_its_unit() -> None:
    assert [unit.unit_key for unit in parse(IN_VISIT).units] == ["Encounter/e1"]


def test_a_patient_who_is_not_in_the_file_has_a_local_id_only() -> None:
    assert parse(IN_VISIT).units[0].patient == ParsedPatient(HERE, "p1")


def test_a_patient_alone_is_a_unit_without_records() -> None:
    parsed = parse(PATIENT)
    assert [(unit.unit_key, unit.records) for unit in parsed.units] == [("Patient/p1", ())]


def test_a_patient_is_read_with_name_birth_date_and_gender() -> None:
    made = person()
    assert (made.name, made.birth_date, made.gender) == ("Nguyễn Văn Thử", "1985-03-01", "MALE")
    assert made.identifiers == (Identifier(IdentifierKind.CCCD, "001085012347"),) and made.doubts == frozenset()
    assert person(birthDate="1950").birth_date == "1950"
    assert person(name=[{"use": "old", "text": "A"}, {"text": "B"}]).name == "B"


def test_a_patient_that_cannot_be_read_is_an_error_and_the_records_stay_with_the_local_id() -> None:
    parsed = parse({**PATIENT, "gender": "nam"}, IN_VISIT)
    assert errors(parsed) == [("WRONG_VALUE", "entry[0] Patient", "Patient.gender")]
    assert parsed.units[0].patient == ParsedPatient(HERE, "p1") and len(records(parsed)) == 1
    # The number alone is believed of it: without it nobody's answer would say that something failed here.
    assert parsed.errors[0].patient == ParsedPatient(HERE, "p1", (Identifier(IdentifierKind.CCCD, "001085012347"),))


def test_a_medical_record_number_is_scoped_to_its_facility() -> None:
    number = {"type": {"coding": [{"system": V2_0203, "code": "MR"}]}, "system": "urn:local", "value": "0007"}
    assert person(identifier=[number]).identifiers == (Identifier(IdentifierKind.MRN, f"{HERE}:0007"),)


@pytest.mark.parametrize(
    "identifier",
    [
        {"system": "http://hl7.org/fhir/sid/passport-JPN", "value": "TK1234567"},
        {
            "system": f"{SID}/passport",
            "value": "TK1234567",
            "extension": [{"url": "urn:x:country", "valueCode": "JPN"}],
        },
        {"system": f"{SID}/passport", "value": "TK1234567", "assigner": {"display": "JPN"}},
        {"system": f"{SID}/passport", "value": "JPN:TK1234567"},
    ],
)
def test_a_passport_carries_its_country_when_the_file_tells_it(identifier: dict[str, Any]) -> None:
    assert person(identifier=[identifier]).identifiers == (Identifier(IdentifierKind.PASSPORT, "JPN:TK1234567"),)


@pytest.mark.parametrize(
    ("identifier", "code"),
    [
        ({"use": "old", "system": f"{SID}/cccd", "value": "001085012347"}, "IDENTIFIER_NOT_IN_USE"),
        ({"use": "temp", "system": f"{SID}/cccd", "value": "001085012347"}, "IDENTIFIER_NOT_IN_USE"),
        ({"system": f"{SID}/cccd", "value": "000000000000"}, "IDENTIFIER_PLACEHOLDER"),
        ({"system": f"{SID}/cccd", "value": "12"}, "IDENTIFIER_SHAPE"),
        ({"system": f"{SID}/cccd"}, "IDENTIFIER_EMPTY"),
    ],
)
def test_an_identifier_that_must_not_be_used_is_left_out_and_counted(identifier: dict[str, Any], code: str) -> None:
    parsed = parse({**PATIENT, "identifier": [identifier]})
    assert parsed.units[0].patient.identifiers == ()
    assert remarks(parsed)[code, "Patient.identifier CCCD"] == 1


def test_an_unknown_identifier_system_is_named_unless_its_name_may_hold_a_number() -> None:
    listed = [{"system": "http://acme.org/id", "value": "1"}, {"system": "urn:id:001085012347", "value": "2"}]
    found = remarks(parse({**PATIENT, "identifier": listed}))
    assert found["IDENTIFIER_UNMAPPED", "Patient.identifier http://acme.org/id"] == 1
    assert found["IDENTIFIER_UNMAPPED", "Patient.identifier (other system)"] == 1


@pytest.mark.parametrize(
    "provider",
    [
        {"reference": "Organization/org-there"},
        {"identifier": {"value": "org-there"}},
        {"reference": "Organization?identifier=urn:x|org-there"},
        {"reference": "Organization/ward"},
        {"reference": "urn:uuid:7c7e4a8e-0000-4000-8000-000000000001"},
    ],
)
def test_records_of_a_facility_this_node_does_not_serve_are_counted_and_not_stored(
    provider: dict[str, Any],
) -> None:
    ward = {"resourceType": "Organization", "id": "ward", "partOf": {"reference": "Organization/org-there"}}
    entries: list[dict[str, Any]]
    entries = [{"resource": r} for r in (PATIENT, {**ENCOUNTER, "serviceProvider": provider}, IN_VISIT, ward)]
    named = {"resourceType": "Organization", "id": "o9", "identifier": [{"value": "org-there"}]}
    entries.append({"fullUrl": "urn:uuid:7c7e4a8e-0000-4000-8000-000000000001", "resource": named})
    data = json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}).encode()
    parsed = feed().parse(data)
    assert parsed.units == () and not parsed.errors
    assert remarks(parsed)["ELSEWHERE", "Encounter"] == remarks(parsed)["ELSEWHERE", "Observation"] == 1
    both = FhirFeed([HERE, THERE], SYSTEMS, ORGANIZATIONS).parse(data)
    assert {unit.facility for unit in both.units} == {THERE} and both.units[0].patient.facility == THERE


def test_without_a_provider_the_patients_organization_decides_and_else_the_first_facility() -> None:
    managed = {**PATIENT, "managingOrganization": {"reference": "Organization/org-there"}}
    data = bundle(managed, ENCOUNTER, make("Condition", code=concept("1")))
    units = FhirFeed([HERE, THERE], SYSTEMS, ORGANIZATIONS).parse(data).units
    assert {unit.facility for unit in units} == {THERE}
    assert {unit.facility for unit in parse(PATIENT, ENCOUNTER).units} == {HERE}


def test_an_organization_nobody_configured_is_counted() -> None:
    parsed = parse(PATIENT, {**ENCOUNTER, "serviceProvider": {"reference": "Organization/other"}})
    assert parsed.units[0].facility == HERE
    assert remarks(parsed)["UNKNOWN_ORGANIZATION", "Encounter.serviceProvider"] == 1


def test_a_record_that_names_another_patients_visit_is_refused() -> None:
    parsed = parse(PATIENT, ENCOUNTER, {**IN_VISIT, "subject": {"reference": "Patient/p2"}})
    assert errors(parsed) == [("PATIENT_MISMATCH", "entry[2] Observation", "Observation.encounter")]
    apart = parse(IN_VISIT, {**IN_VISIT, "id": "x2", "subject": {"reference": "Patient/p2"}})
    assert [code for code, _, _ in errors(apart)] == ["PATIENT_MISMATCH"]


def test_a_subject_that_is_no_person_is_counted_and_one_without_subject_is_an_error() -> None:
    herd = {**IN_VISIT, "subject": {"reference": "Group/herd"}}
    nameless = {**IN_VISIT, "id": "x2", "subject": {"display": "bà A"}}
    parsed = parse(herd, nameless)
    assert remarks(parsed) == {("SUBJECT_NOT_A_PATIENT", "Observation Group"): 1}
    assert errors(parsed) == [("NO_PATIENT", "entry[1] Observation", "Observation.subject")]


@pytest.mark.parametrize(
    "reference",
    [
        "Patient/p1",
        "http://h.vn/fhir/Patient/p1",
        "Patient/p1/_history/3",
        "urn:uuid:5b1f0b1e-0000-4000-8000-00000000000a",
    ],
)
def test_every_form_of_reference_finds_the_patient(reference: str) -> None:
    entries: list[dict[str, Any]] = [
        {"fullUrl": "urn:uuid:5b1f0b1e-0000-4000-8000-00000000000a", "resource": PATIENT},
        {"resource": {**IN_VISIT, "subject": {"reference": reference}}},
    ]
    parsed = feed().parse(json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries}).encode())
    assert parsed.units[0].patient.identifiers and not parsed.errors


def test_ids_come_from_the_resource_then_from_the_full_url_then_from_the_content() -> None:
    bare = {name: value for name, value in IN_VISIT.items() if name != "id"}
    entries: list[dict[str, Any]] = [
        {"fullUrl": "urn:uuid:5b1f0b1e-0000-4000-8000-00000000000b", "resource": bare},
        {"resource": {**bare, "note": [{"text": "a"}]}},
    ]
    data = json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}).encode()
    keys = [record.source_key for record in records(feed().parse(data))]
    assert keys[0] == "Observation/5b1f0b1e-0000-4000-8000-00000000000b"
    assert len(keys[1]) == len("Observation/") + 64
    assert [record.source_key for record in records(feed().parse(data))] == keys


def test_of_two_versions_of_a_resource_in_one_file_the_newer_counts() -> None:
    older = {**IN_VISIT, "meta": {"lastUpdated": "2026-01-01T10:00:00+07:00"}, "valueString": "cũ"}
    newer = {**IN_VISIT, "meta": {"lastUpdated": "2026-01-01T04:00:00Z"}, "valueString": "mới"}
    for resources in ((older, newer), (newer, older)):
        parsed = parse(*resources)
        assert [record.body["value"] for record in records(parsed)] == ["mới"]
        assert parsed.units[0].version == "2026-01-01T04:00:00.000000Z"
        assert remarks(parsed)["DUPLICATE_RESOURCE", "Observation"] == 1


def test_a_resource_withdrawn_later_in_the_file_leaves_no_record() -> None:
    parsed = parse(PATIENT, IN_VISIT, {**IN_VISIT, "status": "entered-in-error"})
    assert records(parsed) == [] and parsed.units[0].withdrawn == {"Observation/x1"}


def test_units_without_last_updated_have_an_empty_version() -> None:
    assert parse(PATIENT, IN_VISIT).units[0].version == ""


def test_a_contained_patient_stays_with_its_own_container() -> None:
    baby = {"resourceType": "Patient", "id": "baby", "gender": "female"}
    parsed = parse({**IN_VISIT, "contained": [baby], "subject": {"reference": "#baby"}})
    assert parsed.units[0].patient == ParsedPatient(HERE, "Observation.x1.baby", gender="FEMALE")
