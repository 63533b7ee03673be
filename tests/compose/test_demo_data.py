"""The demo city is deterministic, well formed, and holds every story it promises."""

from __future__ import annotations

import base64
import json
import re
import unicodedata
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from compose.demo.data import City, build_city, damaged_files, write_city
from compose.demo.data.conditions import CONDITIONS
from compose.demo.data.drugs import ARV, DRUGS
from compose.demo.data.layouts import LAYOUTS
from compose.demo.data.stories import STORIES

XML_FACILITIES = {"01003", "01006", "01025"}
FHIR_FACILITIES = {"01929", "01816"}
FIELD_TABLES = Path(__file__).resolve().parents[3] / "shared" / "reference" / "qd4750" / "qd4750_fields.json"


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


def xml_files(city: City) -> list[tuple[str, bytes]]:
    return [(file.name, file.data) for file in city.files if file.facility in XML_FACILITIES]


def documents(data: bytes) -> Iterator[tuple[str, ET.Element]]:
    """(LOAIHOSO, inner root) of every table in a file, whichever way it is carried."""
    root = ET.fromstring(data)
    if root.tag == "CHI_TIEU_TRANG_THAI_KCB":
        yield "XML0", root
        return
    for file in root.iter("FILEHOSO"):
        content = file.find("NOIDUNGFILE")
        assert content is not None
        name = file.findtext("LOAIHOSO", "")
        if len(content):
            yield name, content[0]
        elif content.text and content.text.strip():
            yield name, ET.fromstring(base64.b64decode(content.text, validate=False))


def rows(city: City, facility: str, table: str) -> list[dict[str, str]]:
    found = []
    for file in city.files:
        if file.facility != facility or "superseded" in file.oddities:
            continue
        for name, document in documents(file.data):
            if name == table:
                rows_here = [e for e in document.iter() if e.find("MA_LK") is not None]
                found += [{child.tag: (child.text or "").strip() for child in row} for row in rows_here]
    return found


def resources(city: City, facility: str) -> Iterator[tuple[str, dict[str, Any], set[str]]]:
    """(file, resource, what a reference in that file may name)."""
    for file in city.files:
        if file.facility != facility:
            continue
        if file.name.endswith(".ndjson"):
            lines = [json.loads(line) for line in file.data.decode().splitlines()]
            named = {f"{line['resourceType']}/{line['id']}" for line in lines}
            yield from ((file.name, line, named) for line in lines)
            continue
        entries = json.loads(file.data)["entry"]
        named = {entry["fullUrl"] for entry in entries}
        yield from ((file.name, entry["resource"], named) for entry in entries)


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "reference" and isinstance(inner, str):
                yield inner
            else:
                yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def people_of(city: City, story: str) -> list[dict[str, Any]]:
    return [person for person in city.truth["people"] if person["story"] == story]


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


def test_a_third_of_the_people_are_seen_at_two_or_more_hospitals(city: City) -> None:
    held = [len(person["facilities"]) for person in city.truth["people"]]
    assert len(held) == 200
    assert sum(number >= 2 for number in held) * 3 >= len(held)
    assert sum(number >= 4 for number in held) >= 3
    assert min(held) >= 1


def test_every_story_is_told(city: City) -> None:
    assert {person.story for person in city.people} == set(STORIES)
    for story, least in (("referral", 3), ("newborn", 2), ("hiv", 2), ("placeholder", 4), ("no_card", 2)):
        assert len(people_of(city, story)) >= least


def test_every_cccd_agrees_with_sex_and_birth_year(city: City) -> None:
    for person in city.people:
        if not person.cccd:
            continue
        assert len(person.cccd) == 12 and person.cccd.isdigit()
        century, female = divmod(int(person.cccd[3]), 2)
        assert bool(female) is not person.male
        assert 1900 + 100 * century + int(person.cccd[4:6]) == person.birth.year


def test_nobody_shares_a_true_identifier(city: City) -> None:
    for kind in ("cccd", "cmnd", "passport", "bhxh"):
        values = [value for person in city.people if (value := getattr(person, kind))]
        assert len(values) == len(set(values))


def test_cards_have_fifteen_characters_or_ten_digits(city: City) -> None:
    lengths = {len(card) for person in city.people for card in person.cards}
    assert lengths == {10, 15}


def test_a_referral_letter_is_honoured_where_it_points(city: City) -> None:
    honoured = 0
    for letter in city.truth["referrals"]:
        if letter["from"] in XML_FACILITIES:
            issued = [r for r in rows(city, letter["from"], "XML13") if r["MA_LK"] == letter["from_visit"]]
            assert [r["GIAY_CHUYEN_TUYEN"] for r in issued] == [letter["number"]]
            assert issued[0].get("MA_NOI_DEN", issued[0].get("MA_CSKCB_DEN")) == letter["to"]
        if letter["to"] in XML_FACILITIES:
            arrived = [r for r in rows(city, letter["to"], "XML1") if r["MA_LK"] == letter["to_visit"]]
            assert [(r["GIAY_CHUYEN_TUYEN"], r["MA_NOI_DI"]) for r in arrived] == [(letter["number"], letter["from"])]
            honoured += letter["from"] == "01003"
    assert honoured >= 3


