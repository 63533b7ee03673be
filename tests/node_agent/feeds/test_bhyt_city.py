"""The demo city's three XML hospitals against what is true of it."""

from __future__ import annotations

from collections import Counter

import pytest

from compose.demo.data import City, build_city
from node_agent.feeds.bhyt_xml import BhytXmlFeed
from node_agent.records import ParsedFile, ParsedRecord, ParsedUnit
from tests.node_agent.feeds.contract import problems

XML_HOSPITALS = ("01003", "01006", "01025")
KINDS = {
    "ENCOUNTER": "encounters",
    "CONDITION": "diagnoses",
    "PRESCRIPTION": "prescriptions",
    "MEDICATION_ADMINISTRATION": "medication_administrations",
}
UNDECIDABLE = "10"  # the care type of the demo whose drugs may be for home or for the hospital
ROW_TABLES = ("XML3", "XML4", "XML6", "XML7", "XML8", "XML9", "XML10", "XML11", "XML13", "XML14", "XML15")


@pytest.fixture(scope="module")
def city() -> City:
    return build_city()


@pytest.fixture(scope="module")
def parsed(city: City) -> dict[str, list[ParsedFile]]:
    return {
        code: [BhytXmlFeed([code]).parse(file.data) for file in city.files if file.facility == code]
        for code in XML_HOSPITALS
    }


def kept(files: list[ParsedFile]) -> list[ParsedRecord]:
    """What a store shows: the newest unit of each visit, with the older ones' tables that it lacks."""
    versions: dict[str, list[ParsedUnit]] = {}
    for file in files:
        for unit in file.units:
            versions.setdefault(unit.unit_key, []).append(unit)
    records: list[ParsedRecord] = []
    for units in versions.values():
        held: set[str] = set()
        newest_first = sorted(enumerate(units), key=lambda place: (place[1].version, place[0]), reverse=True)
        for _, unit in newest_first:
            records += [record for record in unit.records if record.table not in held]
            held |= unit.tables
    return records


def test_no_good_file_gives_an_error(parsed: dict[str, list[ParsedFile]]) -> None:
    assert [error.code for files in parsed.values() for file in files for error in file.errors] == []


def test_every_body_fits_the_contract(parsed: dict[str, list[ParsedFile]]) -> None:
    assert [problem for files in parsed.values() for file in files for problem in problems(file)] == []


@pytest.mark.parametrize("code", XML_HOSPITALS)
def test_the_records_kept_are_exactly_those_that_are_true(
    code: str, city: City, parsed: dict[str, list[ParsedFile]]
) -> None:
    truth: dict[str, int] = city.truth["facilities"][code]["counts"]
    records = kept(parsed[code])
    found: Counter[str] = Counter()
    care = {r.source_key: r.body["careType"]["code"] for r in records if r.kind.value == "ENCOUNTER"}
    for record in records:
        if record.kind.value == "PRESCRIPTION" and care[record.encounter_key or ""] == UNDECIDABLE:
            assert record.body["use"] == "UNKNOWN"
            found["medications_of_unknown_use"] += len(record.body["items"])
            continue
        if record.kind.value in KINDS:
            found[KINDS[record.kind.value]] += 1
        if record.kind.value == "PRESCRIPTION":
            found["prescription_items"] += len(record.body["items"])
        if record.table in ROW_TABLES or (record.table, record.kind.value) == ("XML5", "DOCUMENT_REFERENCE"):
            found[record.table] += 1
        found["open_check_ins"] += record.body.get("status") == "IN_PROGRESS"
    expected = {key: number for key, number in truth.items() if key not in ("XML1", "XML2")}
    assert {key: number for key, number in found.items() if number} == expected


@pytest.mark.parametrize("code", XML_HOSPITALS)
def test_every_patient_is_known_by_the_hospitals_own_number(
    code: str, city: City, parsed: dict[str, list[ParsedFile]]
) -> None:
    numbers = {unit.patient.local_id for file in parsed[code] for unit in file.units}
    assert numbers == set(city.truth["facilities"][code]["local_patients"])


def test_every_referral_has_the_number_that_its_sender_gave(city: City, parsed: dict[str, list[ParsedFile]]) -> None:
    found = {r.number for files in parsed.values() for r in kept(files) if r.kind.value == "REFERRAL"}
    true = {(letter["from"], letter["number"]) for letter in city.truth["referrals"] if letter["from"] in XML_HOSPITALS}
    assert found == true and true


def test_a_newborn_with_its_mothers_card_is_doubtful(city: City, parsed: dict[str, list[ParsedFile]]) -> None:
    babies = {person["person"] for person in city.truth["people"] if person["mother"]}
    owners = {code: city.truth["facilities"][code]["local_patients"] for code in XML_HOSPITALS}
    units = [u for c, fs in parsed.items() for f in fs for u in f.units if owners[c][u.patient.local_id] in babies]
    assert units and all(unit.patient.doubts for unit in units)


def test_every_visit_for_hiv_or_tuberculosis_by_its_table_is_labelled_whole(
    city: City, parsed: dict[str, list[ParsedFile]]
) -> None:
    true = {(row["facility"], row["visit"]) for row in city.truth["restricted"] if row["table"] in ("XML6", "XML15")}
    labelled = {
        (u.facility, u.unit_key) for files in parsed.values() for f in files for u in f.units if "HIV" in u.labels
    }
    assert labelled == true and true
