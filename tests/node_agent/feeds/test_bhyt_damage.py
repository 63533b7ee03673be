"""Bad input: a stable code, the place, whom it concerns, and everything else still stored."""

from __future__ import annotations

import time

import pytest

from compose.demo.data import damaged_files
from node_agent.feeds.bhyt.faults import REASONS
from node_agent.feeds.bhyt_xml import BhytXmlFeed
from node_agent.records import ParsedFile
from schema.identity import Identifier, IdentifierKind
from tests.node_agent.feeds.bhyt_files import DRUG, FACILITY, SUMMARY, encoded, envelope, file, hoso, inner

EXPECTED = {
    "bad_base64.xml": ("BASE64_INVALID", "HOSO 1", "XML2", None),
    "inner_not_xml.xml": ("XML_NOT_WELL_FORMED", "HOSO 1", "XML3", None),
    "not_xml.xml": ("XML_NOT_WELL_FORMED", "line 1", None, None),
    "empty_file.xml": ("FILE_EMPTY", "file", None, None),
    "truncated.xml": ("XML_NOT_WELL_FORMED", "HOSO 1", None, None),
    "missing_visit_number.xml": ("FIELD_MISSING", "HOSO 1", "XML1", "MA_LK"),
    "bad_date.xml": ("FIELD_INVALID", "HOSO 1", "XML1", "NGAY_VAO"),
    "unknown_facility.xml": ("FACILITY_UNKNOWN", "HOSO 1", "XML1", "MA_CSKCB"),
    "facility_differs_from_envelope.xml": ("FACILITY_UNKNOWN", "HOSO 1", "XML1", "MA_CSKCB"),
    "summary_twice.xml": ("TABLE_REPEATED", "HOSO 1", "XML1", None),
    "summary_missing.xml": ("TABLE_MISSING", "HOSO 1", "XML1", None),
    "billion_laughs.xml": ("DOCTYPE_REFUSED", "line 1", None, None),
    "external_entity.xml": ("DOCTYPE_REFUSED", "line 1", None, None),
    "inner_entity_bomb.xml": ("DOCTYPE_REFUSED", "HOSO 1", "XML1", None),
}
NOBODY_READABLE = {
    "not_xml.xml",
    "empty_file.xml",
    "summary_missing.xml",
    "billion_laughs.xml",
    "external_entity.xml",
}


def parse(data: bytes, **options: int) -> ParsedFile:
    return BhytXmlFeed([FACILITY], **options).parse(data)


def test_every_damaged_file_of_the_demo_is_expected_here() -> None:
    assert set(damaged_files()) == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_damaged_file_gives_its_code_and_the_patient_it_concerns(name: str) -> None:
    parsed = parse(damaged_files()[name])
    (error,) = parsed.errors
    assert parsed.units == ()
    assert (error.code, error.where, error.table, error.field) == EXPECTED[name]
    assert (error.reason_vi, error.reason_en) == REASONS[error.code]
    if name in NOBODY_READABLE:
        assert error.patient is None
    else:
        assert error.patient is not None and error.facility == FACILITY == error.patient.facility
        assert error.patient.local_id == "TN26999999"
        assert Identifier(IdentifierKind.CCCD, "001075123457") in error.patient.identifiers


def _without(column: str) -> dict[str, str]:
    return {name: value for name, value in SUMMARY.items() if name != column}


@pytest.mark.parametrize("column", ["MA_LK", "MA_BN", "MA_CSKCB", "NGAY_VAO"])
def test_a_summary_without_what_identifies_it_fails(column: str) -> None:
    (error,) = parse(envelope(f"<HOSO>{file('XML1', encoded(inner('XML1', _without(column))))}</HOSO>")).errors
    assert (error.code, error.table, error.field) == ("FIELD_MISSING", "XML1", column)


def test_one_bad_dossier_leaves_the_others_alone() -> None:
    bad = f"<HOSO>{file('XML1', encoded(inner('XML1', SUMMARY | {'NGAY_VAO': 'x'})))}</HOSO>"
    parsed = parse(envelope(hoso({}, MA_LK="A"), bad, hoso({}, MA_LK="C")))
    assert [unit.unit_key for unit in parsed.units] == ["A", "C"]
    assert [(error.code, error.where) for error in parsed.errors] == [("FIELD_INVALID", "HOSO 2")]


def test_a_file_cut_short_gives_its_whole_dossiers_and_an_error_for_the_one_cut() -> None:
    data = envelope(hoso({}, MA_LK="A"), hoso({"XML2": [DRUG]}), count=2)
    cut = data[: data.index(b"XML2") + 60]
    parsed = parse(cut)
    assert [unit.unit_key for unit in parsed.units] == ["A"]
    assert [(error.code, error.where) for error in parsed.errors] == [("XML_NOT_WELL_FORMED", "HOSO 2")]
    assert parsed.errors[0].patient is not None and parsed.errors[0].patient.local_id == "BN1"


