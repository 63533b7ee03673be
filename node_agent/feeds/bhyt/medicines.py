"""XML2 -> Prescriptions (outpatient kinds, collection) or MedicationAdministrations (inpatient kinds)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from node_agent.feeds.bhyt import codes
from node_agent.feeds.bhyt.rows import Row, row_keys
from node_agent.feeds.bhyt.visit import Visit
from node_agent.records import Body, ParsedRecord
from schema.elements import MedicationUse, RecordKind

IN_FACILITY_KINDS = frozenset({"03", "04", "06", "09"})
# NGAY_RA of 02, 05 and 07 is the last day of medicine, so their drugs go home; so do those of a plain or
# family-medicine
# visit and a remote one. Long-term services (08), visits at home, screening and unknown kinds cannot be
# decided.
TAKE_HOME_KINDS = frozenset({"01", "02", "05", "07", "13", "14"})


def medicine_records(rows: list[Row], visit: Visit) -> Iterator[ParsedRecord]:
    """Records of the filled rows of XML2; every drug row is in exactly one of them."""
    keys = row_keys(rows)
    drugs = [(key, row, _drug(row)) for key, row in zip(keys, rows, strict=True) if not row.is_blank]
    if visit.kind in IN_FACILITY_KINDS:
        yield from (_administration(key, row, drug, visit) for key, row, drug in drugs)
        return
    orders: dict[tuple[str, str], list[tuple[Row, Body]]] = {}
    for _, row, drug in drugs:
        order = (row.text("NGAY_YL") or "", row.text("MA_BAC_SI") or "")
        orders.setdefault(order, []).append((row, drug))
    for (ordered, doctor), lines in orders.items():
        yield _prescription(f"XML2/{ordered}/{doctor}", lines, visit)


def _drug(row: Row) -> Body:
    name, active = row.text("TEN_THUOC"), row.text("MA_THUOC")
    if not name:
        row.notes.add("FIELD_MISSING", "XML2/TEN_THUOC")
    return {
        "drug": name or active or "",
        "code": codes.optional("MA_THUOC", active),
        "strength": row.text("HAM_LUONG"),
        "form": row.text("DANG_BAO_CHE"),
        "dose": row.text("LIEU_DUNG"),
        "instructions": row.text("CACH_DUNG"),
        "route": codes.optional("DUONG_DUNG", row.text("DUONG_DUNG")),
        "quantity": row.decimal("SO_LUONG"),
        "unit": row.text("DON_VI_TINH"),
        "registrationNumber": row.text("SO_DANG_KY"),
    }


def _prescription(place: str, lines: list[tuple[Row, Body]], visit: Visit) -> ParsedRecord:
    """The rows of one order (NGAY_YL, MA_BAC_SI): XML2 has no number and no header of its own."""
    first = lines[0][0]
    authored = first.date("NGAY_YL")
    for row, _ in lines:
        row.date("NGAY_TH_YL")
    items: list[dict[str, Any]] = [{"position": place, **drug} for place, (_, drug) in enumerate(lines, start=1)]
    body: Body = {
        "number": None,
        "status": None,
        "use": _use(lines, visit).value,
        "authoredOn": authored,
        "period": None,
        "prescribers": first.practitioners("MA_BAC_SI"),
        "reasons": [],
        "items": items,
        "note": None,
    }
    return visit.record(RecordKind.PRESCRIPTION, place, body, time=authored)


def _use(lines: list[tuple[Row, Body]], visit: Visit) -> MedicationUse:
    """A drug billed with a technical service (MA_DICH_VU) was used for it; an emergency visit's drugs may
    be either.
    """
    with_service = [bool(row.text("MA_DICH_VU")) for row, _ in lines]
    if all(with_service):
        return MedicationUse.IN_FACILITY
    if any(with_service) or visit.emergency or visit.kind not in TAKE_HOME_KINDS:
        return MedicationUse.UNKNOWN
    return MedicationUse.TAKE_HOME


def _administration(key: str, row: Row, drug: Body, visit: Visit) -> ParsedRecord:
    ordered, given = row.date("NGAY_YL"), row.date("NGAY_TH_YL")
    row.text("MA_DICH_VU")
    start = given or ordered
    body: Body = {
        "status": None,
        "use": MedicationUse.IN_FACILITY.value,
        **drug,
        "period": {"start": start, "end": None} if start else None,
        "practitioners": row.practitioners("MA_BAC_SI"),
    }
    return visit.record(RecordKind.MEDICATION_ADMINISTRATION, f"XML2/{key}", body, time=start)
