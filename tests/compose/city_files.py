"""Reading what the demo city's generator made: tables inside XML, resources inside bundles."""

from __future__ import annotations

import base64
import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from compose.demo.data import City

XML_FACILITIES = {"01003", "01006", "01025"}
FHIR_FACILITIES = {"01929", "01816"}
FIELD_TABLES = Path(__file__).resolve().parents[3] / "shared" / "reference" / "qd4750" / "qd4750_fields.json"


def xml_files(city: City) -> list[tuple[str, bytes]]:
    return [(file.name, file.data) for file in city.files if file.facility in XML_FACILITIES]


def documents(data: bytes) -> Iterator[tuple[str, ET.Element]]:
    """(LOAIHOSO, inner root) of every table in a file, whichever way it is carried."""
    root = ET.fromstring(data)
    if root.tag == "CHI_TIEU_TRANG_THAI_KCB":
        yield "XML0", root
        return
    for file in root.iter("FILEHOSO"):
        content = file.find("NOIDUNGFILE")
        assert content is not None
        name = file.findtext("LOAIHOSO", "")
        if len(content):
            yield name, content[0]
        elif content.text and content.text.strip():
            yield name, ET.fromstring(base64.b64decode(content.text, validate=False))


def rows(city: City, facility: str, table: str) -> list[dict[str, str]]:
    found = []
    for file in city.files:
        if file.facility != facility or "superseded" in file.oddities:
            continue
        for name, document in documents(file.data):
            if name == table:
                rows_here = [e for e in document.iter() if e.find("MA_LK") is not None]
                found += [{child.tag: (child.text or "").strip() for child in row} for row in rows_here]
    return found


def resources(city: City, facility: str) -> Iterator[tuple[str, dict[str, Any], set[str]]]:
    """(file, resource, what a reference in that file may name)."""
    for file in city.files:
        if file.facility != facility:
            continue
        if file.name.endswith(".ndjson"):
            lines = [json.loads(line) for line in file.data.decode().splitlines()]
            named = {f"{line['resourceType']}/{line['id']}" for line in lines}
            yield from ((file.name, line, named) for line in lines)
            continue
        entries = json.loads(file.data)["entry"]
        named = {entry["fullUrl"] for entry in entries}
        yield from ((file.name, entry["resource"], named) for entry in entries)


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "reference" and isinstance(inner, str):
                yield inner
            else:
                yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def people_of(city: City, story: str) -> list[dict[str, Any]]:
    return [person for person in city.truth["people"] if person["story"] == story]
