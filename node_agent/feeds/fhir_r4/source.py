"""A resource on its way into the contract: what a mapping reads (Source) and what it gives (Draft, or
NotStoredError with its remark).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from node_agent.feeds.fhir_r4.bundle import Entry
from node_agent.feeds.fhir_r4.codes import EMPTY_CODE, Concept, expect_list
from node_agent.feeds.fhir_r4.index import Index, Reference
from node_agent.feeds.fhir_r4.organizations import Organizations
from node_agent.feeds.fhir_r4.problem import ReadingError
from node_agent.feeds.fhir_r4.reader import Node, Notes
from node_agent.feeds.fhir_r4.values import person_name
from node_agent.records import Body
from schema.elements import DiagnosisRole, RecordKind

_LICENCE_TYPES = ("MD", "LN", "RN", "NP", "RPH", "DDS", "PRN")
_ROLES = frozenset({"Practitioner", "PractitionerRole"})


@dataclass(frozen=True, slots=True)
class Draft:
    """What a mapping made of a resource. number: the issuer's number; issuer: its facility when it is not
    the record's own.
    """

    kind: RecordKind
    body: Body
    time: str | None
    number: str | None = None
    issuer: str | None = None
    links: dict[str, tuple[str, ...]] = field(default_factory=dict)


class NotStoredError(Exception):
    """The resource makes no record. withdrawn: what was stored of it before no longer holds."""

    def __init__(self, code: str, where: str, withdrawn: bool = False) -> None:
        super().__init__(code)
        self.code, self.where, self.withdrawn = code, where, withdrawn


@dataclass(frozen=True, slots=True)
class Source:
    """One resource with what surrounds it. facility is the record's own; roles: condition key -> role in
    its encounter.
    """

    entry: Entry
    node: Node
    index: Index
    organizations: Organizations
    facility: str
    roles: Mapping[str, DiagnosisRole]

    def reference(self, name: str, expected: str | None = None, node: Node | None = None) -> Reference | None:
        """A Reference element."""
        holder = node or self.node
        value = holder.take(name)
        return None if value is None else self.index.read(value, holder.at(name), self.entry, expected)

    def references(self, name: str, expected: str | None = None) -> list[Reference]:
        """A list of Reference elements."""
        listed = expect_list(self.node.take(name), self.node.at(name))
        return [self.index.read(item, self.node.at(name), self.entry, expected) for item in listed]

    def practitioner(self, name: str, node: Node | None = None) -> Body | None:
        """The person a Reference element names."""
        holder = node or self.node
        found = self.reference(name, None, holder)
        return self._person(found, holder.at(name)) if found else None

    def practitioners(self, name: str, inner: str | None = None) -> list[Body]:
        """The people of a list of References, or of a list of objects whose element `inner` is one. No one
        twice.
        """
        if inner is None:
            made = [self._person(found, self.node.at(name)) for found in self.references(name)]
        else:
            made = [self.practitioner(inner, node) for node in self.node.nodes(name)]
        return unique([person for person in made if person])

    def coded_references(self, name: str, concept: str = "code") -> list[Body]:
        """References to Conditions and the like as Codes: the target's own code when it is in the file,
        else the display.
        """
        made = []
        for found in self.references(name):
            code = self._code_of(found, concept)
            if code:
                made.append(code)
            else:
                self.node.note("UNRESOLVED_REFERENCE", self.node.at(name))
        return made

    def reasons(self) -> list[Body]:
        """reasonCode and reasonReference together."""
        return unique(self.node.codes("reasonCode") + self.coded_references("reasonReference"))

    def identifier(self, *hints: str) -> str | None:
        """The first identifier's value that is not old; with hints, only one whose type or system contains
        one of them.
        """
        return next(
            (value for value, label in self.identifiers() if not hints or any(hint in label for hint in hints)),
            None,
        )

    def identifiers(self) -> list[tuple[str, str]]:
        """(value, 'type codes and system' in lower case) of every identifier that is not old."""
        out = []
        for item in self.node.nodes("identifier"):
            kind, system, value, use = (
                item.concept("type"),
                item.text("system"),
                item.text("value"),
                item.text("use"),
            )
            for silent in ("period", "assigner"):
                item.take(silent)
            if value and use != "old":
                codes = [made["code"] or "" for made in kind.codings] if kind else []
                out.append((value, " ".join([*codes, kind.text or "" if kind else "", system or ""]).lower()))
        return out

    def skip_when_in_error(self, status: str | None) -> None:
        """Skip a resource its author has withdrawn."""
        if status == "entered-in-error":
            raise NotStoredError("ENTERED_IN_ERROR", self.entry.type, withdrawn=True)

    def _person(self, found: Reference, path: str) -> Body | None:
        target = found.target
        if target and target.type == "PractitionerRole":
            inner = target.resource.get("practitioner")
            if inner is not None:
                return self._person(self.index.read(inner, "PractitionerRole.practitioner", target), path)
        kind = target.type if target else found.type
        if kind and kind not in _ROLES:
            self.node.note("NOT_A_PRACTITIONER", f"{path} {kind}")
            return None
        made = {"licence": found.identifier, "name": found.display}
        if target:
            person = Node(target.resource, target.type, Notes())
            made = {
                "licence": _licence(person) or found.identifier,
                "name": person_name(person.nodes("name")) or found.display,
            }
        if made["licence"] or made["name"]:
            return made
        self.node.note("UNRESOLVED_REFERENCE", path)
        return None

    def _code_of(self, found: Reference, concept: str) -> Body | None:
        value = found.target.resource.get(concept) if found.target else None
        code = None
        if value is not None and found.target:
            try:
                code = Concept(value, f"{found.target.type}.{concept}").code
            except ReadingError:
                code = None  # the target's own reading reports it
        return code or ({**EMPTY_CODE, "display": found.display} if found.display else None)


def unique(made: list[Body]) -> list[Body]:
    """Codes or people in order without repetitions."""
    return list({tuple(item.values()): item for item in reversed(made)}.values())[::-1]


def _licence(person: Node) -> str | None:
    """The practising licence number: an identifier of a licence type, else of a qualification, else the
    first.
    """
    plain = None
    for item in person.nodes("identifier"):
        value, kind = item.text("value"), item.concept("type")
        if value and kind and kind.has(_LICENCE_TYPES):
            return value
        plain = plain or value
    for qualification in person.nodes("qualification"):
        numbers = [item.text("value") for item in qualification.nodes("identifier")]
        if numbers and numbers[0]:
            return numbers[0]
    return plain
