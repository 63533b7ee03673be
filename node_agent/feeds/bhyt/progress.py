"""XML5 -> progress notes, and the vital signs written inside them as CSST<M75_T37_HA120/70_NT18_SP98_HL2>."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from node_agent.feeds.bhyt import codes
from node_agent.feeds.bhyt.documents import document_body, sections_of
from node_agent.feeds.bhyt.observations import category, observation_body
from node_agent.feeds.bhyt.rows import Row, row_keys
from node_agent.feeds.bhyt.visit import Visit
from node_agent.records import Body, ParsedRecord
from schema.elements import RecordKind

VITALS = re.compile(r"CSST\s*<([^<>]*)>", re.IGNORECASE)
PART = re.compile(r"(M|T|HA|NT|SP|HL)\s*[:=]?\s*(\S.*)", re.IGNORECASE)
PRESSURE = re.compile(r"(\d{1,3})\s*/\s*(\d{1,3})", re.ASCII)
NUMBER = re.compile(r"\d{1,3}(?:[.,]\d{1,2})?", re.ASCII)
SIGNS = {
    "M": ("8867-4", "Mạch", "/min"),
    "T": ("8310-5", "Nhiệt độ", "Cel"),
    "NT": ("9279-1", "Nhịp thở", "/min"),
    "SP": ("59408-5", "SpO2", "%"),
}
SECTIONS = {
    "GIAI_DOAN_BENH": "Giai đoạn bệnh",
    "HOI_CHAN": "Hội chẩn",
    "PHAU_THUAT": "Phẫu thuật, thủ thuật",
}


def progress_records(rows: list[Row], visit: Visit) -> Iterator[ParsedRecord]:
    """For each filled row the note, then the Observations of its vital signs.

    The care level (HL) stays in the text.
    """
    for key, row in zip(row_keys(rows), rows, strict=True):
        if row.is_blank:
            continue
        when, text = row.date("THOI_DIEM_DBLS"), row.text("DIEN_BIEN_LS")
        authors = row.practitioners("NGUOI_THUC_HIEN")
        kind = codes.loinc("11506-3", "Diễn biến lâm sàng", "XML5")
        body = document_body(kind, "Diễn biến lâm sàng", when, authors, sections_of(row, SECTIONS), text)
        yield visit.record(RecordKind.DOCUMENT_REFERENCE, f"XML5/{key}", body, time=when)
        counts: dict[str, int] = {}
        for sign, observation in _vital_signs(text or "", when, row):
            counts[sign] = counts.get(sign, 0) + 1
            repeat = f"/{counts[sign]}" if counts[sign] > 1 else ""
            observation["performers"] = authors
            yield visit.record(RecordKind.OBSERVATION, f"XML5/{key}/{sign}{repeat}", observation, time=when)


def _vital_signs(text: str, when: str | None, row: Row) -> Iterator[tuple[str, Body]]:
    for group in VITALS.findall(text):
        for written in filter(None, (" ".join(part.split()) for part in group.split("_"))):
            part = PART.fullmatch(written)
            sign, value = (part[1].upper(), part[2].strip()) if part else ("", "")
            body = _pressure(value, when) if sign == "HA" else _sign(sign, value, when) if sign in SIGNS else None
            if body is not None:
                yield sign, body
            elif sign != "HL":
                row.notes.add("VITAL_SIGN_UNREAD", "XML5/DIEN_BIEN_LS")


def _sign(sign: str, value: str, when: str | None) -> Body | None:
    number = NUMBER.match(value)
    if not number or value[number.end() :].strip() not in ("", "%"):
        return None
    loinc, name, unit = SIGNS[sign]
    body = observation_body(codes.loinc(loinc, name, sign), value, unit, when)
    body["quantity"] = _quantity(number[0].replace(",", "."), unit)
    return body | {"categories": [category("vital-signs")]}


def _pressure(value: str, when: str | None) -> Body | None:
    pair = PRESSURE.fullmatch(value)
    if not pair:
        return None
    parts = (("8480-6", "Huyết áp tâm thu", pair[1]), ("8462-4", "Huyết áp tâm trương", pair[2]))
    body = observation_body(codes.loinc("85354-9", "Huyết áp", "HA"), value, None, when)
    body["components"] = [
        {
            "position": position,
            "code": codes.loinc(loinc, name, None),
            "value": number,
            "quantity": _quantity(number, "mm[Hg]"),
            "valueCode": None,
        }
        for position, (loinc, name, number) in enumerate(parts, start=1)
    ]
    return body | {"categories": [category("vital-signs")]}


def _quantity(number: str, unit: str) -> dict[str, Any]:
    whole = number.lstrip("0") or "0"
    return {
        "value": f"0{whole}" if whole.startswith(".") else whole,
        "comparator": None,
        "unit": unit,
        "code": unit,
    }
