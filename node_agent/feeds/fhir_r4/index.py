"""Which entry a reference names: urn:uuid, relative, absolute, #contained and conditional ones. Also the
people and organizations.

A bundle's own entries come first, then those of the whole file, so NDJSON lines find each other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from node_agent.feeds.fhir_r4.bundle import TYPE_NAME, Entry, contained
from node_agent.feeds.fhir_r4.codes import expect_object, expect_text

_PATH = re.compile(r"(?:^|.*/)([A-Z][A-Za-z]{1,60})/([^\s/#?]{1,200})(?:/_history/[^/]*)?", re.DOTALL)
_CONDITIONAL = re.compile(r"([A-Z][A-Za-z]{1,60})\?identifier=(?:([^|]*)\|)?(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference as read: target in the file when found; type and id as far as they can be told; display;
    identifier value.
    """

    target: Entry | None
    type: str | None
    id: str | None
    display: str | None
    identifier: str | None

    @property
    def key(self) -> str | None:
        """'Encounter/12', also for a target outside the file; None when only a display or identifier is
        given.
        """
        if self.target:
            return self.target.key
        return f"{self.type}/{self.id}" if self.type and self.id else None


class Index:
    """The entries of one file, by every name a reference may use."""

    def __init__(self, found: Iterable[Entry]) -> None:
        found = list(found)
        self._kept = found  # contained resources are told apart by id() of their owner, so no owner may be freed
        self._names: dict[tuple[int | None, str], Entry] = {}
        self._identifiers: dict[tuple[str, str | None, str], Entry] = {}
        self._contained: dict[tuple[int, str], Entry] = {}
        self._inner_keys: dict[str, Entry] = {}
        self._used: set[int] = set()
        for entry in found:
            self._add(entry)

    def read(self, value: object, path: str, holder: Entry, expected: str | None = None) -> Reference:
        """A Reference element of `holder`. expected: the type to take for a urn:uuid that is not in the
        file.
        """
        data = expect_object(value, path)
        text = expect_text(data.get("reference"), f"{path}.reference")
        display = expect_text(data.get("display"), f"{path}.display")
        stated = expect_text(data.get("type"), f"{path}.type")
        logical = data.get("identifier")
        system = number = None
        if logical is not None:
            logical = expect_object(logical, f"{path}.identifier")
            system = expect_text(logical.get("system"), f"{path}.identifier.system")
            number = expect_text(logical.get("value"), f"{path}.identifier.value")
        if text is None:
            kind = stated or expected
            target = self._identifiers.get((kind, system, number)) if kind and number else None
            return Reference(target, target.type if target else stated, None, display, number)
        return self._resolve(text.strip(), display, number, holder, stated or expected)

    def patient(self, local_id: str) -> Entry | None:
        """A Patient of the file by its id, contained ones included."""
        return self._names.get((None, f"Patient/{local_id}")) or self._inner_keys.get(f"Patient/{local_id}")

    def unused_in(self, entry: Entry) -> int:
        """How many contained resources of an entry no reference read so far has named."""
        listed = entry.resource.get("contained")
        used = sum(1 for _, inner in self._contained_of(entry) if id(inner) in self._used)
        return len(listed) - used if isinstance(listed, list) else 0

    def contained_in(self, entry: Entry, kind: str) -> list[Entry]:
        """The contained resources of one type that a reference has named."""
        return [inner for _, inner in self._contained_of(entry) if inner.type == kind and id(inner) in self._used]

    def _contained_of(self, entry: Entry) -> list[tuple[tuple[int, str], Entry]]:
        listed = entry.resource.get("contained")
        names = [item.get("id") for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
        keys = [(id(entry), name) for name in dict.fromkeys(n for n in names if isinstance(n, str))]
        return [(key, self._contained[key]) for key in keys if key in self._contained]

    def _add(self, entry: Entry) -> None:
        names = [entry.key]
        if entry.full_url:
            names.append(entry.full_url)
            path = _PATH.fullmatch(entry.full_url)
            if path and path[1] == entry.type:
                names.append(f"{path[1]}/{path[2]}")
        for name in names:
            self._names[entry.scope, name] = entry
            self._names[None, name] = entry
        for system, value in identifiers(entry.resource):
            self._identifiers[entry.type, system, value] = entry
            self._identifiers.setdefault((entry.type, None, value), entry)
        for inner in contained(entry):
            self._contained[id(entry), inner.resource["id"]] = inner
            self._inner_keys[inner.key] = inner

    def _resolve(
        self, text: str, display: str | None, number: str | None, holder: Entry, expected: str | None
    ) -> Reference:
        if text.startswith("#"):
            owner = holder.container or holder
            inner = owner if text == "#" else self._contained.get((id(owner), text[1:]))
            if inner:
                self._used.add(id(inner))
            return Reference(inner, inner.type if inner else expected, None, display, number)
        condition = _CONDITIONAL.fullmatch(text)
        if condition:
            inner = self._identifiers.get((condition[1], condition[2] or None, condition[3]))
            return Reference(inner, condition[1], None, display, condition[3])
        path = _PATH.fullmatch(text)
        names = [text, f"{path[1]}/{path[2]}"] if path else [text]
        for scope in (holder.scope, None):
            for name in names:
                target = self._names.get((scope, name))
                if target:
                    return Reference(target, target.type, target.id, display, number)
        if path:
            return Reference(None, path[1], path[2], display, number)
        loose = text.split(":")[-1]
        known = expected if expected and TYPE_NAME.fullmatch(expected) else None
        return Reference(None, known, loose if text.startswith("urn:") and loose else None, display, number)


def identifiers(resource: dict[str, Any]) -> list[tuple[str | None, str]]:
    """(system, value) of every readable identifier of a resource, whatever else is wrong with it."""
    listed = resource.get("identifier")
    out: list[tuple[str | None, str]] = []
    for item in listed if isinstance(listed, list) else [listed]:
        if isinstance(item, dict) and isinstance(item.get("value"), str):
            system = item.get("system")
            out.append((system if isinstance(system, str) else None, item["value"]))
    return out
