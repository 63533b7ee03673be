"""Whose a resource is: its patient, its encounter and its facility, from references alone. Nothing is
mapped here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from node_agent.feeds.fhir_r4.bundle import Entry
from node_agent.feeds.fhir_r4.encounter import diagnosis_roles
from node_agent.feeds.fhir_r4.index import Index, Reference
from node_agent.feeds.fhir_r4.mapping import MAPPINGS
from node_agent.feeds.fhir_r4.organizations import Organizations
from node_agent.feeds.fhir_r4.problem import ReadingError
from node_agent.feeds.fhir_r4.reader import Notes
from node_agent.feeds.fhir_r4.source import NotStoredError
from schema.elements import DiagnosisRole


@dataclass(frozen=True, slots=True)
class Place:
    """Where a resource belongs. problem: why there is no patient; unit_key is then meaningless."""

    patient: str | None
    encounter: str | None
    facility: str
    problem: ReadingError | None = None

    @property
    def unit_key(self) -> str:
        """'Encounter/<id>', or 'Patient/<id>' for a resource without encounter."""
        return self.encounter or f"Patient/{self.patient}"


class Places:
    """Answers for the entries of one file."""

    def __init__(
        self, found: Iterable[Entry], index: Index, facilities: Sequence[str], codes: Mapping[str, str]
    ) -> None:
        self._index, self._facilities, self._configured = index, facilities, bool(codes)
        self.organizations = Organizations(index, codes)
        self._encounter_facility: dict[str, str] = {}
        self.roles: dict[str, DiagnosisRole] = {}
        self._claims: dict[str, str] = {}
        self.notes = Notes()
        for entry in found:
            if entry.type == "Encounter":
                self._read_diagnoses(entry)

    def of(self, entry: Entry) -> Place:
        """The place of an entry of a mapped type.

        NotStoredError when its subject is no person, ReadingError when a reference is malformed.
        """
        patient, problem = self._patient(entry)
        if entry.type == "Encounter":
            return Place(_id(patient), entry.key, self._facility(entry, patient), problem)
        found = self._encounter(entry)
        target = found.target if found else None
        key = found.key if found else self._claims.get(entry.key)
        if found is None and key:
            target = self._index.read({"reference": key}, key, entry).target
        if target and target.type == "Encounter" and patient:
            theirs = self._patient(target)[0]
            if theirs and _id(theirs) != _id(patient):
                raise ReadingError("PATIENT_MISMATCH", f"{entry.type}.{MAPPINGS[entry.type].encounter}")
        return Place(_id(patient), key, self._facility(target, patient), problem)

    def patient_facility(self, entry: Entry) -> str:
        """The facility of a Patient resource itself."""
        return self._facility(None, Reference(entry, "Patient", entry.id, None, None))

    def _read_diagnoses(self, entry: Entry) -> None:
        listed = entry.resource.get("diagnosis")
        self.roles.update(diagnosis_roles(entry, self._index))
        for item in listed if isinstance(listed, list) else []:
            try:
                key = (
                    self._index.read(item.get("condition"), "", entry, "Condition").key
                    if isinstance(item, dict)
                    else None
                )
            except ReadingError:
                continue  # the encounter's own reading reports it
            if key:
                self._claims.setdefault(key, entry.key)

    def _patient(self, entry: Entry) -> tuple[Reference | None, ReadingError | None]:
        name = MAPPINGS[entry.type].subject
        path = f"{entry.type}.{name}"
        if name == "participant":
            return self._participant(entry, path)
        value = entry.resource.get(name)
        if value is None and entry.container and entry.container.type in MAPPINGS:
            return self._patient(entry.container)
        if value is None:
            return None, ReadingError("NO_PATIENT", path)
        return self._check(self._index.read(value, path, entry, "Patient"), entry, path)

    def _participant(self, entry: Entry, path: str) -> tuple[Reference | None, ReadingError | None]:
        listed: Any = entry.resource.get("participant")
        found: list[Reference] = []
        for item in listed if isinstance(listed, list) else []:
            if isinstance(item, dict) and item.get("actor") is not None:
                actor = self._index.read(item["actor"], f"{path}.actor", entry)
                if (actor.target.type if actor.target else actor.type) == "Patient":
                    found.append(actor)
        if len({_id(actor) for actor in found}) > 1:
            raise NotStoredError("SEVERAL_PATIENTS", entry.type)
        return (found[0], None) if found and _id(found[0]) else (None, ReadingError("NO_PATIENT", path))

    def _check(self, found: Reference, entry: Entry, path: str) -> tuple[Reference | None, ReadingError | None]:
        kind = found.target.type if found.target else found.type
        if kind not in (None, "Patient"):
            raise NotStoredError("SUBJECT_NOT_A_PATIENT", f"{entry.type} {kind}")
        return (found, None) if _id(found) else (None, ReadingError("NO_PATIENT", path))

    def _encounter(self, entry: Entry) -> Reference | None:
        name = MAPPINGS[entry.type].encounter
        value: Any = entry.resource
        for step in name.split(".") if name else []:
            value = value.get(step) if isinstance(value, dict) else None
            value = value[0] if step == "encounter" and isinstance(value, list) and value else value
        if not name or value is None or value == []:
            return self._encounter(entry.container) if entry.container and entry.container.type in MAPPINGS else None
        found = self._index.read(value, f"{entry.type}.{name}", entry, "Encounter")
        kind = found.target.type if found.target else found.type
        if kind == "Encounter" and found.key:
            return found
        self.notes["UNRESOLVED_REFERENCE", f"{entry.type}.{name}"] += 1
        return None

    def _facility(self, encounter: Entry | None, patient: Reference | None) -> str:
        """serviceProvider, else the patient's managingOrganization, else the node's first facility."""
        key = encounter.key if encounter else f"Patient/{_id(patient)}"
        known = self._encounter_facility.get(key)
        if known is None:
            known = self._encounter_facility[key] = self._decide(encounter, patient.target if patient else None)
        return known

    def _decide(self, encounter: Entry | None, patient: Entry | None) -> str:
        asked = ((encounter, "serviceProvider"), (patient, "managingOrganization"))
        for entry, name in asked:
            code, stated = self.organizations.of(entry, name) if entry else (None, False)
            if code:
                return code
            if stated and self._configured and entry:
                self.notes["UNKNOWN_ORGANIZATION", f"{entry.type}.{name}"] += 1
        return self._facilities[0]


def _id(found: Reference | None) -> str | None:
    if found is None:
        return None
    return found.target.id if found.target else found.id
