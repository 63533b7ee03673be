"""Node: a JSON object being read element by element. What is wrong raises ReadingError; what is never taken
gets counted.

Only elements are known here, no resource: which elements a resource has stands in the mapping files.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from node_agent.feeds.fhir_r4.bundle import ELEMENT
from node_agent.feeds.fhir_r4.codes import (
    EMPTY_CODE,
    Concept,
    coding,
    expect_list,
    expect_object,
    expect_text,
)
from node_agent.feeds.fhir_r4.dates import partial_date
from node_agent.feeds.fhir_r4.decode import Number
from node_agent.feeds.fhir_r4.problem import ReadingError
from node_agent.records import Body

Notes = Counter[tuple[str, str]]  # (remark code, where) -> how often
IGNORED = frozenset({"resourceType", "id", "meta", "implicitRules", "text", "contained"})


class Node:
    """An object of a resource. path is 'Observation.component'; notes collects the remarks of the whole
    resource.
    """

    __slots__ = ("_children", "_taken", "data", "notes", "path")

    def __init__(self, data: dict[str, Any], path: str, notes: Notes, taken: frozenset[str] = frozenset()) -> None:
        if data.get("modifierExtension"):
            raise ReadingError("UNKNOWN_MODIFIER", f"{path}.modifierExtension")
        self.data, self.path, self.notes = data, path, notes
        self._taken = set(taken)
        self._children: list[Node] = []

    def take(self, name: str) -> Any:
        """The raw value, marked as used; None when absent."""
        self._taken.add(name)
        return self.data.get(name)

    def at(self, name: str) -> str:
        """The path of an element."""
        return f"{self.path}.{name}"

    def note(self, code: str, where: str, count: int = 1) -> None:
        """Count a remark."""
        self.notes[code, where] += count

    def note_unmapped(self, name: str, count: int = 1) -> None:
        """Count an element, or a part of one, that was seen and is not carried."""
        self.note("UNMAPPED_ELEMENT", self.at(name), count)

    def require(self, name: str, value: Any) -> Any:
        """The value, or ReadingError MISSING_FIELD when there is none."""
        if value is None:
            raise ReadingError("MISSING_FIELD", self.at(name))
        return value

    def text(self, name: str) -> str | None:
        """A string, None when absent or blank."""
        return expect_text(self.take(name), self.at(name))

    def texts(self, name: str) -> list[str]:
        """A list of strings without blanks."""
        found = (expect_text(item, self.at(name)) for item in expect_list(self.take(name), self.at(name)))
        return [item for item in found if item]

    def flag(self, name: str) -> bool | None:
        """A boolean."""
        value = self.take(name)
        if value is not None and not isinstance(value, bool):
            raise ReadingError("WRONG_TYPE", self.at(name))
        return value

    def digits(self, name: str) -> str | None:
        """A number with the digits as written."""
        value = self.take(name)
        if value is not None and not isinstance(value, Number):
            raise ReadingError("WRONG_TYPE", self.at(name))
        return None if value is None else str(value)

    def whole(self, name: str) -> int | None:
        """A count: a non-negative integer of at most 31 bits, which is GraphQL's Int."""
        value = self.digits(name)
        if value is None:
            return None
        if not value.isdecimal() or len(value) > 10 or int(value) >= 2**31:
            raise ReadingError("WRONG_VALUE", self.at(name))
        return int(value)

    def date(self, name: str) -> str | None:
        """A date, dateTime or instant as PartialDate; without a zone Vietnam's is taken, and counted."""
        value = self.text(name)
        if value is None:
            return None
        try:
            made, assumed = partial_date(value)
        except ValueError:
            raise ReadingError("BAD_DATE", self.at(name)) from None
        if assumed:
            self.note("LOCAL_TIME_ASSUMED", self.at(name))
        return made

    def node(self, name: str) -> Node | None:
        """A nested object."""
        value = self.take(name)
        return None if value is None else self._child(value, name)

    def nodes(self, name: str) -> list[Node]:
        """A list of nested objects."""
        return [self._child(item, name) for item in expect_list(self.take(name), self.at(name))]

    def concept(self, name: str) -> Concept | None:
        """A CodeableConcept; further codings, and a text that says something else than the display, are
        counted.
        """
        value = self.take(name)
        return None if value is None else self._concept(value, name)

    def concepts(self, name: str) -> list[Concept]:
        """A list of CodeableConcepts."""
        return [self._concept(item, name) for item in expect_list(self.take(name), self.at(name))]

    def code(self, name: str) -> Body | None:
        """The Code of a CodeableConcept; None when it says nothing."""
        found = self.concept(name)
        return found.code if found else None

    def codes(self, name: str) -> list[Body]:
        """The Codes of a list of CodeableConcepts."""
        return [found.code for found in self.concepts(name) if found.code]

    def coding(self, name: str) -> Body | None:
        """The Code of a bare Coding."""
        value = self.take(name)
        made = None if value is None else coding(value, self.at(name))
        return None if made is None or made == EMPTY_CODE else made

    def codings(self, name: str) -> list[Body]:
        """The Codes of a list of bare Codings."""
        made = [coding(item, self.at(name)) for item in expect_list(self.take(name), self.at(name))]
        return [item for item in made if item != EMPTY_CODE]

    def token(self, name: str) -> str | None:
        """A CodeableConcept of a small closed vocabulary, as its code: 'active', 'confirmed'."""
        found = self.concept(name)
        return found.token() if found else None

    def period(self, name: str) -> Body | None:
        """A Period, None when it has neither end."""
        found = self.node(name)
        if found is None:
            return None
        made = {"start": found.date("start"), "end": found.date("end")}
        return made if made["start"] or made["end"] else None

    def annotation(self, name: str = "note") -> str | None:
        """The texts of a list of Annotations, a line each; authors and times are counted."""
        return lines(item.text("text") for item in self.nodes(name))

    def note_leftovers(self) -> None:
        """Count every element that was never taken, here and in nested objects."""
        for name in self.data:
            if name not in self._taken and not (name in IGNORED and "." not in self.path) and name != "id":
                self.note_unmapped(name if ELEMENT.fullmatch(name) else "?")
        for child in self._children:
            child.note_leftovers()

    def _child(self, value: object, name: str) -> Node:
        child = Node(expect_object(value, self.at(name)), self.at(name), self.notes)
        self._children.append(child)
        return child

    def _concept(self, value: object, name: str) -> Concept:
        made = Concept(value, self.at(name))
        if made.left_out:
            self.note("ADDITIONAL_CODING", self.at(name), made.left_out)
        if made.text_left_out:
            self.note_unmapped(f"{name}.text")
        return made


def lines(parts: Any) -> str | None:
    """Texts joined by line breaks, without empty ones; None when nothing is left."""
    return "\n".join(part for part in parts if part) or None


def joined(parts: Any, between: str = "; ") -> str | None:
    """Texts joined on one line, without empty ones; None when nothing is left."""
    return between.join(part for part in parts if part) or None
