"""The visit that every table of a HOSO hangs on: key, facility, times, kind of care; and how records are
keyed to it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from node_agent.feeds.bhyt.codes import CARE_TYPES_SINCE, icd10
from node_agent.feeds.bhyt.rows import Notes, Row
from node_agent.records import Body, ParsedRecord
from schema.elements import EncounterClass, RecordKind

EMERGENCY = "2"  # MA_DOITUONG_KCB of an emergency, the same in QĐ 4210, 5937 and 3276
CLASSES = {
    "01": EncounterClass.AMBULATORY,
    "02": EncounterClass.AMBULATORY,
    "03": EncounterClass.INPATIENT,
    "04": EncounterClass.DAY,
    "05": EncounterClass.AMBULATORY,
    "06": EncounterClass.INPATIENT,
    "07": EncounterClass.PHARMACY,
    "08": EncounterClass.AMBULATORY,
    "09": EncounterClass.INPATIENT,
    "10": EncounterClass.OTHER,
    "11": EncounterClass.AMBULATORY,
    "12": EncounterClass.HOME,
    "13": EncounterClass.AMBULATORY,
    "14": EncounterClass.VIRTUAL,
    "15": EncounterClass.SCREENING,
    "16": EncounterClass.SCREENING,
}


@dataclass(frozen=True, slots=True)
class Visit:
    """start and end are PartialDates; kind is MA_LOAI_KCB as two digits, or None when it is no code valid
    at that date.
    """

    key: str
    facility: str
    start: str
    end: str | None
    kind: str | None
    emergency: bool
    notes: Notes = field(compare=False)

    @property
    def encounter_key(self) -> str:
        return f"{self.key}/XML1"

    @property
    def encounter_class(self) -> EncounterClass:
        """The class of the encounter: an emergency treated as an outpatient is EMERGENCY."""
        found = CLASSES.get(self.kind or "", EncounterClass.UNKNOWN)
        outpatient = found in (EncounterClass.AMBULATORY, EncounterClass.OTHER, EncounterClass.UNKNOWN)
        return EncounterClass.EMERGENCY if self.emergency and outpatient else found

    def record(
        self,
        kind: RecordKind,
        place: str,
        body: Body,
        time: str | None = None,
        number: tuple[str, str] | None = None,
        labels: frozenset[str] = frozenset(),
    ) -> ParsedRecord:
        """A record of this visit. `place` is '<table>/<row>…'; a record without a time of its own sorts at
        the visit's start.
        """
        return ParsedRecord(
            kind=kind,
            source_key=f"{self.key}/{place}",
            table=place.split("/")[0],
            body=body,
            time=time or self.start,
            encounter_key=self.encounter_key,
            number=number,
            labels=labels,
        )


def open_visit(row: Row, key: str, facility: str) -> Visit:
    """The Visit of an XML1 or XML0 row. BhytError when NGAY_VAO is missing or unreadable."""
    start, end = row.required_date("NGAY_VAO"), row.date("NGAY_RA")
    kind = (row.text("MA_LOAI_KCB") or "").zfill(2)
    if kind not in CLASSES or (kind > "10" and (end or start)[:10] < CARE_TYPES_SINCE):
        row.notes.add("CODE_UNKNOWN", f"{row.table}/MA_LOAI_KCB")
        kind = ""
    emergency = row.text("MA_DOITUONG_KCB", "MA_LYDO_VVIEN") == EMERGENCY
    return Visit(key, facility, start, end, kind or None, emergency, row.notes)


def diagnosis_codes(row: Row, display: str | None = None) -> list[tuple[str, dict[str, Any]]]:
    """(column, Code) of MA_BENH_CHINH, MA_BENH_KT and MA_BENH_YHCT, each ICD-10 code once, in that order."""
    found: list[tuple[str, dict[str, Any]]] = []
    seen: set[str] = set()
    for column in ("MA_BENH_CHINH", "MA_BENH_KT"):
        for sent in row.items(column):
            body = icd10(sent, display if not found else None)
            if body["code"] is None:
                row.notes.add("CODE_UNREADABLE", f"{row.table}/{column}")
            identity = body["code"] or sent
            if identity not in seen:
                seen.add(identity)
                found.append((column, body))
    for sent in row.items("MA_BENH_YHCT"):
        body = {"system": "urn:bhyt:MA_BENH_YHCT", "code": sent, "display": None, "asSent": sent}
        found.append(("MA_BENH_YHCT", body))
    return found
