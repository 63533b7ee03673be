"""Decoded JSON -> entries: the resources of bundles (nested ones too), of NDJSON lines, of single files,
and contained ones.

References between entries: index.py.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from node_agent.feeds.fhir_r4.codes import expect_list, expect_object
from node_agent.feeds.fhir_r4.decode import Repeated, Value, canonical, flaw
from node_agent.feeds.fhir_r4.problem import ReadingError

TYPE_NAME = re.compile(r"[A-Z][A-Za-z]{1,60}", re.ASCII)
ID = re.compile(r"[^\s/#?]{1,200}")
ELEMENT = re.compile(r"_?[A-Za-z][A-Za-z0-9]{0,63}", re.ASCII)
_BUNDLE = frozenset(
    [
        "resourceType",
        "id",
        "meta",
        "implicitRules",
        "language",
        "identifier",
        "type",
        "timestamp",
        "total",
        "link",
        "entry",
        "signature",
    ]
)
_ENTRY = frozenset(["id", "link", "fullUrl", "resource", "search", "request", "response"])
_NESTING = 8
_SHOWN = ("resourceType", "id", "identifier", "code", "name")


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A resource of the file. id: Resource.id, else the uuid of fullUrl, else a digest of its content;
    unique by (type, id).

    scope: which bundle of the file it came in. container: the entry whose `contained` it is in.
    """

    where: str
    scope: int
    type: str
    id: str
    resource: dict[str, Any]
    full_url: str | None = None
    container: Entry | None = None

    @property
    def key(self) -> str:
        """'Observation/123', which is the record's source key."""
        return f"{self.type}/{self.id}"


@dataclass(frozen=True, slots=True)
class Fault:
    """A part of the file that gave no entry."""

    where: str
    problem: ReadingError
    type: str | None = None
    resource: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """Something that is no entry and no fault: a READ_REQUEST, an entry without a resource, an unknown element."""

    code: str
    where: str


def entries(values: Iterable[Value], whole: Container[str]) -> Iterator[Entry | Fault | Seen]:
    """Every resource of the file in order, bundles opened. Never raises.

    whole: the types to keep entirely. Of others only what a reference may show stays, so that the bulk of a
    file
    (claims, bills) is freed as it is read.
    """
    for scope, value in enumerate(values):
        if value.problem:
            yield Fault(value.where, value.problem)
            continue
        for found in _open(value.value, value.where, scope, None, value.suspicious, 0):
            if isinstance(found, Entry) and found.type not in whole:
                shown = {name: found.resource[name] for name in _SHOWN if name in found.resource}
                found = replace(found, resource=shown)
            yield found


def contained(entry: Entry) -> list[Entry]:
    """The contained resources of an entry; ids are scoped by it. Unusable ones are left out: the reader
    counts them.
    """
    found = entry.resource.get("contained")
    out = []
    for place, resource in enumerate(found if isinstance(found, list) else []):
        name = _type_of(resource)
        local = resource.get("id") if name else None
        if name and isinstance(local, str) and ID.fullmatch(local):
            where = f"{entry.where}.contained[{place}]"
            out.append(Entry(where, entry.scope, name, f"{entry.type}.{entry.id}.{local}", resource, None, entry))
    return out


def _open(
    value: object, where: str, scope: int, full_url: str | None, suspicious: bool, depth: int
) -> Iterator[Entry | Fault | Seen]:
    name = _type_of(value)
    if name != "Bundle":
        yield _single(value, name, where, scope, full_url, suspicious)
        return
    try:
        if depth > _NESTING:
            raise ReadingError("TOO_DEEP")
        bundle = expect_object(value, "Bundle")
        if isinstance(bundle, Repeated):
            raise ReadingError("DUPLICATE_KEY", "Bundle")
        listed = expect_list(bundle.get("entry"), "Bundle.entry")
    except ReadingError as problem:
        yield Fault(where or "Bundle", problem, "Bundle")
        return
    if not listed:
        yield Seen("EMPTY_BUNDLE", "Bundle")
    yield from _unknown(bundle, _BUNDLE, "Bundle")
    for place, item in enumerate(listed):
        inner = f"{where} entry[{place}]".strip()
        yield from _entry(item, inner, scope, suspicious, depth)


def _entry(item: object, where: str, scope: int, suspicious: bool, depth: int) -> Iterator[Entry | Fault | Seen]:
    if not isinstance(item, dict) or isinstance(item, Repeated):
        code = "DUPLICATE_KEY" if isinstance(item, Repeated) else "WRONG_TYPE"
        yield Fault(where, ReadingError(code, "Bundle.entry"), "Bundle")
        return
    yield from _unknown(item, _ENTRY, "Bundle.entry")
    request = item.get("request")
    method = request.get("method") if isinstance(request, dict) else None
    if method in ("DELETE", "PATCH"):
        yield Fault(where, ReadingError("DELETE_UNSUPPORTED", "Bundle.entry.request.method"), "Bundle")
    elif item.get("resource") is None:
        yield Seen("READ_REQUEST" if method in ("GET", "HEAD") else "NO_RESOURCE", "Bundle.entry")
    else:
        full_url = item.get("fullUrl")
        yield from _open(
            item["resource"],
            where,
            scope,
            full_url if isinstance(full_url, str) else None,
            suspicious,
            depth + 1,
        )


def _unknown(data: dict[str, Any], known: frozenset[str], path: str) -> Iterator[Seen]:
    """Elements a bundle does not have: a misspelt `entry` would otherwise hide everything in silence."""
    for name in data.keys() - known:
        yield Seen("UNMAPPED_ELEMENT", f"{path}.{name if ELEMENT.fullmatch(name) else '?'}")


def _single(
    value: object, name: str | None, where: str, scope: int, full_url: str | None, suspicious: bool
) -> Entry | Fault:
    if name is None or not isinstance(value, dict):
        return Fault(where or "1", ReadingError("NOT_A_RESOURCE"))
    place = f"{where} {name}".strip()
    try:
        fault = flaw(value) if suspicious else None
        if fault:
            return Fault(place, ReadingError(fault), name, value)
        return Entry(place, scope, name, _id_of(value, full_url), value, full_url)
    except RecursionError:
        return Fault(place, ReadingError("TOO_DEEP"), name)


def _type_of(value: object) -> str | None:
    name = value.get("resourceType") if isinstance(value, dict) else None
    return name if isinstance(name, str) and TYPE_NAME.fullmatch(name) else None


def _id_of(resource: dict[str, Any], full_url: str | None) -> str:
    own = resource.get("id")
    if isinstance(own, str) and ID.fullmatch(own):
        return own
    last = re.split(r"[/:]", full_url)[-1] if full_url else ""
    if ID.fullmatch(last):
        return last
    return hashlib.sha256(canonical(resource)).hexdigest()