def test_both_layouts_of_the_referral_letter_occur(city: City) -> None:
    assert all("TEN_THUOC" in row and "TINH_TRANG_CT" not in row for row in rows(city, "01003", "XML13"))
    assert all("TINH_TRANG_CT" in row and "MA_NOI_DEN" not in row for row in rows(city, "01025", "XML13"))


def test_the_showcase_person_is_seen_everywhere_by_both_feeds(city: City) -> None:
    (person,) = [p for p in city.truth["people"] if p["showcase"]]
    assert person["person"] == city.truth["showcase"]
    assert len(person["facilities"]) >= 4
    counts = {code: held["counts"] for code, held in person["facilities"].items()}
    assert counts["01929"]["AllergyIntolerance"] and counts["01929"]["ImagingStudy"]
    assert counts["01006"]["medication_administrations"] and counts["01003"]["prescriptions"]
    starts = sorted(v["start"] for held in person["facilities"].values() for v in held["visits"])
    assert int(starts[-1][:4]) - int(starts[0][:4]) >= 3


def test_a_newborn_row_carries_the_mothers_name_and_number_but_its_own_birth(city: City) -> None:
    people = {person["person"]: person for person in city.truth["people"]}
    babies = [person for person in people_of(city, "newborn") if person["mother"]]
    summaries = rows(city, "01003", "XML1")
    assert len(babies) == 2
    for baby in babies:
        mother = people[baby["mother"]]
        (row,) = [r for r in summaries if r["MA_BN"] in baby["facilities"]["01003"]["local"]]
        assert row["SO_CCCD"] == mother["identifiers"]["cccd"]
        assert row["HO_TEN"] == mother["name"].upper()
        assert row["NGAY_SINH"][:8] == baby["birth"].replace("-", "")
        assert row["NGAY_SINH"] <= row["NGAY_VAO"]
        assert mother["facilities"].keys() >= {"01003", "01006"}
        delivered = [r for r in summaries if r["MA_BN"] in mother["facilities"]["01003"]["local"]]
        assert [r["CAN_NANG_CON"] for r in delivered if r["MA_BENH_CHINH"] == "O80.0"] == ["3150"]
    assert len(rows(city, "01003", "XML9")) == 2


def test_hiv_is_written_only_in_the_restricted_visits(city: City) -> None:
    restricted = {(r["facility"], r["visit"]) for r in city.truth["restricted"] if r["label"] == "hiv"}
    assert restricted and {facility for facility, _ in restricted} == {"01006"}
    arv = {DRUGS[key].ingredient for key in ARV}
    for facility in XML_FACILITIES:
        for row in rows(city, facility, "XML1"):
            hiv = row["MA_BENH_CHINH"][:3] in {"B20", "B21", "B22", "B23", "B24", "Z21"} or "HIV" in row["CHAN_DOAN_RV"]
            assert hiv is ((facility, row["MA_LK"]) in restricted)
        for row in rows(city, facility, "XML2"):
            assert (facility, row["MA_LK"]) in restricted or row["MA_THUOC"] not in arv
    for facility in FHIR_FACILITIES:
        assert not any(b"HIV" in file.data for file in city.files if file.facility == facility)


def test_a_birth_conflict_is_one_number_with_two_birth_dates(city: City) -> None:
    births: dict[str, set[str]] = {}
    for person in people_of(city, "birth_conflict"):
        for held in person["facilities"].values():
            for visit in held["visits"]:
                births.setdefault(visit["written_id"], set()).add(visit["written_birth"])
    assert len(births) == 2
    assert all(len(dates) == 2 for dates in births.values())


def test_placeholders_are_shared_by_unrelated_people(city: City) -> None:
    written = [
        visit["written_id"]
        for person in people_of(city, "placeholder")
        for held in person["facilities"].values()
        for visit in held["visits"]
    ]
    assert {value: written.count(value) for value in written} == {
        "000000000000": 2,
        "123456789012": 2,
        "111111111111": 2,
        "": 2,
    }


def test_a_local_number_names_one_person_in_a_hospital_and_others_elsewhere(city: City) -> None:
    held: dict[str, set[str]] = {}
    for facility in city.truth["facilities"].values():
        for number, person in facility["local_patients"].items():
            held.setdefault(number, set()).add(person)
    assert any(len(people) > 1 for people in held.values())


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
