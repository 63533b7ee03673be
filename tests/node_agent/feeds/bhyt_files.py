"""Small files of the insurer's XML for tests, built by hand; all people are invented. Parses nothing."""

from __future__ import annotations

import base64
from typing import Any
from xml.sax.saxutils import escape

from node_agent.feeds.bhyt_xml import BhytXmlFeed
from node_agent.records import ParsedRecord, ParsedUnit

FACILITY = "01006"
SUMMARY = {
    "MA_LK": "LK1",
    "STT": "1",
    "MA_BN": "BN1",
    "HO_TEN": "NGUYỄN VĂN MẪU",
    "SO_CCCD": "001080123457",
    "NGAY_SINH": "198003140000",
    "GIOI_TINH": "1",
    "MA_THE_BHYT": "DN4010119987654",
    "CHAN_DOAN_RV": "Tăng huyết áp vô căn",
    "MA_BENH_CHINH": "I10",
    "NGAY_VAO": "202611100815",
    "NGAY_RA": "202611100930",
    "MA_LOAI_KCB": "01",
    "MA_CSKCB": FACILITY,
}
DRUG = {
    "MA_LK": "LK1",
    "STT": "1",
    "MA_THUOC": "40.30",
    "TEN_THUOC": "Amlodipin",
    "SO_LUONG": "28.000",
    "MA_BAC_SI": "000001/HNO-CCHN",
    "NGAY_YL": "202611100900",
}
LISTS = {
    "XML0": ("CHI_TIEU_TRANG_THAI_KCB", "DSACH_TRANG_THAI_KCB", "TRANG_THAI_KCB"),
    "XML2": ("CHITIEU_CHITIET_THUOC", "DSACH_CHI_TIET_THUOC", "CHI_TIET_THUOC"),
    "XML3": ("CHITIEU_CHITIET_DVKT_VTYT", "DSACH_CHI_TIET_DVKT", "CHI_TIET_DVKT"),
    "XML4": ("CHITIEU_CHITIET_DICHVUCANLAMSANG", "DSACH_CHI_TIET_CLS", "CHI_TIET_CLS"),
    "XML5": ("CHITIEU_CHITIET_DIENBIENLAMSANG", "DSACH_CHI_TIET_DIEN_BIEN_BENH", "CHI_TIET_DIEN_BIEN_BENH"),
}


def inner(table: str, *rows: dict[str, str]) -> str:
    """The inner document of a table; a table without known wrappers gets a made-up one."""
    wrappers = LISTS.get(table, ("TONG_HOP",) if table == "XML1" else (f"BANG_{table}",))
    text = ""
    for row in rows:
        cells = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in row.items())
        text += f"<{wrappers[-1]}>{cells}</{wrappers[-1]}>"
    for wrapper in reversed(wrappers[:-1]):
        text = f"<{wrapper}>{text}</{wrapper}>"
    return text


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode("ascii")


def file(table: str, content: str) -> str:
    return f"<FILEHOSO><LOAIHOSO>{table}</LOAIHOSO><NOIDUNGFILE>{content}</NOIDUNGFILE></FILEHOSO>"


def hoso(tables: dict[str, list[dict[str, str]]], **summary: str) -> str:
    """A HOSO of XML1 (SUMMARY with changes) and the tables given."""
    files = [file("XML1", encoded(inner("XML1", SUMMARY | summary)))]
    files += [file(table, encoded(inner(table, *rows))) for table, rows in tables.items()]
    return f"<HOSO>{''.join(files)}</HOSO>"


def envelope(*dossiers: str, created: str = "20261111", count: int | None = None) -> bytes:
    """A GIAMDINHHS file."""
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<GIAMDINHHS><THONGTINDONVI><MACSKCB>'
        f"{FACILITY}</MACSKCB></THONGTINDONVI><THONGTINHOSO><NGAYLAP>{created}</NGAYLAP>"
        f"<SOLUONGHOSO>{len(dossiers) if count is None else count}</SOLUONGHOSO>"
        f"<DANHSACHHOSO>{''.join(dossiers)}</DANHSACHHOSO></THONGTINHOSO><CHUKYDONVI/></GIAMDINHHS>"
    ).encode()


def unit_of(tables: dict[str, list[dict[str, str]]] | None = None, **summary: str) -> ParsedUnit:
    """The one unit of a good file; fails when there is an error or another number of units."""
    parsed = BhytXmlFeed([FACILITY]).parse(envelope(hoso(tables or {}, **summary)))
    assert parsed.errors == ()
    (unit,) = parsed.units
    return unit


def records_of(unit: ParsedUnit, table: str) -> list[ParsedRecord]:
    return [record for record in unit.records if record.table == table]


def body_of(unit: ParsedUnit, table: str) -> dict[str, Any]:
    """The body of the only record a table gave."""
    (record,) = records_of(unit, table)
    return record.body


def remarks_of(unit: ParsedUnit) -> dict[tuple[str, str], int]:
    return {(remark.code, remark.where): remark.count for remark in unit.remarks}
