"""The demo city is deterministic, well formed, and holds every story it promises."""

from __future__ import annotations

import json
import re
import unicodedata
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from compose.demo.data import City, build_city, damaged_files, write_city
from compose.demo.data.conditions import CONDITIONS
from compose.demo.data.drugs import DRUGS
from compose.demo.data.layouts import LAYOUTS
from compose.demo.data.stories import STORIES
from tests.compose.city_files import (
    FHIR_FACILITIES,
    FIELD_TABLES,
    XML_FACILITIES,
    documents,
    references,
    resources,
    rows,
    xml_files,
)


def words(text: str) -> set[str]:
    return set(text.split())


ENVELOPE = words(
    "GIAMDINHHS THONGTINDONVI MACSKCB THONGTINHOSO NGAYLAP SOLUONGHOSO DANHSACHHOSO HOSO FILEHOSO LOAIHOSO "
    "NOIDUNGFILE CHUKYDONVI"
)

ODDITIES = words(
    "old_summary_root inline_xml cdata nfd nbsp_and_zero_width birth_year_only eight_digit_time "
    "fourteen_digit_time several_visits trailing_semicolon two_cards resent_without_xml4 corrected "
    "corrected_same_day old_version_arrives_late check_in code_without_dot vitals_escaped_twice ndjson "
    "collection amended doubled_list_items"
)


@pytest.fixture(scope="module")
def city() -> City:
    return build_city()


def test_the_same_seed_gives_the_same_bytes(city: City, tmp_path: Path) -> None:
    again = build_city()
    assert [(f.facility, f.name, f.data) for f in again.files] == [(f.facility, f.name, f.data) for f in city.files]
    assert json.dumps(again.truth) == json.dumps(city.truth)
    write_city(city, tmp_path / "one")
    write_city(again, tmp_path / "two")
    assert (tmp_path / "one" / "truth.json").read_bytes() == (tmp_path / "two" / "truth.json").read_bytes()


def test_another_seed_gives_another_city_that_still_holds_every_story() -> None:
    other = build_city(seed=7, people=90)
    assert len(other.people) == 90
    assert {person.story for person in other.people} == set(STORIES)
    assert sum(len(p["facilities"]) >= 2 for p in other.truth["people"]) >= 30


def test_a_city_too_small_for_its_stories_is_refused() -> None:
    with pytest.raises(ValueError, match="at least"):
        build_city(people=20)


def test_files_lie_in_each_inbox_in_the_order_they_arrive(city: City, tmp_path: Path) -> None:
    write_city(city, tmp_path)
    for facility in XML_FACILITIES | FHIR_FACILITIES:
        names = [file.name for file in city.files if file.facility == facility]
        assert names == sorted(names)
        assert sorted(path.name for path in (tmp_path / facility / "inbox").iterdir()) == names


def test_every_xml_is_well_formed_inside_and_outside(city: City) -> None:
    tables = {name for _, data in xml_files(city) for name, _ in documents(data)}
    assert tables == set(LAYOUTS) - {"XML13_QD3176"}


def test_every_element_is_named_in_the_field_tables(city: City) -> None:
    known = {name for layout in LAYOUTS.values() for name in (*layout.wrappers, *layout.columns)}
    known |= {"CHI_TIEU_TONG_HOP", "CHUKYDONVI"}
    for name, data in xml_files(city):
        root = ET.fromstring(data)
        if root.tag == "GIAMDINHHS" and root.find(".//NOIDUNGFILE/*") is None:
            assert {element.tag for element in root.iter()} <= ENVELOPE, name
        for _, document in documents(data):
            assert {element.tag for element in document.iter()} <= known, name


def test_the_layouts_are_those_of_the_annex() -> None:
    if not FIELD_TABLES.exists():
        pytest.skip("the reference tables are not here")
    annex = json.loads(FIELD_TABLES.read_text())
    for name, layout in LAYOUTS.items():
        if name != "XML13_QD3176":
            assert list(layout.columns) == [field["name"] for field in annex[name]["fields"]]


