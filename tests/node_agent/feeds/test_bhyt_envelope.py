"""The envelope in all the ways exporters write it: every one gives the same unit."""

from __future__ import annotations

import pytest

from node_agent.feeds.bhyt_xml import BhytXmlFeed
from node_agent.records import ParsedFile, Supersede
from schema.elements import Feed, RecordKind
from tests.node_agent.feeds.bhyt_files import (
    DRUG,
    FACILITY,
    SUMMARY,
    encoded,
    envelope,
    file,
    hoso,
    inner,
    remarks_of,
    unit_of,
)


def parse(data: bytes) -> ParsedFile:
    return BhytXmlFeed([FACILITY]).parse(data)


PLAIN = hoso({"XML2": [DRUG]})
XML1, XML2 = inner("XML1", SUMMARY), inner("XML2", DRUG)
BROKEN_LINES = "\n  ".join(encoded(XML2)[place : place + 40] for place in range(0, len(encoded(XML2)), 40))
REVERSED = inner("XML1", dict(reversed(SUMMARY.items())))
CDATA_CELLS = XML1.replace("Tăng huyết áp vô căn", "<![CDATA[Tăng huyết áp vô căn]]>")
WAYS = {
    "columns in another order": PLAIN.replace(encoded(XML1), encoded(REVERSED)),
    "base64 broken over lines": f"<HOSO>{file('XML1', encoded(XML1))}{file('XML2', BROKEN_LINES)}</HOSO>",
    "inline XML": f"<HOSO>{file('XML1', XML1)}{file('XML2', XML2)}</HOSO>",
    "XML in CDATA": f"<HOSO>{file('XML1', f'<![CDATA[{XML1}]]>')}{file('XML2', encoded(XML2))}</HOSO>",
    "CDATA cells": f"<HOSO>{file('XML1', encoded(CDATA_CELLS))}{file('XML2', encoded(XML2))}</HOSO>",
    "old root of XML1": PLAIN.replace(encoded(XML1), encoded(XML1.replace("TONG_HOP", "CHI_TIEU_TONG_HOP"))),
    "other wrappers": PLAIN.replace(encoded(XML2), encoded(XML2.replace("CHI_TIET_THUOC", "THUOC_X"))),
    "wrapped once more": PLAIN.replace(encoded(XML1), encoded(f"<BANG><DS>{XML1}</DS></BANG>")),
    "lower-case label": PLAIN.replace("<LOAIHOSO>XML2<", "<LOAIHOSO> xml02 <"),
    "empty files": PLAIN.replace(
        "</HOSO>", file("XML8", "") + "<FILEHOSO><LOAIHOSO>XML13</LOAIHOSO></FILEHOSO></HOSO>"
    ),
    "wrong inner declaration": PLAIN.replace(encoded(XML2), encoded('<?xml version="1.0" encoding="utf-16"?>' + XML2)),
    "byte order mark inside": PLAIN.replace(encoded(XML2), encoded("\ufeff" + XML2)),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_writing_gives_the_same_records(way: str) -> None:
    expected, found = parse(envelope(PLAIN)), parse(envelope(WAYS[way]))
    assert found.errors == ()
    assert found.units[0].records == expected.units[0].records
    assert found.units[0].patient == expected.units[0].patient
    assert found.units[0].tables == {"XML0", "XML1", "XML2"}


def test_a_file_with_a_byte_order_mark_and_namespaces_is_read() -> None:
    data = b"\xef\xbb\xbf" + envelope(PLAIN).replace(b"<GIAMDINHHS>", b'<GIAMDINHHS xmlns="urn:x">').split(b"\n", 1)[1]
    assert parse(data).units == parse(envelope(PLAIN)).units


def test_a_unit_is_the_visit_at_its_facility_ordered_by_the_day_of_export() -> None:
    unit = parse(envelope(PLAIN, created="202611111230")).units[0]
    assert (unit.facility, unit.unit_key, unit.version) == (FACILITY, "LK1", "20261111123000")
    assert unit.supersede is Supersede.UNIT
    assert BhytXmlFeed([FACILITY]).feed is Feed.BHYT_XML


def test_several_dossiers_give_several_units_and_a_wrong_count_is_remarked() -> None:
    parsed = parse(envelope(PLAIN, hoso({}, MA_LK="LK2"), count=3))
    assert [unit.unit_key for unit in parsed.units] == ["LK1", "LK2"]
    assert [(remark.code, remark.where) for remark in parsed.remarks] == [("COUNT_DIFFERS", "GIAMDINHHS/SOLUONGHOSO")]


def test_a_listed_but_empty_table_is_present_and_an_empty_file_is_not() -> None:
    dossier = PLAIN.replace("</HOSO>", file("XML4", encoded(inner("XML4"))) + file("XML5", "") + "</HOSO>")
    assert parse(envelope(dossier)).units[0].tables == {"XML0", "XML1", "XML2", "XML4"}


def test_unescaped_less_than_signs_and_ampersands_are_repaired_and_remarked() -> None:
    note = inner("XML5", {"MA_LK": "LK1", "STT": "1", "DIEN_BIEN_LS": "@", "THOI_DIEM_DBLS": "202611100900"})
    broken = note.replace("@", "SpO2 < 90, tim & phổi CSST<M75_T37.5_HA120/70_NT18_SP98_HL2>")
    dossier = PLAIN.replace("</HOSO>", file("XML5", encoded(broken)) + "</HOSO>")
    (unit,) = parse(envelope(dossier)).units
    notes = [record for record in unit.records if record.table == "XML5"]
    assert notes[0].body["text"] == "SpO2 < 90, tim & phổi CSST<M75_T37.5_HA120/70_NT18_SP98_HL2>"
    assert len(notes) == 6
    assert remarks_of(unit)["XML_REPAIRED", "XML5"] == 1


def test_unknown_columns_and_tables_are_remarked_by_name_and_never_by_value() -> None:
    unit = unit_of({"XML2": [DRUG | {"COT_LA": "bí mật"}], "XML12": [{"KET_LUAN": "bí mật"}]}, NHOM_MAU="O+")
    assert remarks_of(unit)["UNKNOWN_FIELD", "XML2/COT_LA"] == 1
    assert remarks_of(unit)["FIELD_NOT_MAPPED", "XML1/NHOM_MAU"] == 1
    assert remarks_of(unit)["TABLE_NOT_MAPPED", "XML12"] == 1
    assert "bí mật" not in repr(unit.remarks)


def test_a_mislabelled_table_is_known_by_its_root() -> None:
    unit = parse(envelope(PLAIN.replace("<LOAIHOSO>XML2<", "<LOAIHOSO>XML3<"))).units[0]
    assert [record.kind for record in unit.records if record.table == "XML2"] == [RecordKind.PRESCRIPTION]
    assert remarks_of(unit)["TABLE_MISLABELLED", "XML2"] == 1


def test_names_of_qd_4210_are_read_as_todays() -> None:
    old = {
        "MA_THE": "DN4010119987654",
        "MA_BENH": "E119",
        "MA_BENHKHAC": "I10;",
        "TEN_BENH": "Đái tháo đường",
        "MA_LYDO_VVIEN": "2",
    }
    row = {
        name: value for name, value in SUMMARY.items() if name not in ("MA_THE_BHYT", "MA_BENH_CHINH", "CHAN_DOAN_RV")
    }
    dossier = f"<HOSO>{file('XML1', encoded(inner('XML1', row | old | {'MA_LOAI_KCB': '1'})))}</HOSO>"
    (unit,) = parse(envelope(dossier)).units
    encounter, *others = (record.body for record in unit.records)
    assert (encounter["class"], encounter["careType"]["code"], encounter["careType"]["asSent"]) == (
        "EMERGENCY",
        "01",
        "1",
    )
    assert encounter["eligibility"]["system"] == "urn:bhyt:MA_LYDO_VVIEN"
    assert [body["code"]["code"] for body in others[:2]] == ["E11.9", "I10"]
    assert others[2]["number"] == "DN4010119987654"
    assert unit.remarks == ()


def test_a_check_in_is_the_same_encounter_in_progress_and_any_summary_wins_over_it() -> None:
    row = {name: SUMMARY[name] for name in ("MA_LK", "MA_BN", "NGAY_VAO", "MA_LOAI_KCB", "MA_CSKCB", "MA_THE_BHYT")}
    (early,) = parse(inner("XML0", row).encode()).units
    finished = parse(envelope(PLAIN, created="")).units[0]
    assert early.records[0].body["status"] == "IN_PROGRESS"
    assert [record.source_key for record in early.records] == ["LK1/XML1", "LK1/XML1/MA_THE_BHYT/1"]
    assert (early.unit_key, early.records[0].source_key) == (
        finished.unit_key,
        finished.records[0].source_key,
    )
    assert early.version < finished.version
    assert early.tables <= finished.tables


def test_a_check_in_of_two_visits_gives_two_units() -> None:
    rows = [{**SUMMARY, "MA_LK": key} for key in ("LK1", "LK2", "LK1")]
    parsed = parse(inner("XML0", *rows).encode())
    assert [unit.unit_key for unit in parsed.units] == ["LK1", "LK2"]
