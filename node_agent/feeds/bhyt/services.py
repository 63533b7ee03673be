"""XML3 -> Procedures. Supply rows (MA_VAT_TU) and fuel are bookkeeping: counted in the remarks, not
records.
"""

from __future__ import annotations

from collections.abc import Iterator

from node_agent.feeds.bhyt import codes
from node_agent.feeds.bhyt.rows import Row, row_keys
from node_agent.feeds.bhyt.visit import Visit
from node_agent.records import Body, ParsedRecord
from schema.elements import RecordKind

SUPPLY_COLUMNS = ("MA_VAT_TU", "TEN_VAT_TU", "MA_HIEU_SP", "VET_THUONG_TP")


def service_records(rows: list[Row], visit: Visit) -> Iterator[ParsedRecord]:
    """A Procedure for each filled row that names a service. Imaging and tests are Procedures too; results
    come by XML4.
    """
    for key, row in zip(row_keys(rows), rows, strict=True):
        if row.is_blank:
            continue
        if row.text("MA_VAT_TU") or not row.text("MA_DICH_VU", "TEN_DICH_VU"):
            fuel = row.text("MA_XANG_DAU") and not row.text("MA_VAT_TU", "TEN_VAT_TU")
            row.notes.add("FUEL_ROW_NOT_CLINICAL" if fuel else "SUPPLY_ROW_NOT_CLINICAL", "XML3")
            row.dismiss()
            continue
        yield _procedure(key, row, visit)


def _procedure(key: str, row: Row, visit: Visit) -> ParsedRecord:
    ordered, done, resulted = row.date("NGAY_YL"), row.date("NGAY_TH_YL"), row.date("NGAY_KQ")
    start = done or ordered
    anaesthesia = row.text("PP_VO_CAM")
    row.text("MA_BAC_SI", "MA_GIUONG", "MA_BENH_YHCT", *SUPPLY_COLUMNS)
    body: Body = {
        "status": "completed",
        "code": codes.code("MA_DICH_VU", row.text("MA_DICH_VU"), row.text("TEN_DICH_VU")),
        "internationalCode": codes.procedure_code(row.text("MA_PTTT_QT")),
        "performed": {"start": start, "end": resulted} if start or resulted else None,
        "performers": row.practitioners("NGUOI_THUC_HIEN"),
        "reasons": [codes.icd10(sent) for sent in row.items("MA_BENH")],
        "bodySite": codes.optional("VI_TRI_TH_DVKT", row.text("VI_TRI_TH_DVKT")),
        "quantity": row.decimal("SO_LUONG"),
        "unit": row.text("DON_VI_TINH"),
        "device": row.text("MA_MAY"),
        "anaesthesia": codes.ANAESTHESIA.get(anaesthesia, anaesthesia) if anaesthesia else None,
        "note": None,
    }
    return visit.record(RecordKind.PROCEDURE, f"XML3/{key}", body, time=start or resulted)