def test_the_counts_of_the_truth_are_those_of_the_files(city: City) -> None:
    for code in XML_FACILITIES:
        counts = city.truth["facilities"][code]["counts"]
        for table in ("XML1", "XML2", "XML3", "XML4", "XML5", "XML7", "XML8", "XML13", "XML14"):
            kept = {(row["MA_LK"], row.get("STT", "1")) for row in rows(city, code, table)}
            absent = {
                again["visit"]
                for again in city.truth["resends"]
                if again["facility"] == code and table in again["not_resent"]
            }
            missing = sum(
                1
                for file in city.files
                if file.facility == code and "superseded" in file.oddities and file.visits[0] in absent
                for name, document in documents(file.data)
                if name == table
                for element in document.iter()
                if element.find("MA_LK") is not None
            )
            assert len(kept) + missing == counts.get(table, 0), (code, table)
    for code in FHIR_FACILITIES:
        counts = city.truth["facilities"][code]["counts"]
        seen = {(r["resourceType"], r["id"]) for _, r, _ in resources(city, code)}
        for kind in ("Encounter", "Condition", "Observation", "MedicationRequest", "ImagingStudy"):
            assert sum(name == kind for name, _ in seen) == counts[kind]


def test_no_fhir_reference_dangles(city: City) -> None:
    for code in FHIR_FACILITIES:
        for file, resource, named in resources(city, code):
            assert set(references(resource)) <= named, (file, resource["id"])


def test_the_fhir_hospitals_send_every_kind_the_product_reads(city: City) -> None:
    kinds = {resource["resourceType"] for code in FHIR_FACILITIES for _, resource, _ in resources(city, code)}
    assert kinds == words(
        "Patient Encounter Condition Observation Procedure MedicationRequest MedicationAdministration "
        "AllergyIntolerance Immunization DiagnosticReport ImagingStudy DocumentReference ServiceRequest "
        "Appointment Coverage Organization Practitioner"
    )


def test_some_patients_have_a_stated_absence_of_allergies_with_author_and_date(city: City) -> None:
    stated, allergic = [], set()
    for code in FHIR_FACILITIES:
        for _, resource, _ in resources(city, code):
            if resource["resourceType"] != "AllergyIntolerance":
                continue
            who = (code, resource["patient"]["reference"])
            if resource["code"]["coding"][0]["code"] == "716186003":
                assert resource["recorder"] and resource["recordedDate"]
                stated.append(who)
            else:
                allergic.add(who)
    assert stated and allergic and not allergic & set(stated)


def test_fhir_decimals_keep_their_last_zero(city: City) -> None:
    sent = b"".join(file.data for file in city.files if file.facility in FHIR_FACILITIES)
    assert re.search(rb'"value": \d+\.\d0[,\s]', sent)


def test_the_oddities_of_real_exports_occur(city: City) -> None:
    found = {oddity for file in city.files for oddity in file.oddities}
    assert found >= ODDITIES
    assert any(b"<NOIDUNGFILE></NOIDUNGFILE>" in data for _, data in xml_files(city))
    texts = [row["DIEN_BIEN_LS"] for row in rows(city, "01006", "XML5")]
    assert any(unicodedata.normalize("NFC", text) != text for text in texts)
    assert all("CSST<" in text for text in texts)
    quantities = [row["SO_LUONG"] for row in rows(city, "01006", "XML2")]
    assert any("." in quantity for quantity in quantities)
    values = {row["GIA_TRI"] for code in XML_FACILITIES for row in rows(city, code, "XML4")}
    assert values >= {"<0.01", "Âm tính"}


def test_open_visits_are_checked_in_and_not_exported(city: City) -> None:
    for code in XML_FACILITIES:
        finished = {row["MA_LK"] for row in rows(city, code, "XML1")}
        open_visits = {
            visit["visit"]
            for person in city.truth["people"]
            for visit in person["facilities"].get(code, {"visits": []})["visits"]
            if visit["open"]
        }
        arrived = {row["MA_LK"] for row in rows(city, code, "XML0")}
        assert open_visits and open_visits == arrived - finished


def test_every_hospital_has_sent_something_in_the_last_days(city: City) -> None:
    starts: dict[str, str] = {}
    for person in city.truth["people"]:
        for code, held in person["facilities"].items():
            for visit in held["visits"]:
                starts[code] = max(starts.get(code, ""), visit["start"])
    assert all("2026-11-17" <= start < "2026-11-21" for start in starts.values())


def test_the_catalogue_holds_about_thirty_common_conditions() -> None:
    assert len(CONDITIONS) >= 30
    assert all(DRUGS[key] for condition in CONDITIONS.values() for key in condition.drugs)


def test_damaged_files_are_named_and_different() -> None:
    damaged = damaged_files()
    assert len(damaged) >= 12
    assert len(set(damaged.values())) == len(damaged)
    for name in ("not_xml.xml", "empty_file.xml", "truncated.xml"):
        with pytest.raises(ET.ParseError):
            ET.fromstring(damaged[name])
