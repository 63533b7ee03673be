"""XML13 (every known layout) -> Referral, XML14 -> Appointment: the letters that carry a number of their
issuer.
"""

from __future__ import annotations

from collections.abc import Iterator

from node_agent.feeds.bhyt import codes
from node_agent.feeds.bhyt.documents import filled
from node_agent.feeds.bhyt.rows import Row
from node_agent.feeds.bhyt.visit import Visit, diagnosis_codes
from node_agent.records import Body, ParsedRecord
from schema.elements import RecordKind


def referral_records(rows: list[Row], visit: Visit) -> Iterator[ParsedRecord]:
    """XML13. The issuer is MA_CSKCB: MA_NOI_DI repeats XML1, where it means who sent the patient here
    (annex, examples).
    """
    for place, row in filled(rows):
        number = row.text("GIAY_CHUYEN_TUYEN")
        sent_by = row.text("MA_NOI_DI")
        issuer = row.text("MA_CSKCB") or sent_by or visit.facility
        when = row.date("NGAY_RA") or visit.end
        issued = (issuer, number) if number else None
        yield visit.record(RecordKind.REFERRAL, place, _referral(row, issuer, number, when), time=when, number=issued)


def _referral(row: Row, issuer: str, number: str | None, when: str | None) -> Body:
    # The QĐ 4750 layout has the treatment twice, PP_DIEUTRI and PP_DIEU_TRI; QĐ 3176 has TINH_TRANG_CT
    # instead of the latter.
    treatments = dict.fromkeys(filter(None, (row.text("PP_DIEUTRI"), row.text("PP_DIEU_TRI"))))
    escort = " - ".join(filter(None, (row.text("HOTEN_NGUOI_HT"), row.text("CHUCDANH_NGUOI_HT"))))
    row.text("MA_LOAI_RV")
    return {
        "number": number,
        "fileNumber": row.text("SO_HOSO"),
        "bookNumber": row.text("SO_CHUYENTUYEN"),
        "status": "active",
        "fromFacility": issuer,
        "toFacility": row.text("MA_NOI_DEN"),
        "authoredOn": when,
        "reason": codes.named("MA_LYDO_CT", row.text("MA_LYDO_CT"), codes.REFERRAL_REASONS),
        "diagnoses": [code for _, code in diagnosis_codes(row)],
        "diagnosisText": row.text("CHAN_DOAN_RV"),
        "clinicalSigns": row.text("DAU_HIEU_LS"),
        "history": row.text("QT_BENHLY"),
        "resultsSummary": row.text("TOMTAT_KQ"),
        "treatment": "\n".join(treatments) or None,
        "condition": row.text("TINH_TRANG_CT"),
        "services": row.text("TEN_DICH_VU"),
        "drugs": row.text("TEN_THUOC"),
        "plan": row.text("HUONG_DIEU_TRI"),
        "transport": row.text("PHUONGTIEN_VC"),
        "escort": {"licence": None, "name": escort} if escort else None,
        "practitioners": row.practitioners("MA_BAC_SI"),
    }


def appointment_records(rows: list[Row], visit: Visit) -> Iterator[ParsedRecord]:
    """XML14. It sorts by the time of the appointment, which lies after the visit."""
    for place, row in filled(rows):
        number = row.text("SO_GIAYHEN_KL")
        issued = (row.text("MA_CSKCB") or visit.facility, number) if number else None
        start, written = row.date("NGAY_HEN_KL"), row.date("NGAY_CT")
        body: Body = {
            "number": number,
            "status": "booked",
            "start": start,
            "authoredOn": written,
            "diagnoses": [code for _, code in diagnosis_codes(row)],
            "diagnosisText": row.text("CHAN_DOAN_RV"),
            "eligibility": codes.optional("MA_DOITUONG_KCB", row.text("MA_DOITUONG_KCB")),
            "practitioners": row.practitioners("MA_BAC_SI"),
            "note": None,
        }
        yield visit.record(RecordKind.APPOINTMENT, place, body, time=start or written, number=issued)
