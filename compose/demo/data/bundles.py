"""The inbox of a FHIR hospital: transaction bundles and one NDJSON file, in order of arrival."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from compose.demo.data.exports import InboxFile
from compose.demo.data.facilities import Facility
from compose.demo.data.resources import resources_of
from compose.demo.data.results import Number
from compose.demo.data.visits import Visit

Resource = dict[str, Any]
LOADED_AT_START = 15


@dataclass
class FhirExport:
    """Files in order, and per visit the resources a faithful store shows in the end."""

    files: list[InboxFile] = field(default_factory=list)
    final: dict[str, list[Resource]] = field(default_factory=dict)
    amended: list[str] = field(default_factory=list)


def export_fhir(facility: Facility, visits: list[Visit]) -> FhirExport:
    """01929 sends a bundle per patient, then one for the newest visit; 01816 one per visit."""
    result = FhirExport(final={visit.number: resources_of(visit) for visit in visits})
    if facility.code == "01929":
        files = _per_patient(facility, visits, result)
    else:
        files = _per_visit(facility, visits, result)
    # A correction arrives behind what it corrects, though its name would sort before.
    files.sort(key=lambda item: (item[0], "amended" in item[1].oddities, item[1].name))
    for sequence, (_, file) in enumerate(files, start=1):
        result.files.append(
            InboxFile(file.facility, f"{sequence:05d}-{file.name}", file.data, file.visits, file.oddities)
        )
    return result


def _per_patient(facility: Facility, visits: list[Visit], result: FhirExport) -> list[tuple[date, InboxFile]]:
    by_patient: dict[str, list[Visit]] = {}
    for visit in visits:
        by_patient.setdefault(visit.patient_number, []).append(visit)
    files = []
    for number, own in by_patient.items():
        groups = [own[:-1], own[-1:]] if len(own) > 1 else [own]
        for place, group in enumerate(groups):
            data = bundle(facility, _join(result.final[visit.number] for visit in group), method="POST")
            name = f"bundle-{number}-{place + 1}.json"
            files.append((group[-1].sent, InboxFile(facility.code, name, data, tuple(v.number for v in group))))
    return files


def _per_visit(facility: Facility, visits: list[Visit], result: FhirExport) -> list[tuple[date, InboxFile]]:
    by_time = sorted(visits, key=lambda visit: (visit.sent, visit.number))
    first, later = by_time[:LOADED_AT_START], by_time[LOADED_AT_START:]
    numbers = tuple(visit.number for visit in first)
    lines = ndjson(_join(result.final[number] for number in numbers))
    files = [(first[-1].sent, InboxFile(facility.code, "0-first-load.ndjson", lines, numbers, ("ndjson",)))]
    for place, visit in enumerate(later):
        kind = "collection" if place == 9 else "transaction"
        resources = result.final[visit.number]
        odd: tuple[str, ...] = ("collection",) if kind == "collection" else ()
        file = InboxFile(facility.code, f"bundle-{visit.number}.json", b"", (visit.number,), odd)
        if place % 40 == 20 and (amended := _amended(resources)):
            # First sent as read from the device; the corrected result follows in a file of its own.
            result.amended.append(amended["id"])
            named = {"Patient", "Organization", "Practitioner", "Encounter", "Condition"}
            small = [r for r in resources if r["resourceType"] in named] + [amended]
            correction = bundle(facility, small, method="PUT")
            name = f"bundle-{visit.number}-amended.json"
            files.append((visit.sent, InboxFile(facility.code, name, correction, (visit.number,), ("amended",))))
            result.final[visit.number] = [amended if r["id"] == amended["id"] else r for r in resources]
        data = bundle(facility, resources, method="PUT", kind=kind)
        files.append((visit.sent, InboxFile(file.facility, file.name, data, file.visits, file.oddities)))
    return files


def _amended(resources: list[Resource]) -> Resource | None:
    for resource in resources:
        if resource["resourceType"] == "Observation" and resource["id"].endswith("-vs3"):
            quantity = {**resource["valueQuantity"], "value": Number("38.25")}
            return {**resource, "meta": {"versionId": "2"}, "status": "amended", "valueQuantity": quantity}
    return None


def _join(groups: Iterable[list[Resource]]) -> list[Resource]:
    """One resource per type and id, in order of first sight."""
    seen: dict[tuple[str, str], Resource] = {}
    for group in groups:
        for resource in group:
            seen.setdefault((resource["resourceType"], resource["id"]), resource)
    return list(seen.values())


def urn(facility: Facility, kind: str, identity: str) -> str:
    """The urn:uuid of a resource: derived from its place, so it is the same in every bundle."""
    return f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'{facility.code}/{kind}/{identity}')}"


def bundle(facility: Facility, resources: list[Resource], *, method: str, kind: str = "transaction") -> bytes:
    """A Bundle whose inner references are urn:uuid; a collection has no `request`."""
    urns = {f"{r['resourceType']}/{r['id']}": urn(facility, r["resourceType"], r["id"]) for r in resources}
    entries = []
    for resource in resources:
        name, identity = resource["resourceType"], resource["id"]
        entry: Resource = {"fullUrl": urns[f"{name}/{identity}"], "resource": _rewired(resource, urns)}
        if kind == "transaction":
            entry["request"] = {"method": method, "url": name if method == "POST" else f"{name}/{identity}"}
        entries.append(entry)
    return _json({"resourceType": "Bundle", "type": kind, "entry": entries}, indent=1).encode() + b"\n"


def ndjson(resources: list[Resource]) -> bytes:
    """One resource a line, with relative references."""
    return "".join(f"{_json(resource, indent=None)}\n" for resource in resources).encode()


def _rewired(value: Any, urns: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {
            key: urns.get(inner, inner) if key == "reference" and isinstance(inner, str) else _rewired(inner, urns)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_rewired(inner, urns) for inner in value]
    return value


def _json(value: Any, indent: int | None) -> str:
    text = json.dumps(_marked(value), ensure_ascii=False, indent=indent)
    return re.sub(r'"@#(\d+(?:\.\d+)?)#@"', r"\1", text)


def _marked(value: Any) -> Any:
    if isinstance(value, Number):
        return f"@#{value}#@"
    if isinstance(value, dict):
        return {key: _marked(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_marked(inner) for inner in value]
    return value
