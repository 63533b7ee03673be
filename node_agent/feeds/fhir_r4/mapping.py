"""Which resource types are carried, by which mapping, and where each names its patient and its encounter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from node_agent.feeds.fhir_r4.condition import read_allergy, read_condition
from node_agent.feeds.fhir_r4.document import read_composition, read_document
from node_agent.feeds.fhir_r4.encounter import read_encounter
from node_agent.feeds.fhir_r4.medication import read_administration, read_request
from node_agent.feeds.fhir_r4.observation import read_observation, read_report
from node_agent.feeds.fhir_r4.procedure import read_imaging, read_immunization, read_procedure
from node_agent.feeds.fhir_r4.referral import read_appointment, read_coverage, read_referral
from node_agent.feeds.fhir_r4.source import Draft, Source


@dataclass(frozen=True, slots=True)
class Mapping:
    """subject and encounter are element names; 'participant' finds the patient among the actors of an
    Appointment.
    """

    read: Callable[[Source], Draft]
    subject: str = "subject"
    encounter: str = "encounter"


MAPPINGS: dict[str, Mapping] = {
    "Encounter": Mapping(read_encounter, encounter=""),
    "Condition": Mapping(read_condition),
    "Observation": Mapping(read_observation),
    "Procedure": Mapping(read_procedure),
    "ImagingStudy": Mapping(read_imaging),
    "MedicationRequest": Mapping(read_request),
    "MedicationAdministration": Mapping(read_administration, encounter="context"),
    "AllergyIntolerance": Mapping(read_allergy, subject="patient"),
    "Immunization": Mapping(read_immunization, subject="patient"),
    "DiagnosticReport": Mapping(read_report),
    "DocumentReference": Mapping(read_document, encounter="context.encounter"),
    "Composition": Mapping(read_composition),
    "ServiceRequest": Mapping(read_referral),
    "Appointment": Mapping(read_appointment, subject="participant", encounter=""),
    "Coverage": Mapping(read_coverage, subject="beneficiary", encounter=""),
}
# These name people and places for the records above and are no records themselves.
SUPPORTING = frozenset({"Patient", "Practitioner", "PractitionerRole", "Organization", "Location", "Medication"})
