"""Writing the answer: the patient, the lists and the ledger, as the client selected them, as finished JSON bytes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.coverage import Assessment, statement_status
from gateway.cursor import CursorSeal, Position
from gateway.ledger import facility_value
from gateway.merge import ConnectionWriter, merge
from gateway.registry import City
from gateway.scatter import NodeResult
from gateway.shape import Shape
from gateway.strictness import AnswerWithheld
from gateway.subquery import SubQuery
from schema.coverage import StatementStatus
from schema.elements import RecordKind

ALLERGIES = frozenset({RecordKind.ALLERGY_INTOLERANCE})
MEDICINES = frozenset({RecordKind.PRESCRIPTION, RecordKind.MEDICATION_ADMINISTRATION})
NO_ALLERGY = frozenset({"716186003"})  # SNOMED CT "No known allergy"; no known *drug* allergy says nothing of food
UNTRUE = frozenset({"refuted", "entered-in-error"})  # FHIR allergyintolerance-verification
_JSON = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that is compiled from one `patient` selection of one document."""

    subquery: SubQuery
    query_json: bytes
    coverage: tuple[tuple[str, Shape], ...]
    writers: tuple[ConnectionWriter, ...]

    @property
    def tells_coverage(self) -> bool:
        """Whether the client reads completeness, or asks for no records at all."""
        told = any(name == "completeness" for _, s in self.coverage for _, name, _ in s.fields)
        return told or not any(s.name == "patient" for s in self.subquery.answer)


@dataclass(frozen=True, slots=True)
class Answer:
    """One `patient` field. body: the JSON of a PatientAnswer, nothing where the caller wanted a failure instead. coverage: as
    in Asked, for `extensions.coverage`. errors: of single facilities, without a path, where the caller wanted them.
    """

    body: bytes
    coverage: Mapping[str, Any]
    failure: AnswerWithheld | None
    errors: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Asked:
    """What one request adds: its variables, page sizes, cursor bindings (one a connection), and who sees the answer.

    patient_id: the patient's id for this client application. coverage: the ledger's value, all fields and languages. expires: Unix seconds until which its cursors live.
    all_times: whether the permit reaches records of every time; within a period nothing can be said to be absent.
    """

    raw: Mapping[str, Any]
    city: City
    sizes: tuple[int, ...]
    bindings: tuple[bytes, ...]
    patient_id: str
    coverage: Mapping[str, Any]
    seal: CursorSeal
    expires: int
    all_times: bool = True


def write_answer(prepared: Prepared, asked: Asked, results: tuple[NodeResult, ...], ledger: Assessment) -> bytes:
    """The JSON of a PatientAnswer."""
    shapes = dict(prepared.coverage)
    parts: list[bytes] = []
    for i, selected in enumerate(prepared.subquery.answer):
        parts.append(f'{"," if i else "{"}"{selected.key}":'.encode())
        if selected.name == "coverage":
            parts.append(_JSON.encode(shapes[selected.key].of(asked.coverage, asked.raw)))
        elif selected.name == "__typename":
            parts.append(b'"PatientAnswer"')
        elif not ledger.located:
            parts.append(b"null")
        else:
            entities = [e for r in results for e in r.entities]
            _patient(parts, prepared, asked, selected.key, entities, ledger)
    return b"".join([*parts, b"}"]) if parts else b"{}"


def _patient(
    parts: list[bytes], prepared: Prepared, asked: Asked, owner: str, entities: list[Any], ledger: Assessment
) -> None:
    lists = {
        w.plan.key: (w, size, bound)
        for w, size, bound in zip(prepared.writers, asked.sizes, asked.bindings, strict=True)
        if w.plan.owner == owner
    }
    selection = dict(prepared.subquery.patients)[owner]
    for i, selected in enumerate(selection):
        parts.append(f'{"," if i else "{"}"{selected.key}":'.encode())
        if selected.key not in lists:
            parts.append(_JSON.encode(_own(selected.name, asked, entities, ledger)))
            continue
        writer, size, bound = lists[selected.key]
        page = merge([getattr(e, writer.plan.part) for e in entities], size)

        def seal(position: Position, bound: bytes = bound) -> str:
            return asked.seal.seal(position, bound)

        def facility(code: str) -> Mapping[str, Any]:
            return facility_value(asked.city, code)

        parts.append(writer.write(page, asked.raw, facility, seal, asked.expires))
    parts.append(b"}" if selection else b"{}")


def _own(name: str, asked: Asked, entities: list[Any], ledger: Assessment) -> Any:
    match name:
        case "id":
            return asked.patient_id
        case "allergyStatus":
            return _reached(asked, allergy_status(entities, ledger)).value
        case "medicationStatus":
            recorded = any(e.m0.edges or e.m1.edges for e in entities)
            return _reached(asked, statement_status(ledger, MEDICINES, recorded, False)).value
        case "__typename":
            return "Patient"
        case _:
            return most_said([getattr(e, name) for e in entities])


def _reached(asked: Asked, status: StatementStatus) -> StatementStatus:
    """The status as far as the permit reaches: an allergy before a grant's period is an allergy all the same."""
    return status if asked.all_times or status is StatementStatus.RECORDED else StatementStatus.UNKNOWN


def allergy_status(entities: list[Any], ledger: Assessment) -> StatementStatus:
    """From the allergy probe of every node that answered; UNKNOWN when one has more than the probe reads and none is an allergy."""
    said = [edge.node for e in entities for edge in e.probe.edges if edge.node.verificationStatus not in UNTRUE]
    recorded = any(not s.statedNone for s in said)
    if not recorded and any(e.probe.pageInfo.hasNextPage for e in entities):
        return StatementStatus.UNKNOWN
    return statement_status(ledger, ALLERGIES, recorded, any(s.statedNone and s.code.code in NO_ALLERGY for s in said))


def most_said(values: list[str | None]) -> str | None:
    """The value most facilities give, the smallest of equals; None when nobody gives one. Names only warn (DESIGN 4)."""
    known = sorted(v for v in values if v)
    return max(known, key=known.count) if known else None
