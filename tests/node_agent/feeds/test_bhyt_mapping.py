"""What XML1, 7, 8, 13 and 14 become."""

from __future__ import annotations

import pytest

from schema.elements import RecordKind
from tests.node_agent.feeds.bhyt_files import FACILITY, body_of, records_of, remarks_of, unit_of


@pytest.mark.parametrize(
    ("kind", "eligibility", "end", "expected"),
    [
        ("01", "1.1", "202611100930", "AMBULATORY"),
        ("02", "1.1", "202611100930", "AMBULATORY"),
        ("03", "1.1", "202611100930", "INPATIENT"),
        ("04", "1.1", "202611100930", "DAY"),
        ("06", "1.1", "202611100930", "INPATIENT"),
        ("07", "1.1", "202611100930", "PHARMACY"),
        ("09", "2", "202611100930", "INPATIENT"),
        ("01", "2", "202611100930", "EMERGENCY"),
        ("12", "1.1", "202611100930", "HOME"),
        ("14", "1.1", "202611100930", "VIRTUAL"),
        ("15", "1.1", "202611100930", "SCREENING"),
        ("15", "1.1", "202607310930", "UNKNOWN"),
        ("77", "1.1", "202611100930", "UNKNOWN"),
    ],
)
def test_the_class_follows_the_care_type_valid_at_the_end_of_the_visit(
    kind: str, eligibility: str, end: str, expected: str
) -> None:
    unit = unit_of(MA_LOAI_KCB=kind, MA_DOITUONG_KCB=eligibility, NGAY_VAO="202607010800", NGAY_RA=end)
    assert unit.records[0].body["class"] == expected
    assert (("CODE_UNKNOWN", "XML1/MA_LOAI_KCB") in remarks_of(unit)) == (expected == "UNKNOWN")


def test_an_encounter_carries_what_the_summary_says() -> None:
    unit = unit_of(
        KET_QUA_DTRI="2",
        MA_LOAI_RV="2",
        MA_KHOA="K01;K02;",
        SO_NGAY_DTRI="3",
        CAN_NANG="62.50",
        MA_NOI_DI="01003",
        GIAY_CHUYEN_TUYEN="15/CT",
        NGAY_RA="203001012359",
    )
    body = unit.records[0].body
    assert body["period"] == {"start": "2026-11-10T08:15+07:00", "end": "2030-01-01T23:59+07:00"}
    assert (body["outcome"]["code"], body["outcome"]["display"]) == ("2", "Đỡ")
    assert body["disposition"]["display"] == "Chuyển tuyến theo yêu cầu chuyên môn"
    assert [department["code"] for department in body["departments"]] == ["K01", "K02"]
    assert (body["days"], body["weightKg"], body["referredFrom"], body["broughtLetterNumber"]) == (
        3,
        "62.50",
        "01003",
        "15/CT",
    )
    assert unit.records[0].source_key == "LK1/XML1" and unit.records[0].encounter_key is None
    assert {record.encounter_key for record in unit.records[1:]} == {"LK1/XML1"}


def test_conditions_have_roles_and_each_code_once() -> None:
    unit = unit_of(MA_BENH_CHINH="E119", MA_BENH_KT="I10;E11.9; N18;I10;", MA_BENH_YHCT="U50.1", CHAN_DOAN_RV="A; B")
    conditions = [record.body for record in unit.records if record.kind is RecordKind.CONDITION]
    found = [(body["role"], body["code"]["code"], body["code"]["asSent"]) for body in conditions]
    assert found == [
        ("MAIN", "E11.9", "E119"),
        ("COMORBID", "I10", "I10"),
        ("COMORBID", "N18", "N18"),
        ("TRADITIONAL", "U50.1", "U50.1"),
    ]
    assert {body["code"]["display"] for body in conditions} == {None}


def test_the_discharge_text_names_the_main_diagnosis_only_when_it_is_one_text() -> None:
    bodies = [r.body for r in unit_of(MA_BENH_KT="E78").records if r.kind is RecordKind.CONDITION]
    assert [body["code"]["display"] for body in bodies] == ["Tăng huyết áp vô căn", None]


