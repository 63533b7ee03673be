"""Every story that the demo city promises is told in the files of its hospitals."""

from __future__ import annotations

import pytest

from compose.demo.data import City, build_city
from compose.demo.data.drugs import ARV, DRUGS
from compose.demo.data.stories import STORIES
from tests.compose.city_files import FHIR_FACILITIES, XML_FACILITIES, people_of, rows


@pytest.fixture(scope="module")
def city() -> City:
    return build_city()


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
