"""Synthea lives as several hospitals hold them, and what a faithful federation must answer.

`split` cuts every life by Encounter.serviceProvider; `expected` says what each facility's records hold,
`from_answer` gives the same shape from an answer made with SELECTION, and `content_hash` compares the two.
No code is shared with the feed; the shapes are in synthea_content.py.
"""

from __future__ import annotations

import gzip
import json
import re
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from schema.elements import RecordKind
from tests.synthea_content import KINDS, SELECTION, SOURCES, Content, Json, content_hash, from_answer

SSN = "http://hl7.org/fhir/sid/us-ssn"
_UUID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_STAFF = ("Practitioner", "Organization")
__all__ = [
    "KINDS",
    "SELECTION",
    "content_hash",
    "expected",
    "folder",
    "from_answer",
    "lives",
    "organizations",
    "split",
]
Expected = dict[str, list[tuple[str, RecordKind, Content]]]


class _Bundle(msgspec.Struct):
    entry: list[msgspec.Raw]


@dataclass(frozen=True)
class Life:
    """One patient's bundle: each entry as bytes, its resource (numbers as text) and where it belongs."""

    patient: str  # the SSN as written
    entries: list[tuple[bytes, Json, str]]  # facility '' for staff and organizations


def folder() -> Path:
    """Where the lives are, beside the repository."""
    return (Path(__file__).resolve().parent.parent / "../shared/data/fhir-synthea-r4").resolve()


def organizations(source: Path, hospitals: Sequence[str] | None = None) -> dict[str, str]:
    """Organization id -> facility code: dealt in order of id onto `hospitals`, or a code of its own each."""
    lines = (source / "index.jsonl").read_text().splitlines()
    ids = sorted({organization["id"] for line in lines for organization in json.loads(line)["organizations"]})
    return {
        organization: hospitals[place % len(hospitals)] if hospitals else f"S{place:04d}"
        for place, organization in enumerate(ids)
    }


def lives(source: Path, hospitals: Sequence[str] | None = None) -> Iterator[Life]:
    """Every life with the facility of each resource; without an encounter, that of most encounters."""
    codes = organizations(source, hospitals)
    with gzip.open(source / "patients.ndjson.gz") as file:
        for line in file:
            raws = [bytes(raw) for raw in msgspec.json.decode(line, type=_Bundle).entry]
            resources = [json.loads(raw, parse_float=str, parse_int=str)["resource"] for raw in raws]
            yield _life(raws, resources, codes)


def split(source: Path, hospitals: Sequence[str] | None = None) -> Iterator[tuple[str, bytes]]:
    """(facility, transaction bundle) of every life at every facility.

    All ids and UUIDs are made anew per facility, and of a patient's identifiers only the SSN and a local
    number
    remain, so nothing but the SSN tells that two bundles are of one person. Digits are as in the source.
    """
    for life in lives(source, hospitals):
        for facility in sorted({where for _, _, where in life.entries if where}):
            yield facility, _bundle(life, facility)


def expected(source: Path, hospitals: Sequence[str] | None = None, closed: frozenset[str] = frozenset()) -> Expected:
    """SSN -> (facility, kind, content) of every record of a mapped kind, in no particular order.

    closed: codes that the law closes; a resource that is coded so is left out.
    """
    found: Expected = {}
    for life in lives(source, hospitals):
        named = {f"urn:uuid:{resource['id']}": resource for _, resource, _ in life.entries}
        for _, resource, facility in life.entries:
            made = SOURCES.get(resource["resourceType"])
            if made and not _codes_of(resource) & closed:
                found.setdefault(life.patient, []).append((facility, made[0], made[1](resource, named)))
    return found


def _life(raws: list[bytes], resources: list[Json], codes: dict[str, str]) -> Life:
    provider = {
        r["id"]: codes[r["serviceProvider"]["reference"].removeprefix("urn:uuid:")]
        for r in resources
        if r["resourceType"] == "Encounter"
    }
    by_organization = Counter(r["serviceProvider"]["reference"] for r in resources if r["resourceType"] == "Encounter")
    home = min(by_organization, key=lambda name: (-by_organization[name], name)).removeprefix("urn:uuid:")
    patient = next(r for r in resources if r["resourceType"] == "Patient")
    number = next(item["value"] for item in patient["identifier"] if item.get("system") == SSN)
    entries = []
    for raw, resource in zip(raws, resources, strict=True):
        own = resource["id"] if resource["resourceType"] == "Encounter" else _encounter_of(resource)
        facility = "" if resource["resourceType"] in _STAFF else provider.get(own, codes[home])
        entries.append((raw, resource, facility))
    return Life(number, entries)


def _codes_of(resource: Json) -> set[str]:
    return {str(c.get("code")) for c in (resource.get("code") or {}).get("coding", [])}


def _encounter_of(resource: Json) -> str:
    items = resource.get("item") or [{}]
    named = resource.get("encounter") or (items[0].get("encounter") or [{}])[0]
    return str(named.get("reference", "")).removeprefix("urn:uuid:")


def _bundle(life: Life, facility: str) -> bytes:
    chosen = [raw for raw, r, where in life.entries if where == facility and r["resourceType"] != "Patient"]
    used = set(_UUID.findall(b"".join(chosen)))
    staff = [raw for raw, r, where in life.entries if not where and r["id"].encode() in used]
    person = next(raw for raw, r, _ in life.entries if r["resourceType"] == "Patient")
    entries = b",".join([_patient(person), *staff, *chosen])
    own = _UUID.sub(
        lambda found: str(uuid.uuid5(uuid.NAMESPACE_OID, f"{facility}/{found[0].decode()}")).encode(), entries
    )
    return b'{"resourceType":"Bundle","type":"transaction","entry":[' + own + b"]}"


def _patient(raw: bytes) -> bytes:
    entry = json.loads(raw)
    kept = [
        item
        for item in entry["resource"]["identifier"]
        if item.get("system") == SSN or "MR" in str(item.get("type", ""))
    ]
    entry["resource"]["identifier"] = kept
    return json.dumps(entry).encode()
