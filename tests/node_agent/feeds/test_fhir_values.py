"""Dates, numbers, codes, units of measure and narrative of the FHIR feed."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_agent.feeds.fhir_r4.codes import Concept, normalised, rank
from node_agent.feeds.fhir_r4.dates import partial_date, version_time
from node_agent.feeds.fhir_r4.values import decimal, plain_text
from schema.scalars import DECIMAL, PARTIAL_DATE, parse_partial_date
from tests.node_agent.feeds.fhir_files import (
    PATIENT,
    bundle,
    concept,
    feed,
    make,
    one,
    parse,
    records,
    remarks,
)

ICD10, SNOMED = "http://hl7.org/fhir/sid/icd-10", "http://snomed.info/sct"


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("1980", "1980"),
        ("1980-02", "1980-02"),
        ("1980-02-29", "1980-02-29"),
        ("2024-01-01T23:30:00Z", "2024-01-02T06:30:00+07:00"),
        ("2024-01-01T23:30:00.205+00:00", "2024-01-02T06:30:00.205+07:00"),
        ("2024-03-01T00:10:00+07:00", "2024-03-01T00:10:00+07:00"),
        ("2024-03-01T02:10:00-05:00", "2024-03-01T14:10:00+07:00"),
        ("2024-03-01T02:10Z", "2024-03-01T09:10+07:00"),
        ("2016-12-31T23:59:60Z", "2017-01-01T07:00:00+07:00"),
        ("2024-01-01T00:00:00.123456789Z", "2024-01-01T07:00:00.123456+07:00"),
    ],
)
def test_dates_keep_their_precision_and_come_out_in_hanoi_time(text: str, made: str) -> None:
    assert partial_date(text) == (made, False)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "24",
        "2024-13",
        "2024-02-30",
        "2024-01-01T24:00:00Z",
        "2024-01-01T10",
        "0000",
        "9999-12-31T23:00:00Z",
        "2024-01-01T00:00:00+15:00",
    ],
)
def test_what_is_no_fhir_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        partial_date(text)


def test_a_time_without_zone_is_taken_as_hanoi_time_and_counted() -> None:
    parsed = parse(make("Condition", code=concept("1"), recordedDate="2024-05-01T08:00:00"))
    assert parsed.units[0].records[0].time == "2024-05-01T08:00:00+07:00"
    assert remarks(parsed)["LOCAL_TIME_ASSUMED", "Condition.recordedDate"] == 1


@given(st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1)), st.integers(-14 * 60, 14 * 60))
def test_any_moment_is_the_same_moment_in_hanoi(moment: datetime, minutes: int) -> None:
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    made, assumed = partial_date(aware.isoformat())
    assert datetime.fromisoformat(made) == aware and not assumed
    assert parse_partial_date(made)


@given(
    st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1)),
    st.integers(-720, 720),
    st.integers(-720, 720),
)
def test_versions_order_bytewise_as_their_moments_do(moment: datetime, one_zone: int, other_zone: int) -> None:
    first = moment.replace(tzinfo=timezone(timedelta(minutes=one_zone)))
    second = first.astimezone(timezone(timedelta(minutes=other_zone))) + timedelta(microseconds=1)
    assert version_time(first.isoformat()) < version_time(second.isoformat())


@given(st.text(max_size=30))
def test_a_date_is_refused_or_fits_the_contract(text: str) -> None:
    try:
        made = partial_date(text)[0]
    except ValueError:
        return
    assert PARTIAL_DATE.fullmatch(made)


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_a_number_is_written_out_exactly_or_not_at_all(number: Decimal) -> None:
    made = decimal(str(number))
    if made is not None:
        assert DECIMAL.fullmatch(made) and Decimal(made) == number


@pytest.mark.parametrize(
    "digits", ["7.40", "0.0046550465720227585", "172.76868641229615", "100", "-0.50", "5e-1", "1.50E3"]
)
def test_digits_are_kept_as_written_in_the_text_and_written_out_in_the_quantity(digits: str) -> None:
    data = bundle(PATIENT, make("Observation", code=concept("1"), valueQuantity={"value": 1234567, "unit": "U"}))
    body = records(feed().parse(data.replace(b"1234567", digits.encode())))[0].body
    assert body["value"] == f"{digits} U"
    assert body["quantity"]["value"] == {"5e-1": "0.5", "1.50E3": "1500"}.get(digits, digits)


def test_a_number_too_long_for_the_contract_stays_as_text_and_is_counted() -> None:
    parsed = parse(make("Observation", code=concept("1"), valueQuantity={"value": 10**30, "unit": "U"}))
    body = parsed.units[0].records[0].body
    assert body["value"] == f"{10**30} U" and body["quantity"] is None
    assert remarks(parsed)["NUMBER_OUT_OF_RANGE", "Observation.valueQuantity.value"] == 1


@pytest.mark.parametrize(
    ("elements", "value"),
    [
        ({"valueQuantity": {"value": 175.98, "unit": "cm"}}, "175.98 cm"),
        ({"valueQuantity": {"value": 5, "comparator": "<", "code": "mg/L"}}, "<5 mg/L"),
        ({"valueString": "Âm tính"}, "Âm tính"),
        ({"valueBoolean": False}, "false"),
        ({"valueInteger": 0}, "0"),
        ({"valueDateTime": "2024-01-01T20:00:00Z"}, "2024-01-02T03:00:00+07:00"),
        ({"valueTime": "12:30:00"}, "12:30:00"),
        ({"valueRange": {"low": {"value": 2, "unit": "g"}, "high": {"value": 3, "unit": "g"}}}, "2 g – 3 g"),
        ({"valueRange": {"high": {"value": 3}}}, "<= 3"),
        ({"valueRatio": {"numerator": {"value": 1}, "denominator": {"value": 128}}}, "1 : 128"),
        ({"valuePeriod": {"start": "2024"}}, "2024 – …"),
        ({"valueCodeableConcept": {"text": "Nhóm O"}}, "Nhóm O"),
        ({}, None),
    ],
)
def test_every_kind_of_value_has_a_text(elements: dict[str, object], value: str | None) -> None:
    assert one(make("Observation", code=concept("1"), **elements)).body["value"] == value


def test_the_best_known_system_is_chosen_and_the_others_are_counted() -> None:
    codings = [
        {"system": "http://x", "code": "L1"},
        {"system": SNOMED, "code": "44054006"},
        {"system": ICD10, "code": "e119", "display": "ĐTĐ"},
    ]
    parsed = parse(make("Condition", code={"coding": codings, "text": "Đái tháo đường"}))
    assert parsed.units[0].records[0].body["code"] == {
        "system": ICD10,
        "code": "E11.9",
        "display": "ĐTĐ",
        "asSent": "e119",
    }
    assert remarks(parsed)["ADDITIONAL_CODING", "Condition.code"] == 2
    assert remarks(parsed)["UNMAPPED_ELEMENT", "Condition.code.text"] == 1


def test_systems_rank_in_the_stated_order_by_uri_and_by_oid() -> None:
    uris = [
        ICD10,
        "http://loinc.org",
        SNOMED,
        "http://www.whocc.no/atc",
        "http://www.nlm.nih.gov/research/umls/rxnorm",
        "http://hl7.org/fhir/sid/cvx",
        "urn:x",
    ]
    assert [rank(uri) for uri in uris] == list(range(7))
    assert rank("urn:oid:2.16.840.1.113883.6.96") == 2
    assert rank("https://fhir.hl7.org.vn/core/CodeSystem/vn-icd10-cs") == 0


def test_the_text_is_the_display_when_no_coding_has_one_and_a_text_alone_has_no_code() -> None:
    assert Concept({"coding": [{"code": "1"}], "text": "Sốt"}, "x").code == {
        "system": None,
        "code": "1",
        "display": "Sốt",
        "asSent": "1",
    }
    assert Concept({"text": "Sốt"}, "x").code == {
        "system": None,
        "code": None,
        "display": "Sốt",
        "asSent": None,
    }
    assert Concept({}, "x").code is None


@pytest.mark.parametrize(
    ("sent", "made"),
    [("E119", "E11.9"), ("e11.9", "E11.9"), ("J18", "J18"), ("A17.0†", "A17.0"), (" I10 ", "I10")],
)
def test_icd10_codes_are_normalised(sent: str, made: str) -> None:
    assert normalised(ICD10, sent) == made
    assert normalised(SNOMED, sent.strip()) == sent.strip()


def test_narrative_loses_its_tags_and_keeps_its_rows() -> None:
    markup = (
        '<div xmlns="x"><p>Đau &lt; 3 ngày<br/>sốt</p><table><tr><td>A</td><td>B</td></tr></table>'
        "<script>no()</script></div>"
    )
    assert plain_text(markup) == "Đau < 3 ngày\nsốt\nA; B"


@given(st.text(alphabet="<>/pbdiv !-&;\"' ax", max_size=60))
def test_narrative_of_any_shape_gives_text_or_nothing(markup: str) -> None:
    assert plain_text(markup) is None or plain_text(markup) != ""


def test_hostile_narrative_is_read_in_a_moment() -> None:
    for piece in ("<script", "<!--", "<a ", "</td> ", "<style>"):
        start = perf_counter()
        plain_text(piece * 100_000)
        assert perf_counter() - start < 2
