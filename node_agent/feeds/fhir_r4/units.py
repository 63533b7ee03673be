"""Records gathered into units: one an encounter, one a patient for the rest. Which of two versions of a
resource counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from node_agent.feeds.fhir_r4.bundle import Entry
from node_agent.feeds.fhir_r4.dates import version_time
from node_agent.feeds.fhir_r4.places import Place
from node_agent.feeds.fhir_r4.problem import ReadingError
from node_agent.feeds.fhir_r4.reader import Notes
from node_agent.records import ParsedPatient, ParsedRecord, ParsedUnit, Supersede

_Key = tuple[str, str]  # (facility, unit key)


@dataclass(slots=True)
class _Unit:
    patient: str
    records: dict[str, ParsedRecord] = field(default_factory=dict)
    withdrawn: set[str] = field(default_factory=set)
    version: str = ""


class Units:
    """The units of one file, as they fill."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._units: dict[_Key, _Unit] = {}
        self._latest: dict[str, tuple[_Key, str]] = {}

    def add(self, place: Place, entry: Entry, record: ParsedRecord | None) -> None:
        """A record, or None for one its author withdrew. Of two versions in the file the newer counts, then
        the later.
        """
        if place.patient is None:
            raise ReadingError("NO_PATIENT")
        key = (place.facility, place.unit_key)
        version = version_of(entry)
        earlier = self._latest.get(entry.key)
        if earlier:
            self._notes["DUPLICATE_RESOURCE", entry.type] += 1
            if earlier[1] > version:
                return
        unit = self._units.setdefault(key, _Unit(place.patient))
        if unit.patient != place.patient:
            raise ReadingError("PATIENT_MISMATCH", entry.type)
        if earlier:
            self._units[earlier[0]].records.pop(entry.key, None)
            self._units[earlier[0]].withdrawn.discard(entry.key)
        self._latest[entry.key] = key, version
        unit.version = max(unit.version, version)
        if record is None:
            unit.withdrawn.add(entry.key)
        else:
            unit.records[entry.key] = record

    def add_person(self, facility: str, entry: Entry) -> None:
        """A Patient resource that came without any record of its own: a unit without records."""
        self._units[facility, f"Patient/{entry.id}"] = _Unit(entry.id, version=version_of(entry))

    def finish(self, patient: Callable[[str, str], ParsedPatient]) -> tuple[ParsedUnit, ...]:
        """All units by facility and key. patient: (facility, local id) -> the person."""
        return tuple(
            ParsedUnit(
                facility=key[0],
                unit_key=key[1],
                version=unit.version,
                patient=patient(key[0], unit.patient),
                records=tuple(unit.records.values()),
                tables=frozenset(record.table for record in unit.records.values()),
                supersede=Supersede.RECORD,
                withdrawn=frozenset(unit.withdrawn),
            )
            for key, unit in sorted(self._units.items(), key=lambda item: item[0])
        )


def version_of(entry: Entry) -> str:
    """meta.lastUpdated as fixed-width UTC text, '' when there is none that can be read."""
    meta = entry.resource.get("meta")
    text = meta.get("lastUpdated") if isinstance(meta, dict) else None
    try:
        return version_time(text) if isinstance(text, str) else ""
    except ValueError:
        return ""
