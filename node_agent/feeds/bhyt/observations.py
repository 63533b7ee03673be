"""XML4 -> Observations, or DiagnosticReports where a row holds a description instead of a value."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from node_agent.feeds.bhyt import codes, values
from node_agent.feeds.bhyt.rows import Row, row_keys
from node_agent.feeds.bhyt.visit import Visit
from node_agent.records import Body, ParsedRecord
from schema.elements import RecordKind


def result_records(rows: list[Row], visit: Visit) -> Iterator[ParsedRecord]:
    """A record for each filled row: a value gives an Observation, text alone a report, neither a pending
    Observation.
    """
    for key, row in zip(row_keys(rows), rows, strict=True):
        if row.is_blank:
            continue
        narrative = _narrative(row.text("MO_TA"), row.text("KET_LUAN"))
        if narrative and not row.text("GIA_TRI"):
            yield _report(key, row, narrative, visit)
        else:
            yield _observation(key, row, narrative, visit)


def observation_body(code: dict[str, Any], value: str | None, unit: str | None, effective: str | None) -> Body:
    """An Observation body with every key; quantity only where the value reads as a number."""
    number = values.measured(value) if value else None
    return {
        "status": "final" if value else "registered",
        "categories": [],
        "code": code,
        "service": None,
        "value": value,
        "quantity": {"value": number[0], "comparator": number[1], "unit": unit, "code": None} if number else None,
        "valueCode": None,
        "interpretation": None,
        "referenceRange": None,
        "effective": effective,
        "issued": None,
        "performers": [],
        "components": [],
        "note": None,
    }


def category(code: str) -> dict[str, Any]:
    """A code of FHIR's observation-category; never sent by the source."""
    return {"system": codes.OBSERVATION_CATEGORY, "code": code, "display": None, "asSent": None}


def _observation(key: str, row: Row, narrative: str | None, visit: Visit) -> ParsedRecord:
    resulted = row.date("NGAY_KQ")
    index, name = row.text("MA_CHI_SO"), row.text("TEN_CHI_SO")
    value, unit = row.text("GIA_TRI"), row.text("DON_VI_DO")
    body = observation_body(codes.code("MA_CHI_SO", index, name), value, unit, resulted) | {
        "categories": [category("laboratory")] if index else [],
        "service": codes.optional("MA_DICH_VU", row.text("MA_DICH_VU")),
        "issued": resulted,
        "performers": row.practitioners("MA_BS_DOC_KQ"),
        "note": narrative,
    }
    if value and unit and body["quantity"] is None:
        body["note"] = "\n".join(filter(None, [f"Đơn vị: {unit}", narrative]))
    return visit.record(RecordKind.OBSERVATION, f"XML4/{key}", body, time=resulted)


def _report(key: str, row: Row, narrative: str, visit: Visit) -> ParsedRecord:
    resulted = row.date("NGAY_KQ")
    service, index, name = row.text("MA_DICH_VU"), row.text("MA_CHI_SO"), row.text("TEN_CHI_SO")
    row.text("DON_VI_DO")
    body: Body = {
        "status": "final",
        "categories": [],
        "code": codes.code("MA_DICH_VU", service, name) if service else codes.code("MA_CHI_SO", index, name),
        "effective": resulted,
        "issued": resulted,
        "performers": row.practitioners("MA_BS_DOC_KQ"),
        "conclusion": narrative,
        "conclusionCodes": [],
    }
    return visit.record(RecordKind.DIAGNOSTIC_REPORT, f"XML4/{key}", body, time=resulted)


def _narrative(description: str | None, conclusion: str | None) -> str | None:
    """MO_TA and KET_LUAN as one text; a conclusion alone stands as it was written."""
    if description:
        return "\n".join(filter(None, [f"Mô tả: {description}", conclusion and f"Kết luận: {conclusion}"]))
    return conclusion
