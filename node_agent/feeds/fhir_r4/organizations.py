"""Which facility an Organization is: by its id, its identifiers, or the organization it is part of.
Configuration decides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from node_agent.feeds.fhir_r4.bundle import Entry
from node_agent.feeds.fhir_r4.index import Index, Reference, identifiers
from node_agent.feeds.fhir_r4.problem import ReadingError

_LEVELS = 8
_CSKCB = re.compile(r"\d[0-9A-Z]{4}", re.ASCII)


class Organizations:
    """organization id or identifier value -> facility code."""

    def __init__(self, index: Index, codes: Mapping[str, str]) -> None:
        self._index, self._codes = index, codes

    def facility(self, found: Reference) -> str | None:
        """The facility code, None when the organization is not configured. A ward finds its hospital by
        partOf.
        """
        for _ in range(_LEVELS):
            names = [found.id, found.identifier]
            if found.target:
                names += [found.target.id, *(value for _, value in identifiers(found.target.resource))]
            code = next((self._codes[name] for name in names if name and name in self._codes), None)
            above = found.target.resource.get("partOf") if found.target else None
            if code or above is None or found.target is None:
                return code
            try:
                found = self._index.read(above, "Organization.partOf", found.target, "Organization")
            except ReadingError:
                return None
        return None

    def code(self, found: Reference) -> str | None:
        """The facility code, configured or stated as an identifier in the shape of a MA_CSKCB (five
        characters).
        """
        named = [
            found.identifier,
            *(value for _, value in identifiers(found.target.resource if found.target else {})),
        ]
        return self.facility(found) or next((name for name in named if name and _CSKCB.fullmatch(name)), None)

    def label(self, found: Reference) -> str | None:
        """The code, else what the file calls the organization: its name, display or identifier."""
        name = found.target.resource.get("name") if found.target else None
        named = name if isinstance(name, str) and name.strip() else None
        return self.code(found) or named or found.display or found.identifier

    def of(self, entry: Entry, name: str) -> tuple[str | None, bool]:
        """(facility code, whether an organization is stated) for element `name` of a resource."""
        value = entry.resource.get(name)
        if value is None:
            return None, False
        try:
            return self.facility(self._index.read(value, f"{entry.type}.{name}", entry, "Organization")), True
        except ReadingError:
            return None, True