def test_a_file_cut_short_between_dossiers_says_that_some_are_lost() -> None:
    data = envelope(hoso({}, MA_LK="A"), hoso({}, MA_LK="B"), count=2)
    parsed = parse(data[: data.index(b"</HOSO>") + 7])
    assert [unit.unit_key for unit in parsed.units] == ["A"]
    assert [error.code for error in parsed.errors] == ["XML_NOT_WELL_FORMED"]


@pytest.mark.parametrize(
    ("tables", "code", "table"),
    [
        ({"XML2": [DRUG | {"MA_LK": "LK9"}]}, "FIELD_INVALID", "XML2"),
        ({"XML1": [SUMMARY | {"MA_LK": "LK9"}]}, "FIELD_INVALID", "XML1"),
    ],
)
def test_rows_of_another_visit_fail_the_dossier(tables: dict[str, list[dict[str, str]]], code: str, table: str) -> None:
    (error,) = parse(envelope(hoso(tables))).errors
    assert (error.code, error.table, error.field) == (code, table, "MA_LK")


def test_tables_without_a_summary_fail() -> None:
    (error,) = parse(envelope(f"<HOSO>{file('XML2', encoded(inner('XML2', DRUG)))}</HOSO>")).errors
    assert (error.code, error.table) == ("TABLE_MISSING", "XML1")


def test_a_bad_optional_value_costs_only_that_value() -> None:
    parsed = parse(envelope(hoso({"XML2": [DRUG | {"NGAY_YL": "hôm qua", "SO_LUONG": "2 viên"}]})))
    (prescription,) = [record for record in parsed.units[0].records if record.table == "XML2"]
    assert prescription.body["authoredOn"] is None and prescription.body["items"][0]["quantity"] is None
    assert prescription.body["items"][0]["drug"] == "Amlodipin"
    codes = {(remark.code, remark.where) for remark in parsed.units[0].remarks}
    assert codes >= {("DATE_UNREADABLE", "XML2/NGAY_YL"), ("NUMBER_UNREADABLE", "XML2/SO_LUONG")}


def test_files_too_large_unknown_or_without_dossiers_have_their_own_codes() -> None:
    assert [e.code for e in parse(envelope(hoso({})), max_bytes=100).errors] == ["FILE_TOO_LARGE"]
    assert [e.code for e in parse(b"<Bundle/>").errors] == ["ENVELOPE_UNKNOWN"]
    assert [e.code for e in parse(envelope()).errors] == ["FILE_EMPTY"]
    assert [e.code for e in parse(b" \r\n").errors] == ["FILE_EMPTY"]
    assert [e.code for e in parse(b"<GIAMDINHHS>" + b"x" * 10_100_000 + b"</GIAMDINHHS>").errors] == ["FILE_TOO_LARGE"]


def test_a_doctype_is_refused_in_any_encoding_and_behind_any_prolog() -> None:
    text = '<?xml version="1.0"?><!-- x --><!DOCTYPE GIAMDINHHS><GIAMDINHHS/>'
    for data in (text.encode(), text.replace('"1.0"', '"1.0" encoding="utf-16"').encode("utf-16")):
        assert [e.code for e in parse(data).errors] == ["DOCTYPE_REFUSED"]


def test_errors_carry_no_value_of_the_file_in_their_texts() -> None:
    for data in damaged_files().values():
        for error in parse(data).errors:
            said = " ".join(
                filter(
                    None,
                    (error.code, error.where, error.table, error.field, error.reason_vi, error.reason_en),
                )
            )
            assert not any(value in said for value in ("001075123457", "HỎNG", "TN26999999", "DN4010119987654"))


HOSTILE = {
    "unclosed CDATA": b"<GIAMDINHHS>" + b"<![CDATA[" * 200_000,
    "unclosed HOSO": b"<HOSO " * 300_000,
    "HOSO without end": b"<HOSO>" * 300_000,
    "unclosed vital signs": b"CSST<" * 300_000,
    "undefined entities": b"<a>" + b"&x;" * 300_000,
    "instructions": b"<?a?>" * 300_000 + b"<x",
    "a number of zeros": envelope(hoso({"XML2": [DRUG | {"SO_LUONG": "0" * 300_000 + "x"}]})),
    "vital signs of spaces": envelope(
        hoso({"XML5": [{"MA_LK": "LK1", "DIEN_BIEN_LS": "CSST<M" + " " * 300_000 + "x\ny>", "STT": "1"}]})
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_input_costs_time_in_proportion_to_its_size(name: str) -> None:
    started = time.process_time()
    parse(HOSTILE[name])
    assert time.process_time() - started < 5


def test_one_visit_number_for_two_people_in_a_file_is_an_error_and_not_the_loss_of_the_first() -> None:
    parsed = BhytXmlFeed([FACILITY]).parse(envelope(hoso({}), hoso({}, MA_BN="BN2", SO_CCCD="001080123458")))
    assert [u.patient.local_id for u in parsed.units] == ["BN1"]
    [error] = parsed.errors
    assert (error.code, error.where, error.field, error.unit_key) == ("FIELD_INVALID", "HOSO 2", "MA_LK", "LK1")
    assert error.patient and error.patient.local_id == "BN2"
