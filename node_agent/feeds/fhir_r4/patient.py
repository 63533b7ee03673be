"""Patient -> ParsedPatient for one facility: identifiers by configured system, MRN by type, name, birth
date, gender.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from node_agent.feeds.fhir_r4.bundle import Entry
from node_agent.feeds.fhir_r4.codes import expect_object
from node_agent.feeds.fhir_r4.decode import flaw
from node_agent.feeds.fhir_r4.problem import ReadingError
from node_agent.feeds.fhir_r4.reader import Node, Notes
from node_agent.feeds.fhir_r4.values import person_name
from node_agent.records import ParsedPatient
from schema.elements import Gender
from schema.identity import Identifier, IdentifierError, IdentifierKind, canonical

_GENDERS = {gender.value.lower(): gender.value for gender in Gender}
_PASSPORT_SYSTEM = re.compile(r"(.*passport[-/])([A-Za-z0-9]{2,3})")
_COUNTRY = re.compile(r"[A-Z]{3}")
_SYSTEM = re.compile(r"(?:https?://|urn:)[A-Za-z0-9./:_%#-]{1,120}", re.ASCII)
_MANY_DIGITS = re.compile(r"\d{6}")


def read_patient(entry: Entry, facility: str, systems: Mapping[str, IdentifierKind], notes: Notes) -> ParsedPatient:
    """The person as `facility` knows them. Raises ReadingError when the resource cannot be read.

    Identifiers of use old or temp, of unknown systems, and unusable values are counted, never sent on.
    """
    node = Node(entry.resource, "Patient", notes)
    node.text("id")
    gender = node.text("gender")
    if gender is not None and gender not in _GENDERS:
        raise ReadingError("WRONG_VALUE", "Patient.gender")
    birth_date = node.date("birthDate")
    node.take("managingOrganization")  # decides the facility, in units.py
    found: list[Identifier] = []
    for item in node.nodes("identifier"):
        made = _identifier(item, facility, systems)
        if made and made not in found:
            found.append(made)
    name = person_name(node.nodes("name"))
    node.note_leftovers()
    return ParsedPatient(
        facility=facility,
        local_id=entry.id,
        identifiers=tuple(found),
        name=name,
        birth_date=birth_date[:10] if birth_date else None,
        gender=_GENDERS[gender] if gender else None,
    )


def readable_identifiers(
    resource: dict[str, Any], facility: str, systems: Mapping[str, IdentifierKind]
) -> tuple[Identifier, ...]:
    """The identifiers that can be read of a Patient that as a whole cannot: by these its failure finds the person."""
    listed = resource.get("identifier")
    found: dict[Identifier, None] = {}
    for value in listed if isinstance(listed, list) else []:
        try:
            item = Node(expect_object(value, "Patient.identifier"), "Patient.identifier", Notes())
            made = None if flaw(value) else _identifier(item, facility, systems)
        except (ReadingError, RecursionError):
            continue
        if made:
            found[made] = None
    return tuple(found)


def _identifier(item: Node, facility: str, systems: Mapping[str, IdentifierKind]) -> Identifier | None:
    system, value, use, kind_of = (
        item.text("system"),
        item.text("value"),
        item.text("use"),
        item.concept("type"),
    )
    item.take("period")
    country = _country(item, system)
    kind = _kind(system, systems)
    if kind is None and kind_of and kind_of.has(("MR",)):
        kind = IdentifierKind.MRN
    where = f"{item.path} {kind.value if kind else _safe(system)}"
    if use in ("old", "temp"):
        item.note("IDENTIFIER_NOT_IN_USE", where)
    elif kind is None or value is None:
        item.note("IDENTIFIER_UNMAPPED" if kind is None else "IDENTIFIER_EMPTY", where)
    else:
        text = f"{facility}:{value}" if kind is IdentifierKind.MRN else value
        if kind is IdentifierKind.PASSPORT and country and ":" not in value:
            text = f"{country}:{value}"
        try:
            return canonical(kind, text)
        except IdentifierError as error:
            item.note(f"IDENTIFIER_{error.reason}", where)
    return None


def _kind(system: str | None, systems: Mapping[str, IdentifierKind]) -> IdentifierKind | None:
    """The configured kind; 'http://hl7.org/fhir/sid/passport-' stands for the passport systems of all
    countries.
    """
    if system is None:
        return None
    family = _PASSPORT_SYSTEM.fullmatch(system)
    return systems.get(system) or (systems.get(family[1]) if family else None)


def _country(item: Node, system: str | None) -> str | None:
    """The issuing country's three letters: from an extension named country, the system's ending, or the
    assigner.
    """
    family = _PASSPORT_SYSTEM.fullmatch(system or "")
    words = [family[2].upper() if family else None]
    for extension in item.nodes("extension"):
        url = extension.text("url") or ""
        if url.lower().endswith(("country", "nationality")):
            coding, concept = extension.coding("valueCoding"), extension.concept("valueCodeableConcept")
            words += [
                extension.text("valueCode"),
                extension.text("valueString"),
                coding["code"] if coding else None,
            ]
            words.append(concept.token() if concept else None)
        else:
            item.note_unmapped("extension")
            for name in extension.data:
                extension.take(name)
    assigner = item.node("assigner")
    if assigner:
        logical = assigner.node("identifier")
        words += [assigner.text("display"), logical.text("value") if logical else None]
        for name in assigner.data:
            assigner.take(name)
        for name in logical.data if logical else ():
            logical.take(name) if logical else None
    return next((word for word in words if word and _COUNTRY.fullmatch(word)), None)


def _safe(system: str | None) -> str:
    """The system's URI when it can hold no one's number; naming it tells the hospital what to configure."""
    if system is None:
        return "(no system)"
    return system if _SYSTEM.fullmatch(system) and not _MANY_DIGITS.search(system) else "(other system)"
