"""Restricted tables are kept and labelled; where attendance is the secret, so is the whole visit."""

from __future__ import annotations

import pytest

from tests.node_agent.feeds.bhyt_files import records_of, unit_of


@pytest.mark.parametrize(
    ("table", "row", "record_labels", "unit_labels"),
    [
        ("XML6", {"NGAYKD_HIV": "20190412", "SO_NGAY_CAP_THUOC_ARV": "28"}, {"HIV"}, {"HIV"}),
        ("XML15", {"PHANLOAI_LAO_VITRI": "1", "NGAYBD_DTRI_LAO": "20261110"}, {"TB", "HIV"}, {"TB", "HIV"}),
        ("XML9", {"CAN_NANG_CON": "3150", "HO_TEN_NND": "TRẦN THỊ MẸ"}, {"CERTIFICATE"}, set()),
        ("XML10", {"CHAN_DOAN_RV": "Dưỡng thai", "SO_NGAY": "14"}, {"CERTIFICATE"}, set()),
        ("XML11", {"CHAN_DOAN_RV": "Viêm họng", "MA_DINH_CHI_THAI": "0"}, {"CERTIFICATE"}, set()),
        (
            "XML11",
            {"CHAN_DOAN_RV": "x", "MA_DINH_CHI_THAI": "1", "TUOI_THAI": "8"},
            {"CERTIFICATE", "REPRODUCTIVE"},
            set(),
        ),
        ("XML7", {"CHAN_DOAN_RV": "x", "MA_DINH_CHI_THAI": "1"}, {"REPRODUCTIVE"}, set()),
        ("XML8", {"CHAN_DOAN_RV": "x", "SO_CONCHET": "1"}, {"REPRODUCTIVE"}, set()),
    ],
)
def test_a_restricted_table_is_kept_with_its_labels(
    table: str, row: dict[str, str], record_labels: set[str], unit_labels: set[str]
) -> None:
    unit = unit_of({table: [{"MA_LK": "LK1", **row}]})
    (record,) = records_of(unit, table)
    assert (set(record.labels), set(unit.labels)) == (record_labels, unit_labels)
    assert record.body["sections"]


@pytest.mark.parametrize("table", ["XML6", "XML15"])
def test_an_empty_restricted_table_labels_nothing(table: str) -> None:
    unit = unit_of({table: [{"MA_LK": "LK1", "MA_CSKCB": "01006"}]})
    assert unit.labels == frozenset() and records_of(unit, table) == []


def test_a_birth_certificate_does_not_carry_the_mothers_identity() -> None:
    row = {"MA_LK": "LK1", "CAN_NANG_CON": "3150", "HO_TEN_NND": "TRẦN THỊ MẸ", "SO_CCCD_NND": "001190000123"}
    (record,) = records_of(unit_of({"XML9": [row]}), "XML9")
    assert [(s["title"], s["text"]) for s in record.body["sections"]] == [("Cân nặng con (g)", "3150")]


def test_dates_inside_sections_read_as_dates() -> None:
    (record,) = records_of(unit_of({"XML6": [{"MA_LK": "LK1", "NGAYKD_HIV": "20190412"}]}), "XML6")
    assert record.body["sections"][0]["text"] == "2019-04-12"
