"""What XML2-XML5 become: drugs, services, results, notes."""

from __future__ import annotations

import pytest

from schema.elements import RecordKind
from tests.node_agent.feeds.bhyt_files import DRUG, body_of, records_of, remarks_of, unit_of

OTHER_DRUG = DRUG | {"STT": "2", "TEN_THUOC": "Metformin"}
LATER_DRUG = DRUG | {"STT": "3", "NGAY_YL": "202611101500"}
RESULT = {
    "MA_LK": "LK1",
    "STT": "1",
    "MA_DICH_VU": "23.0075.1494",
    "MA_CHI_SO": "2345",
    "TEN_CHI_SO": "Glucose",
}


def test_outpatient_drugs_become_prescriptions_by_order_time_and_doctor() -> None:
    records = records_of(unit_of({"XML2": [DRUG, OTHER_DRUG, LATER_DRUG]}), "XML2")
    assert [record.source_key for record in records] == [
        "LK1/XML2/202611100900/000001/HNO-CCHN",
        "LK1/XML2/202611101500/000001/HNO-CCHN",
    ]
    body = records[0].body
    assert [(item["position"], item["drug"], item["quantity"]) for item in body["items"]] == [
        (1, "Amlodipin", "28.000"),
        (2, "Metformin", "28.000"),
    ]
    assert (body["use"], body["authoredOn"], body["number"]) == ("TAKE_HOME", "2026-11-10T09:00+07:00", None)


@pytest.mark.parametrize(
    ("kind", "change", "use"),
    [
        ("01", {}, "TAKE_HOME"),
        ("05", {}, "TAKE_HOME"),
        ("07", {}, "TAKE_HOME"),
        ("08", {}, "UNKNOWN"),
        ("12", {}, "UNKNOWN"),
        ("77", {}, "UNKNOWN"),
        ("01", {"MA_DICH_VU": "18.0023"}, "IN_FACILITY"),
    ],
)
def test_where_a_prescribed_drug_is_used_is_unknown_when_undecidable(
    kind: str, change: dict[str, str], use: str
) -> None:
    assert body_of(unit_of({"XML2": [DRUG | change]}, MA_LOAI_KCB=kind), "XML2")["use"] == use
    emergency = unit_of({"XML2": [DRUG | change]}, MA_LOAI_KCB=kind, MA_DOITUONG_KCB="2")
    assert body_of(emergency, "XML2")["use"] == ("IN_FACILITY" if change else "UNKNOWN")


@pytest.mark.parametrize("kind", ["03", "04", "06", "09"])
def test_inpatient_drugs_become_administrations_row_by_row(kind: str) -> None:
    unit = unit_of({"XML2": [DRUG | {"NGAY_TH_YL": "202611101000"}, OTHER_DRUG]}, MA_LOAI_KCB=kind)
    records = records_of(unit, "XML2")
    assert {record.kind for record in records} == {RecordKind.MEDICATION_ADMINISTRATION}
    assert [record.source_key for record in records] == ["LK1/XML2/1", "LK1/XML2/2"]
    assert [record.time for record in records] == ["2026-11-10T10:00+07:00", "2026-11-10T09:00+07:00"]


def test_rows_without_numbers_of_their_own_are_keyed_by_position() -> None:
    unit = unit_of({"XML2": [DRUG, OTHER_DRUG | {"STT": "1"}]}, MA_LOAI_KCB="03")
    assert [record.source_key for record in records_of(unit, "XML2")] == ["LK1/XML2/1", "LK1/XML2/2"]
    assert remarks_of(unit)["ROW_NUMBER_NOT_UNIQUE", "XML2/STT"] == 1