def test_cards_stay_aligned_with_their_dates_and_facilities() -> None:
    unit = unit_of(
        MA_THE_BHYT="DN4010119987654;HT3010119987654;",
        MA_DKBD="01006;01003",
        GT_THE_TU="20260101;",
        GT_THE_DEN=";20261231",
    )
    cards = [record.body for record in unit.records if record.kind is RecordKind.INSURANCE_PLAN_CARD]
    assert [(c["number"], c["registeredFacility"], c["benefit"]) for c in cards] == [
        ("DN4010119987654", "01006", "4"),
        ("HT3010119987654", "01003", "3"),
    ]
    assert [c["period"] for c in cards] == [
        {"start": "2026-01-01", "end": None},
        {"start": None, "end": "2026-12-31"},
    ]


@pytest.mark.parametrize(
    ("columns", "condition", "treatment"),
    [
        (
            {"MA_NOI_DI": "01099", "MA_NOI_DEN": "01929", "PP_DIEUTRI": "Nội", "PP_DIEU_TRI": "Truyền dịch"},
            None,
            "Nội\nTruyền dịch",
        ),
        (
            {"MA_CSKCB_DI": "01099", "MA_CSKCB_DEN": "01929", "PP_DIEUTRI": "Nội", "TINH_TRANG_CT": "Tỉnh"},
            "Tỉnh",
            "Nội",
        ),
    ],
)
def test_both_layouts_of_a_referral_give_one_referral(
    columns: dict[str, str], condition: str | None, treatment: str
) -> None:
    row = {
        "MA_LK": "LK1",
        "GIAY_CHUYEN_TUYEN": "15/CT",
        "MA_CSKCB": FACILITY,
        "MA_LYDO_CT": "1",
        "MA_BENH_CHINH": "I21",
        **columns,
    }
    (record,) = records_of(unit_of({"XML13": [row]}), "XML13")
    body = record.body
    assert record.number == (FACILITY, "15/CT") and record.source_key == "LK1/XML13"
    assert (body["fromFacility"], body["toFacility"], body["condition"], body["treatment"]) == (
        FACILITY,
        "01929",
        condition,
        treatment,
    )
    assert body["authoredOn"] == "2026-11-10T09:30+07:00"


def test_an_appointment_has_its_number_and_sorts_by_its_own_time() -> None:
    row = {
        "MA_LK": "LK1",
        "SO_GIAYHEN_KL": "7/HKL",
        "MA_CSKCB": FACILITY,
        "NGAY_HEN_KL": "202612100800",
        "NGAY_CT": "20261110",
    }
    (record,) = records_of(unit_of({"XML14": [row]}), "XML14")
    assert record.number == (FACILITY, "7/HKL")
    assert record.time == record.body["start"] == "2026-12-10T08:00+07:00"


def test_discharge_paper_and_summary_are_documents_with_sections() -> None:
    unit = unit_of(
        {
            "XML7": [
                {
                    "MA_LK": "LK1",
                    "CHAN_DOAN_RV": "THA",
                    "TEN_BS": "BS A",
                    "MA_BS": "0123",
                    "NGAY_CT": "20261110",
                    "MA_DINH_CHI_THAI": "0",
                }
            ],
            "XML8": [{"MA_LK": "LK1", "QT_BENHLY": "Bệnh sử", "KET_QUA_DTRI": "1", "NGAY_CT": "20261111"}],
        }
    )
    paper, summary = body_of(unit, "XML7"), body_of(unit, "XML8")
    assert [(s["position"], s["title"], s["text"]) for s in paper["sections"]] == [(1, "Chẩn đoán ra viện", "THA")]
    assert paper["authors"] == [{"licence": "0123", "name": "BS A"}]
    assert [s["text"] for s in summary["sections"]] == ["Bệnh sử", "Khỏi"]
    assert all(not record.labels and record.number is None for record in unit.records)
