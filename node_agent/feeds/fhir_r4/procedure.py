"""Procedure -> PROCEDURE, Immunization -> IMMUNIZATION and ImagingStudy -> IMAGING_STUDY (never pixels)."""

from __future__ import annotations

from node_agent.feeds.fhir_r4.condition import code_or_empty, skip_without_information
from node_agent.feeds.fhir_r4.reader import Node, joined
from node_agent.feeds.fhir_r4.source import Draft, Source, unique
from node_agent.records import Body
from schema.elements import RecordKind


def read_procedure(source: Source) -> Draft:
    """A procedure; one that was not done keeps its status not-done."""
    node = source.node
    status = node.text("status")
    source.skip_when_in_error(status)
    code = node.concept("code")
    skip_without_information(source, code)
    sites = node.codes("bodySite")
    if len(sites) > 1:
        node.note_unmapped("bodySite", len(sites) - 1)
    moment = node.date("performedDateTime")
    performed = {"start": moment, "end": None} if moment else node.period("performedPeriod")
    devices = [concept.words() for concept in node.concepts("usedCode")]
    devices += [found.display for found in source.references("usedReference")]
    body: Body = {
        "status": status,
        "code": code_or_empty(node, code),
        "internationalCode": None,
        "performed": performed,
        "performers": source.practitioners("performer", "actor"),
        "reasons": source.reasons(),
        "bodySite": sites[0] if sites else None,
        "quantity": None,
        "unit": None,
        "device": joined(devices),
        "anaesthesia": None,
        "note": node.annotation(),
    }
    return Draft(RecordKind.PROCEDURE, body, (performed["start"] or performed["end"]) if performed else None)


def read_immunization(source: Source) -> Draft:
    """A vaccination; one that was not given keeps its status not-done."""
    node = source.node
    status = node.text("status")
    source.skip_when_in_error(status)
    vaccine = node.concept("vaccineCode")
    skip_without_information(source, vaccine)
    occurrence, recorded = node.date("occurrenceDateTime"), node.date("recorded")
    doses = node.nodes("protocolApplied")
    numbers = [item.digits("doseNumberPositiveInt") or item.text("doseNumberString") for item in doses]
    body: Body = {
        "status": status,
        "vaccine": node.require("vaccineCode", vaccine.code if vaccine else None),
        "occurrence": occurrence,
        "lotNumber": node.text("lotNumber"),
        "doseNumber": joined(numbers),
        "primarySource": node.flag("primarySource"),
        "performers": source.practitioners("performer", "actor"),
        "note": node.annotation(),
    }
    return Draft(RecordKind.IMMUNIZATION, body, occurrence or recorded)


def read_imaging(source: Source) -> Draft:
    """An imaging study; the accession number, when it has one, tells copies of the same study."""
    node = source.node
    status = node.text("status")
    source.skip_when_in_error(status)
    numbers = source.identifiers()
    accession = next((value for value, label in numbers if "acsn" in label.split() or "accession" in label), None)
    series = [_series(place, item) for place, item in enumerate(node.nodes("series"), 1)]
    started = node.date("started")
    body: Body = {
        "status": status,
        "studyUid": _study_uid(numbers),
        "accessionNumber": accession,
        "modalities": unique(node.codings("modality") or [made["modality"] for made in series if made["modality"]]),
        "started": started,
        "description": node.text("description"),
        "numberOfSeries": node.whole("numberOfSeries"),
        "numberOfInstances": node.whole("numberOfInstances"),
        "series": series,
    }
    return Draft(RecordKind.IMAGING_STUDY, body, started, number=accession)


def _series(position: int, node: Node) -> Body:
    """One series, numbered by its place: series.number may repeat."""
    number = node.digits("number")
    if number is not None and number != str(position):
        node.note_unmapped("number")
    return {
        "position": position,
        "uid": node.require("uid", node.text("uid")),
        "modality": node.coding("modality"),
        "bodySite": node.coding("bodySite"),
        "description": node.text("description"),
        "numberOfInstances": node.whole("numberOfInstances"),
    }


def _study_uid(numbers: list[tuple[str, str]]) -> str | None:
    """The DICOM study UID: system urn:dicom:uid, or a value urn:oid:…; given without the prefix."""
    for value, label in numbers:
        if value.startswith("urn:oid:") or "urn:dicom:uid" in label:
            return value.removeprefix("urn:oid:")
    return None