def test_services_become_procedures_and_supplies_are_counted() -> None:
    service = {
        "MA_LK": "LK1",
        "STT": "1",
        "MA_DICH_VU": "18.0020",
        "TEN_DICH_VU": "Siêu âm ổ bụng",
        "MA_PTTT_QT": "88.76;88.74",
        "NGUOI_THUC_HIEN": "1/HNO;2/HNO",
        "NGAY_YL": "202611100830",
        "NGAY_TH_YL": "202611100850",
        "NGAY_KQ": "202611100900",
        "PP_VO_CAM": "2",
        "MA_BENH": "K80",
    }
    supply = {"MA_LK": "LK1", "STT": "2", "MA_VAT_TU": "N01", "TEN_VAT_TU": "Kim", "MA_DICH_VU": "18.0020"}
    unit = unit_of({"XML3": [service, supply]})
    body = body_of(unit, "XML3")
    assert body["performed"] == {"start": "2026-11-10T08:50+07:00", "end": "2026-11-10T09:00+07:00"}
    assert (body["internationalCode"]["code"], body["internationalCode"]["asSent"]) == (
        "88.76",
        "88.76;88.74",
    )
    assert [p["licence"] for p in body["performers"]] == ["1/HNO", "2/HNO"]
    assert (body["anaesthesia"], body["reasons"][0]["code"]) == ("Gây tê", "K80")
    assert remarks_of(unit) == {("SUPPLY_ROW_NOT_CLINICAL", "XML3"): 1}


@pytest.mark.parametrize(
    ("value", "quantity"),
    [
        ("5.40", {"value": "5.40", "comparator": None, "unit": "mmol/L", "code": None}),
        ("<0.01", {"value": "0.01", "comparator": "<", "unit": "mmol/L", "code": None}),
        ("Âm tính", None),
        ("5,4", None),
    ],
)
def test_a_result_is_always_text_and_a_quantity_where_it_reads_as_one(value: str, quantity: object) -> None:
    body = body_of(unit_of({"XML4": [RESULT | {"GIA_TRI": value, "DON_VI_DO": "mmol/L"}]}), "XML4")
    assert (body["value"], body["quantity"], body["status"]) == (value, quantity, "final")
    assert (body["code"]["code"], body["code"]["display"], body["service"]["code"]) == (
        "2345",
        "Glucose",
        "23.0075.1494",
    )


def test_a_description_becomes_a_report_and_a_pending_result_stays_visible() -> None:
    image = RESULT | {"MO_TA": "Gan không to", "KET_LUAN": "Bình thường", "NGAY_KQ": "202611100920"}
    pending = RESULT | {"STT": "2", "MA_CHI_SO": ""}
    report, observation = records_of(unit_of({"XML4": [image, pending]}), "XML4")
    assert report.kind is RecordKind.DIAGNOSTIC_REPORT
    assert report.body["conclusion"] == "Mô tả: Gan không to\nKết luận: Bình thường"
    assert (observation.kind, observation.body["status"]) == (RecordKind.OBSERVATION, "registered")
    assert observation.body["code"]["code"] is None and observation.body["code"]["display"] == "Glucose"


def test_vital_signs_in_a_note_become_observations_and_the_note_stays_whole() -> None:
    text = "Tỉnh CSST<M75_T37,5_HA120/70_ NT18_SP98%_HL2_XX9>"
    row = {
        "MA_LK": "LK1",
        "STT": "1",
        "DIEN_BIEN_LS": text,
        "HOI_CHAN": "Nội",
        "THOI_DIEM_DBLS": "202611100900",
    }
    unit = unit_of({"XML5": [row]})
    note, *signs = records_of(unit, "XML5")
    assert note.body["text"] == text and note.body["sections"][0]["title"] == "Hội chẩn"
    found = {s.body["code"]["code"]: (s.body["value"], (s.body["quantity"] or {}).get("value")) for s in signs}
    assert found == {
        "8867-4": ("75", "75"),
        "8310-5": ("37,5", "37.5"),
        "85354-9": ("120/70", None),
        "9279-1": ("18", "18"),
        "59408-5": ("98%", "98"),
    }
    pressure = next(s.body for s in signs if s.body["code"]["code"] == "85354-9")
    assert [(c["code"]["code"], c["quantity"]["value"]) for c in pressure["components"]] == [
        ("8480-6", "120"),
        ("8462-4", "70"),
    ]
    assert remarks_of(unit)["VITAL_SIGN_UNREAD", "XML5/DIEN_BIEN_LS"] == 1
