"""The question the demo asks: one patient's history across hospitals, by a doctor of one of them, on the patient's grant.

The query spreads over every record kind, so that `kinds` can be changed, or set to null, without touching the text. How
the answer is printed is timeline.py; what a record says in one line is record_text.py. FIRST_QUERY is the README's.
"""

from __future__ import annotations

from typing import Any

from compose.demo.data.facilities import BY_CODE
from schema.identity import Identifier

ASKING_FACILITY = "01006"
ASKING_DOCTOR = BY_CODE[ASKING_FACILITY].staff[0]
ASKED_AS = f"{ASKING_DOCTOR.name}, {BY_CODE[ASKING_FACILITY].name} ({ASKING_FACILITY}); TREAT, GRANT"
ROWS = 50
RESULTS = 12
# What tells the story of a life at a glance. Diagnoses and drugs come with their encounter, results in a list of their
# own; single services, measurements and progress notes would fill the page with one stay.
KINDS = (
    "ENCOUNTER",
    "ALLERGY_INTOLERANCE",
    "IMMUNIZATION",
    "IMAGING_STUDY",
    "DIAGNOSTIC_REPORT",
    "REFERRAL",
    "APPOINTMENT",
)

FIRST_QUERY = """\
query History($cccd: String!, $grant: ID!) {
  patient(by: {kind: CCCD, value: $cccd}, access: {purpose: TREAT, basis: GRANT, evidence: $grant}) {
    coverage { completeness registered located summary(language: EN)
      facilities { facility { code name } outcome records tookMs } }
    patient {
      name birthDate allergyStatus
      encounters(first: 20, filter: {period: {from: "2024"}}) {
        edges { sortKey facility { name }
          node { class period { start end } diagnoses { code display } prescriptions { items { drug dose quantity } } } }
        pageInfo { hasNextPage } } } } }
"""

QUERY = """\
query History($by: PatientBy!, $access: AccessInput!, $rows: Int!, $kinds: [RecordKind!], $results: Int!) {
  patient(by: $by, access: $access) {
    patient {
      id name birthDate gender allergyStatus medicationStatus
      allergies(first: 20) {
        edges { facility { code name } node { kind ...Allergy } }
      }
      observations(first: $results) {
        edges { sortKey facility { code name } node { ...Result } }
      }
      timeline(first: $rows, filter: {kinds: $kinds}) {
        edges { sortKey late conflict facility { code name } alsoAt { code name } node { ...Row } }
        pageInfo { hasNextPage endCursor gapCursor }
      }
    }
    coverage {
      completeness registered connected current located
      summary(language: VI) summaryEn: summary(language: EN)
      notices(language: VI) noticesEn: notices(language: EN)
      facilities {
        facility { code name }
        outcome reason records failedItems tookMs asOf
        advice(language: VI) adviceEn: advice(language: EN)
        kinds { kind outcome reason records }
      }
    }
  }
}

fragment Row on Record {
  __typename id kind notResent
  ... on Encounter {
    class encounterStatus: status period { start end } days reason
    departments { display } diagnoses { role code display asSent }
    dischargeDiagnosis referredFrom referredTo broughtLetterNumber practitioners { name licence }
    prescriptions { ...Order } medicationAdministrations { ...Given }
  }
  ... on Condition { role conditionCode: code { ...Coded } clinicalStatus onset }
  ...Result
  ... on Procedure { procedureCode: code { ...Coded } performed { start end } }
  ... on ImagingStudy { modalities { ...Coded } description accessionNumber numberOfInstances }
  ...Given
  ...Order
  ...Allergy
  ... on Immunization { vaccine { ...Coded } lotNumber doseNumber }
  ... on DiagnosticReport {
    reportCode: code { ...Coded } conclusion results { ...Result }
  }
  ... on DocumentReference { documentType: type { ...Coded } title sections { title text } }
  ... on Referral {
    number fromFacility toFacility letterReason: reason { ...Coded } letterDiagnoses: diagnoses { ...Coded } diagnosisText
  }
  ... on Appointment { number start appointmentDiagnoses: diagnoses { ...Coded } diagnosisText note }
  ... on InsurancePlanCard { number registeredFacility period { start end } benefit }
}

fragment Allergy on AllergyIntolerance {
  statedNone allergyCode: code { ...Coded } criticality reactions { ...Coded } recordedDate recorder { name licence }
}

fragment Order on Prescription {
  number use items { drug strength dose instructions quantity unit } prescribers { name licence }
}

fragment Given on MedicationAdministration {
  use drug strength dose instructions givenQuantity: quantity unit
}

fragment Result on Observation {
  observationCode: code { ...Coded } value quantity { value comparator unit } valueCode { ...Coded }
  interpretation referenceRange effective
  components { code { ...Coded } value quantity { value comparator unit } }
}

fragment Coded on Code { code display asSent }
"""


def variables(patient: Identifier, grant: str) -> dict[str, Any]:
    """The variables of QUERY: treatment, on this grant of this patient."""
    return {
        "by": {"kind": patient.kind.value, "value": patient.value},
        "access": {"purpose": "TREAT", "basis": "GRANT", "evidence": grant},
        "rows": ROWS,
        "kinds": list(KINDS),
        "results": RESULTS,
    }
