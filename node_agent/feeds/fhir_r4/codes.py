"""Coding and CodeableConcept -> the contract's Code. Which coding is chosen, and what is counted as left
out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from node_agent.feeds.fhir_r4.decode import Number
from node_agent.feeds.fhir_r4.problem import ReadingError
from node_agent.records import Body

EMPTY_CODE: Body = {"system": None, "code": None, "display": None, "asSent": None}
_OIDS = {
    "2.16.840.1.113883.6.3": 0,
    "2.16.840.1.113883.6.90": 0,
    "2.16.840.1.113883.6.1": 1,
    "2.16.840.1.113883.6.96": 2,
    "2.16.840.1.113883.6.73": 3,
    "2.16.840.1.113883.6.88": 4,
    "2.16.840.1.113883.12.292": 5,
}
_NAMES = (
    re.compile(r"icd-?10"),
    re.compile(r"loinc"),
    re.compile(r"snomed"),
    re.compile(r"\batc\b"),
    re.compile(r"rxnorm"),
    re.compile(r"\bcvx\b"),
)
_ICD10 = re.compile(r"[A-Z]\d[0-9A-Z](?:\.?[0-9A-Z]{1,4})?", re.ASCII)


@lru_cache(maxsize=1024)
def rank(system: str | None) -> int:
    """0 ICD-10, 1 LOINC, 2 SNOMED CT, 3 ATC, 4 RxNorm, 5 CVX, 6 any other, by URI or OID."""
    if not system:
        return 6
    if system.startswith("urn:oid:"):
        return _OIDS.get(system[8:], 6)
    lowered = system.lower()
    return next((place for place, name in enumerate(_NAMES) if name.search(lowered)), 6)


def normalised(system: str | None, code: str | None) -> str | None:
    """The code without blanks; an ICD-10 code in capitals, with its dot and without dagger or asterisk
    (e119* -> E11.9).
    """
    if code is None:
        return None
    made = code.strip()
    if rank(system) != 0:
        return made or None
    made = made.upper().rstrip("*+†")
    if _ICD10.fullmatch(made) and "." not in made and len(made) > 3:
        made = f"{made[:3]}.{made[3:]}"
    return made or None


class Concept:
    """A CodeableConcept or Coding, checked. `code` is the chosen Code or None; `left_out` counts what it
    does not carry.
    """

    __slots__ = ("code", "codings", "left_out", "text", "text_left_out")

    def __init__(self, value: object, path: str) -> None:
        data = expect_object(value, path)
        listed = expect_list(data.get("coding"), f"{path}.coding")
        self.text = expect_text(data.get("text"), f"{path}.text")
        self.codings = [coding(item, f"{path}.coding") for item in listed]
        self._choose()

    def _choose(self) -> None:
        usable = [made for made in self.codings if made != EMPTY_CODE]
        coded = [made for made in usable if made["code"]] or usable
        chosen = min(coded, key=lambda made: rank(made["system"]), default=None)
        self.left_out = max(len(usable) - 1, 0)
        self.text_left_out = False
        if chosen is None:
            self.code: Body | None = {**EMPTY_CODE, "display": self.text} if self.text else None
            return
        self.text_left_out = bool(chosen["display"] and self.text and self.text.strip() != chosen["display"].strip())
        self.code = {**chosen, "display": chosen["display"] or self.text}

    def has(self, codes: Iterable[str]) -> bool:
        """Whether any coding is one of these codes."""
        wanted = frozenset(codes)
        return any(made["code"] in wanted for made in self.codings)

    def words(self) -> str | None:
        """What to print where the contract has text: the text, else a display, else a code."""
        if self.text:
            return self.text
        return next((made[part] for part in ("display", "code") for made in self.codings if made[part]), None)

    def token(self) -> str | None:
        """What a small closed vocabulary holds: the first code, else the words."""
        return next((made["code"] for made in self.codings if made["code"]), None) or self.text


def coding(value: object, path: str) -> Body:
    """A Coding as Code; all null when the object holds neither code nor display."""
    data = expect_object(value, path)
    system, code, display = (expect_text(data.get(name), f"{path}.{name}") for name in ("system", "code", "display"))
    if code is None and display is None:
        return dict(EMPTY_CODE)
    return {"system": system, "code": normalised(system, code), "display": display, "asSent": code}


def expect_object(value: object, path: str) -> dict[str, Any]:
    """The value as a JSON object; ReadingError WRONG_TYPE otherwise."""
    if not isinstance(value, dict):
        raise ReadingError("WRONG_TYPE", path)
    return value


def expect_list(value: object, path: str) -> list[Any]:
    """The value as a list without nulls, [] for absent; ReadingError WRONG_TYPE otherwise."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise ReadingError("WRONG_TYPE", path)
    return [item for item in value if item is not None]


def expect_text(value: object, path: str) -> str | None:
    """The value as text, None for absent or blank; a number is no text."""
    if value is None:
        return None
    if not isinstance(value, str) or isinstance(value, Number):
        raise ReadingError("WRONG_TYPE", path)
    return value if value.strip() else None
