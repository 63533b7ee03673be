"""XML7 (discharge paper) and XML8 (record summary) -> DocumentReference; and how any paper becomes titled
sections.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from node_agent.feeds.bhyt import codes
from node_agent.feeds.bhyt.rows import Row
from node_agent.feeds.bhyt.visit import Visit
from node_agent.records import Body, ParsedRecord
from schema.elements import RecordKind

REPRODUCTIVE = frozenset({"REPRODUCTIVE"})
DATE_COLUMNS = ("NGAY", "THOIGIAN", "NGOAITRU_", "TU_NGAY", "DEN_NGAY", "BDDT_ARV")
PREGNANCY_ENDED = {
    "MA_DINH_CHI_THAI": "Đình chỉ thai nghén",
    "TUOI_THAI": "Tuổi thai (tuần)",
    "NGUYENNHAN_DINHCHI": "Nguyên nhân đình chỉ thai nghén",
    "THOIGIAN_DINHCHI": "Thời gian đình chỉ thai nghén",
}
DISCHARGE = {
    "CHAN_DOAN_RV": "Chẩn đoán ra viện",
    "PP_DIEUTRI": "Phương pháp điều trị",
    "GHI_CHU": "Ghi chú",
    "SO_NGAY_NGHI": "Số ngày nghỉ",
    "NGOAITRU_TUNGAY": "Nghỉ điều trị ngoại trú từ ngày",
    "NGOAITRU_DENNGAY": "Nghỉ điều trị ngoại trú đến ngày",
}
CHILD_DIED = {
    "NGAY_SINHCON": "Ngày sinh con",
    "NGAY_CONCHET": "Ngày con chết",
    "SO_CONCHET": "Số con chết",
}
SUMMARY = {
    "CHAN_DOAN_VAO": "Chẩn đoán vào viện",
    "CHAN_DOAN_RV": "Chẩn đoán ra viện",
    "QT_BENHLY": "Quá trình bệnh lý và diễn biến lâm sàng",
    "TOMTAT_KQ": "Tóm tắt kết quả cận lâm sàng",
    "PP_DIEUTRI": "Phương pháp điều trị",
    "KET_QUA_DTRI": "Kết quả điều trị",
    "GHI_CHU": "Ghi chú",
}


def discharge_records(rows: list[Row], visit: Visit) -> Iterator[ParsedRecord]:
    """XML7. A paper that tells of a pregnancy is labelled REPRODUCTIVE."""
    kind = codes.loinc("28574-2", "Giấy ra viện", "XML7")
    for place, row in filled(rows):
        headings = DISCHARGE | (PREGNANCY_ENDED if tells_of_pregnancy(row) else {})
        authors = signer(row)
        when = row.date("NGAY_CT") or row.date("NGAY_RA")
        body = document_body(kind, "Giấy ra viện", when, authors, sections_of(row, headings))
        labels = REPRODUCTIVE if tells_of_pregnancy(row) else frozenset()
        yield visit.record(RecordKind.DOCUMENT_REFERENCE, place, body, time=when, labels=labels)


def summary_records(rows: list[Row], visit: Visit) -> Iterator[ParsedRecord]:
    """XML8. A summary that tells of a child's death is labelled REPRODUCTIVE."""
    kind = codes.loinc("18842-5", "Tóm tắt hồ sơ bệnh án", "XML8")
    for place, row in filled(rows):
        when = row.date("NGAY_CT") or row.date("NGAY_RA")
        sections = sections_of(row, SUMMARY | CHILD_DIED, {"KET_QUA_DTRI": codes.OUTCOMES})
        body = document_body(kind, "Tóm tắt hồ sơ bệnh án", when, [], sections)
        died = any((row.text(column) or "0") != "0" for column in CHILD_DIED)
        labels = REPRODUCTIVE if died else frozenset()
        yield visit.record(RecordKind.DOCUMENT_REFERENCE, place, body, time=when, labels=labels)


def filled(rows: list[Row]) -> Iterator[tuple[str, Row]]:
    """(place, row) of the rows that say something: '<table>' for the first, then '<table>/2' and so on."""
    said = [row for row in rows if not row.is_blank]
    for position, row in enumerate(said, start=1):
        yield (row.table if position == 1 else f"{row.table}/{position}"), row


def tells_of_pregnancy(row: Row) -> bool:
    """Whether a paper says that a pregnancy ended; '0' in MA_DINH_CHI_THAI says it did not."""
    return any((row.text(column) or "0") != "0" for column in PREGNANCY_ENDED)


def signer(row: Row) -> list[dict[str, Any]]:
    """The practitioner who signed (MA_BS, TEN_BS)."""
    number, name = row.text("MA_BS"), row.text("TEN_BS")
    return [{"licence": number, "name": name}] if number or name else []


def sections_of(
    row: Row, headings: Mapping[str, str], names: Mapping[str, Mapping[str, str]] | None = None
) -> list[dict[str, Any]]:
    """Titled sections of the columns that hold text.

    Dates read as dates, codes by name where `names` knows them.
    """
    sections: list[dict[str, Any]] = []
    for column, title in headings.items():
        text = row.text(column)
        if not text:
            continue
        if column.startswith(DATE_COLUMNS):
            text = row.date(column) or text
        text = (names or {}).get(column, {}).get(text, text)
        sections.append({"position": len(sections) + 1, "title": title, "text": text})
    return sections


def document_body(
    kind: dict[str, Any],
    title: str,
    when: str | None,
    authors: list[dict[str, Any]],
    sections: list[dict[str, Any]],
    text: str | None = None,
) -> Body:
    """A DocumentReference body with every key."""
    return {
        "type": kind,
        "status": "current",
        "date": when,
        "title": title,
        "authors": authors,
        "contentType": "text/plain",
        "text": text,
        "sections": sections,
    }
