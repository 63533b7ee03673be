"""The feed `fhir`: FHIR R4 bundles, NDJSON and single resources -> parsed units. The parts are in fhir_r4/.

What is mapped: fhir_r4/mapping.py. What is not is counted by type (UNMAPPED_RESOURCE) or element
(UNMAPPED_ELEMENT).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from node_agent.feeds.fhir_r4.bundle import ID, Entry, Fault, Seen, entries
from node_agent.feeds.fhir_r4.decode import MAX_BYTES, decode, flaw
from node_agent.feeds.fhir_r4.index import Index
from node_agent.feeds.fhir_r4.mapping import MAPPINGS, SUPPORTING
from node_agent.feeds.fhir_r4.patient import read_patient, readable_identifiers
from node_agent.feeds.fhir_r4.places import Place, Places
from node_agent.feeds.fhir_r4.problem import ReadingError
from node_agent.feeds.fhir_r4.reader import Node, Notes
from node_agent.feeds.fhir_r4.source import Draft, NotStoredError, Source
from node_agent.feeds.fhir_r4.units import Units, version_of
from node_agent.records import FeedError, ParsedFile, ParsedPatient, ParsedRecord, Remark
from schema.elements import Feed
from schema.identity import Identifier, IdentifierKind

_WHOLE = frozenset(MAPPINGS) | SUPPORTING
_NOTHING: Mapping[str, str] = MappingProxyType({})


class FhirFeed:
    """FHIR R4 -> ParsedFile. facilities: the codes this node serves, the first being the default.

    identifier_systems: system URI -> kind. organizations: organization id or identifier value -> facility
    code.
    """

    feed = Feed.FHIR

    def __init__(
        self,
        facilities: Sequence[str],
        identifier_systems: Mapping[str, IdentifierKind],
        organizations: Mapping[str, str] = _NOTHING,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        if not facilities:
            raise ValueError("a feed needs at least one facility")
        self.facilities, self.identifier_systems = tuple(facilities), dict(identifier_systems)
        self.organizations, self.max_bytes = dict(organizations), max_bytes

    def parse(self, data: bytes) -> ParsedFile:
        """Every resource that can be read, and an error or a remark for all else. Never raises on any
        bytes.
        """
        reading = _Reading(self, list(entries(decode(data, self.max_bytes), _WHOLE)))
        return reading.run()


class _Reading:
    """One file being read."""

    def __init__(self, feed: FhirFeed, found: list[Entry | Fault | Seen]) -> None:
        self._feed, self._found = feed, found
        resources = [item for item in found if isinstance(item, Entry)]
        self._index = Index(resources)
        self._places = Places(resources, self._index, feed.facilities, feed.organizations)
        self._notes = self._places.notes
        self._units = Units(self._notes)
        self._errors: list[FeedError] = []
        self._people: dict[str, Entry] = {}
        self._made: dict[tuple[str, str], ParsedPatient] = {}
        self._read: set[str] = set()
        self._seen: set[str] = (
            set()
        )  # patients whose records, here or elsewhere, already say which facilities know them
        for entry in resources:
            known = self._people.get(entry.id)
            if entry.type == "Patient" and (known is None or version_of(known) <= version_of(entry)):
                self._people[entry.id] = entry

    def run(self) -> ParsedFile:
        for item in self._found:
            if isinstance(item, Fault):
                self._fault(item)
            elif isinstance(item, Seen):
                self._notes[item.code, item.where] += 1
            elif item.type in MAPPINGS:
                self._record(item)
            elif item.type not in SUPPORTING:
                self._notes["UNMAPPED_RESOURCE", item.type] += 1
        for entry in self._people.values():
            if entry.id in self._seen:
                continue
            facility = self._places.patient_facility(entry)
            if facility in self._feed.facilities:
                self._units.add_person(facility, entry)
            else:
                self._notes["ELSEWHERE", "Patient"] += 1
        units = self._units.finish(self._person)
        remarks = tuple(Remark(code, where, count) for (code, where), count in sorted(self._notes.items()))
        return ParsedFile(units, tuple(self._errors), remarks)

    def _record(self, entry: Entry) -> None:
        """Map one resource, and the Observations it contains; a problem costs this resource only."""
        notes = Notes()
        try:
            self._map(entry, notes)
            for inner in self._index.contained_in(entry, "Observation") if entry.container is None else ():
                self._record(inner)
        except ReadingError as problem:
            self._error(entry, problem)
        except RecursionError:
            self._error(entry, ReadingError("TOO_DEEP"))
        self._notes.update(notes)

    def _map(self, entry: Entry, notes: Notes) -> None:
        place: Place | None = None
        try:
            place = self._places.of(entry)
            self._seen.add(place.patient or "")
            if place.facility not in self._feed.facilities:
                raise NotStoredError("ELSEWHERE", entry.type)
            node = Node(entry.resource, entry.type, notes)
            mapping = MAPPINGS[entry.type]
            node.text("id")
            node.take(mapping.subject)
            if mapping.encounter and "." not in mapping.encounter:
                node.take(mapping.encounter)
            source = Source(entry, node, self._index, self._places.organizations, place.facility, self._places.roles)
            draft = mapping.read(source)
            if place.problem:
                raise place.problem
            self._units.add(place, entry, _record_of(entry, place, draft))
            node.note_leftovers()
            unused = self._index.unused_in(entry)
            if unused:
                node.note_unmapped("contained", unused)
        except NotStoredError as skip:
            notes.clear()
            notes[skip.code, skip.where] += 1
            if skip.withdrawn and place and place.patient:
                self._units.add(place, entry, None)

    def _person(self, facility: str, local_id: str) -> ParsedPatient:
        """The patient as far as the file tells; one that is absent or unreadable has its local id only."""
        known = self._made.get((facility, local_id))
        if known:
            return known
        made = ParsedPatient(facility, local_id)
        entry = self._people.get(local_id) or self._index.patient(local_id)
        if entry:
            notes = Notes()
            try:
                made = read_patient(entry, facility, self._feed.identifier_systems, notes)
            except (ReadingError, RecursionError) as error:
                problem = error if isinstance(error, ReadingError) else ReadingError("TOO_DEEP")
                if local_id not in self._read:
                    who = replace(made, identifiers=self._numbers(entry.resource, facility))
                    self._errors.append(_feed_error(entry.where, "Patient", problem, facility, who))
            if local_id not in self._read:
                self._notes.update(notes)
            self._read.add(local_id)
        self._made[facility, local_id] = made
        return made

    def _fault(self, fault: Fault) -> None:
        if fault.resource is not None and fault.type in MAPPINGS:
            self._error(Entry(fault.where, -1, fault.type or "", "", fault.resource), fault.problem)
        elif fault.resource is not None and fault.type == "Patient":
            self._unusable_patient(fault, fault.resource)
        else:
            self._errors.append(_feed_error(fault.where or "file", fault.type, fault.problem, None, None))

    def _unusable_patient(self, fault: Fault, resource: dict[str, Any]) -> None:
        """A Patient that never became an entry; its numbers still tell whose answers must not look whole."""
        local_id = resource.get("id")
        usable = isinstance(local_id, str) and ID.fullmatch(local_id) and not flaw(local_id)
        entry = Entry(fault.where, -1, "Patient", str(local_id) if usable else "", resource)
        facility = self._places.patient_facility(entry)
        numbers = self._numbers(resource, facility)
        known = facility in self._feed.facilities and (entry.id or numbers)
        who = ParsedPatient(facility, entry.id, numbers) if known else None
        self._errors.append(_feed_error(fault.where, "Patient", fault.problem, facility if who else None, who))

    def _numbers(self, resource: dict[str, Any], facility: str) -> tuple[Identifier, ...]:
        return readable_identifiers(resource, facility, self._feed.identifier_systems)

    def _error(self, entry: Entry, problem: ReadingError) -> None:
        """An error with the patient it concerns, when that can still be told."""
        facility = patient = None
        try:
            place = self._places.of(entry)
            if place.patient and place.facility in self._feed.facilities:
                facility, patient = place.facility, self._person(place.facility, place.patient)
        except (ReadingError, NotStoredError, RecursionError):
            pass  # nobody can be named; the error itself still stands
        error = _feed_error(entry.where, entry.type, problem, facility, patient)
        self._errors.append(replace(error, unit_key=entry.key) if entry.id else error)


def _record_of(entry: Entry, place: Place, draft: Draft) -> ParsedRecord:
    return ParsedRecord(
        kind=draft.kind,
        source_key=entry.key,
        table=entry.type,
        body=draft.body,
        time=draft.time,
        encounter_key=None if entry.type == "Encounter" else place.encounter,
        number=(draft.issuer or place.facility, draft.number) if draft.number else None,
        links=draft.links,
    )


def _feed_error(
    where: str, table: str | None, problem: ReadingError, facility: str | None, patient: ParsedPatient | None
) -> FeedError:
    return FeedError(problem.code, where, table, problem.field, problem.reason_vi, problem.reason_en, facility, patient)
