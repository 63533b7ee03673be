"""Small FHIR files for tests, written by hand. The patient is invented."""

from __future__ import annotations

import json
from typing import Any

from node_agent.feeds.fhir import FhirFeed
from node_agent.records import ParsedFile, ParsedRecord
from schema.identity import IdentifierKind
from tests.node_agent.feeds.contract import record_problems

Json = dict[str, Any]
HERE, THERE = "01929", "01816"
SID = "http://fhir.vn/sid"
SYSTEMS = {
    f"{SID}/cccd": IdentifierKind.CCCD,
    f"{SID}/bhyt": IdentifierKind.BHXH,
    "http://hl7.org/fhir/sid/passport-": IdentifierKind.PASSPORT,
    f"{SID}/passport": IdentifierKind.PASSPORT,
}
ORGANIZATIONS = {"org-here": HERE, "org-there": THERE}
PATIENT: Json = {
    "resourceType": "Patient",
    "id": "p1",
    "identifier": [{"system": f"{SID}/cccd", "value": "001085012347"}],
    "name": [{"family": "Nguyễn", "given": ["Văn", "Thử"]}],
    "gender": "male",
    "birthDate": "1985-03-01",
}
ENCOUNTER: Json = {
    "resourceType": "Encounter",
    "id": "e1",
    "status": "finished",
    "class": {"code": "AMB"},
    "subject": {"reference": "Patient/p1"},
    "period": {"start": "2026-01-05T08:00:00+07:00"},
}


def feed() -> FhirFeed:
    return FhirFeed([HERE], SYSTEMS, ORGANIZATIONS)


def parse(*resources: Json) -> ParsedFile:
    """The parsed collection bundle of these resources."""
    return feed().parse(bundle(*resources))


def bundle(*resources: Json, kind: str = "collection") -> bytes:
    entries = [{"resource": resource} for resource in resources]
    return json.dumps({"resourceType": "Bundle", "type": kind, "entry": entries}, ensure_ascii=False).encode()


def make(kind: str, **elements: Any) -> Json:
    """A resource of patient p1 with id x1."""
    subject = {"AllergyIntolerance": "patient", "Immunization": "patient", "Coverage": "beneficiary"}.get(
        kind, "subject"
    )
    base: Json = {"resourceType": kind, "id": "x1", subject: {"reference": "Patient/p1"}}
    return {**base, **elements}


def concept(code: str, system: str | None = None, display: str | None = None) -> Json:
    coding = {"system": system, "code": code, "display": display}
    return {"coding": [{name: value for name, value in coding.items() if value}]}


def one(*resources: Json) -> ParsedRecord:
    """The single record these resources give; it must fit the contract."""
    parsed = parse(PATIENT, *resources)
    assert not parsed.errors, parsed.errors
    found = records(parsed)
    assert len(found) == 1
    assert record_problems(found[0]) == []
    return found[0]


def records(parsed: ParsedFile) -> list[ParsedRecord]:
    return [record for unit in parsed.units for record in unit.records]


def remarks(parsed: ParsedFile) -> dict[tuple[str, str], int]:
    return {(remark.code, remark.where): remark.count for remark in parsed.remarks}


def errors(parsed: ParsedFile) -> list[tuple[str, str, str | None]]:
    return [(error.code, error.where, error.field) for error in parsed.errors]
