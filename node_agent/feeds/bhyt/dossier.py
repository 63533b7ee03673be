"""One HOSO -> one ParsedUnit, or the BhytError that stops it. The tables are mapped in their own files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from node_agent.feeds.bhyt.documents import discharge_records, summary_records
from node_agent.feeds.bhyt.encounter import encounter_records
from node_agent.feeds.bhyt.envelope import Dossier
from node_agent.feeds.bhyt.faults import BhytError
from node_agent.feeds.bhyt.letters import appointment_records, referral_records
from node_agent.feeds.bhyt.medicines import medicine_records
from node_agent.feeds.bhyt.observations import result_records
from node_agent.feeds.bhyt.patient import patient_of
from node_agent.feeds.bhyt.progress import progress_records
from node_agent.feeds.bhyt.restricted import UNIT_LABELS, restricted_records
from node_agent.feeds.bhyt.rows import Row
from node_agent.feeds.bhyt.services import service_records
from node_agent.feeds.bhyt.values import fixed_width
from node_agent.feeds.bhyt.visit import Visit, open_visit
from node_agent.records import ParsedRecord, ParsedUnit, Supersede

MAPPINGS: dict[str, Callable[[list[Row], Visit], Iterator[ParsedRecord]]] = {
    "XML2": medicine_records,
    "XML3": service_records,
    "XML4": result_records,
    "XML5": progress_records,
    "XML6": restricted_records,
    "XML7": discharge_records,
    "XML8": summary_records,
    "XML9": restricted_records,
    "XML10": restricted_records,
    "XML11": restricted_records,
    "XML13": referral_records,
    "XML14": appointment_records,
    "XML15": restricted_records,
}
CHECK_IN_VERSION = "!"  # sorts before every digit, so any XML1 of the visit is newer than any check-in


def units_of(dossier: Dossier, facilities: Sequence[str]) -> list[ParsedUnit]:
    """The unit of a HOSO; for XML0 on its own, one unit per visit it names. Raises BhytError.

    version is NGAYLAP as 14 digits. A check-in has version '!': check-ins replace each other by arrival,
    and any XML1, even one without NGAYLAP, replaces them all.
    """
    if dossier.fault:
        raise dossier.fault
    tables = dossier.tables
    if tables.get("XML1"):
        if tables.get("XML0"):
            dossier.notes.add("TABLE_REPEATED", "XML0")
        return [_unit(dossier, _summary_row(tables["XML1"]), facilities)]
    if set(tables) == {"XML0"} and tables["XML0"]:
        return [_check_in(dossier, row, facilities) for row in _latest(tables["XML0"])]
    raise BhytError("TABLE_MISSING", "XML1")


def _unit(dossier: Dossier, row: Row, facilities: Sequence[str]) -> ParsedUnit:
    key, facility = row.required("MA_LK"), _facility(row, facilities)
    _one_visit(dossier.tables, key, dossier)
    visit = open_visit(row, key, facility)
    patient = patient_of(row, facility, visit.start, dossier.tables)
    if dossier.sender and dossier.sender != facility:
        dossier.notes.add("FACILITY_DIFFERS", "GIAMDINHHS/MACSKCB")
    records = list(encounter_records(row, visit))
    labels: frozenset[str] = frozenset()
    for table, rows in dossier.tables.items():
        if table in MAPPINGS:
            found = list(MAPPINGS[table](rows, visit))
            records += found
            labels |= UNIT_LABELS.get(table, frozenset()) if found else frozenset()
    for rows in dossier.tables.values():
        for each in rows:
            each.close()
    return ParsedUnit(
        facility=facility,
        unit_key=key,
        version=fixed_width(dossier.created),
        patient=patient,
        records=tuple(records),
        # XML1 restates all that XML0 says, so nothing of a check-in counts as not resent.
        tables=frozenset(dossier.tables) | {"XML0"},
        supersede=Supersede.UNIT,
        labels=labels,
        remarks=dossier.notes.remarks(),
    )


def _check_in(dossier: Dossier, row: Row, facilities: Sequence[str]) -> ParsedUnit:
    key, facility = row.required("MA_LK"), _facility(row, facilities)
    visit = open_visit(row, key, facility)
    patient = patient_of(row, facility, visit.start, {})
    records = tuple(encounter_records(row, visit))
    row.close()
    remarks = dossier.notes.remarks()
    return ParsedUnit(
        facility,
        key,
        CHECK_IN_VERSION,
        patient,
        records,
        frozenset({"XML0"}),
        Supersede.UNIT,
        remarks=remarks,
    )


def _facility(row: Row, facilities: Sequence[str]) -> str:
    facility = row.required("MA_CSKCB")
    if facility not in facilities:
        raise BhytError("FACILITY_UNKNOWN", row.table, "MA_CSKCB")
    return facility


def _summary_row(rows: list[Row]) -> Row:
    """The XML1 row. Two that differ are a BhytError: nobody can say which diagnosis holds; an exact repeat is
    noted.
    """
    filled = [row for row in rows if row.text("MA_LK") or not row.is_blank]
    if not filled:
        raise BhytError("FIELD_MISSING", "XML1", "MA_LK")
    if len({row.text("MA_LK") for row in filled}) > 1:
        raise BhytError("FIELD_INVALID", "XML1", "MA_LK")
    if len(filled) > 1:
        if any(not row.repeats(filled[0]) for row in filled[1:]):
            raise BhytError("TABLE_REPEATED", "XML1")
        filled[0].notes.add("TABLE_REPEATED", "XML1")
    return filled[0]


def _one_visit(tables: dict[str, list[Row]], key: str, dossier: Dossier) -> None:
    """Rows of another visit would be another patient's: a BhytError.

    A row without MA_LK is taken to belong here, and noted.
    """
    for table, rows in tables.items():
        for row in rows:
            if row.is_blank:
                continue
            own = row.text("MA_LK")
            if own and own != key:
                raise BhytError("FIELD_INVALID", table, "MA_LK")
            if not own:
                dossier.notes.add("FIELD_MISSING", f"{table}/MA_LK")


def _latest(rows: list[Row]) -> list[Row]:
    """The last row of each visit in an XML0, in the order the visits appear."""
    by_visit: dict[str | None, Row] = {}
    for row in rows:
        by_visit[row.text("MA_LK")] = row
    return list(by_visit.values())
