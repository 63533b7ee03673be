"""The demo city as a whole: from a seed to people, files and truth, and from there to a folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from compose.demo.data.bundles import FhirExport, export_fhir
from compose.demo.data.clinic import run_clinics
from compose.demo.data.crowd import gather
from compose.demo.data.exports import Export, InboxFile, export
from compose.demo.data.facilities import BHYT_XML, FACILITIES, Facility
from compose.demo.data.people import Person
from compose.demo.data.stories import Cast, tell
from compose.demo.data.truth import Truth, tell_truth

DEFAULT_SEED = 20261122
DEFAULT_AS_OF = date(2026, 11, 20)


@dataclass(frozen=True)
class City:
    """`files` are in order of arrival inside each facility; `truth` is for tests, never fed to one."""

    facilities: tuple[Facility, ...]
    people: tuple[Person, ...]
    files: tuple[InboxFile, ...]
    truth: Truth


def build_city(seed: int = DEFAULT_SEED, people: int = 200, as_of: date = DEFAULT_AS_OF) -> City:
    """The same arguments give the same bytes on every machine; no clock is read."""
    cast = Cast(seed, as_of)
    tell(cast)
    gather(cast, people)
    by_key = {person.key: person for person in cast.people}
    visits = run_clinics(seed, cast.plans)
    exports: dict[str, Export] = {}
    fhir: dict[str, FhirExport] = {}
    for facility in FACILITIES:
        own = [visit for visit in visits if visit.facility is facility]
        if facility.feed == BHYT_XML:
            exports[facility.code] = export(facility, own, by_key, as_of)
        else:
            fhir[facility.code] = export_fhir(facility, own)
    files = [file for facility in FACILITIES for file in (exports.get(facility.code) or fhir[facility.code]).files]
    truth = tell_truth(cast, visits, exports, fhir)
    return City(FACILITIES, tuple(cast.people), tuple(files), truth)


def write_city(city: City, folder: Path) -> None:
    """Lays out <facility>/inbox/<file> and truth.json under `folder`, which may exist already."""
    for file in city.files:
        inbox = folder / file.facility / "inbox"
        inbox.mkdir(parents=True, exist_ok=True)
        (inbox / file.name).write_bytes(file.data)
    text = json.dumps(city.truth, ensure_ascii=False, indent=1)
    (folder / "truth.json").write_bytes(f"{text}\n".encode())
