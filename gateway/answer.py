"""Writing the answer: the patient, the lists and the ledger, as the client selected them, as finished JSON bytes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec

from gateway.city.registry import City
from gateway.connection import ConnectionWriter
from gateway.copies import losing
from gateway.coverage import Assessment, statement_status
from gateway.cursor import CursorSeal, Walk
from gateway.ledger import facility_value
from gateway.merge import merge
from gateway.scatter import NodeResult, without_list
from gateway.shape import Shape
from gateway.strictness import AnswerWithheld
from gateway.subquery import SubQuery
from gateway.walk import Turn, fill
from schema.coverage import StatementStatus
from schema.elements import RecordKind

ALLERGIES = frozenset({RecordKind.ALLERGY_INTOLERANCE})
MEDICINES = frozenset({RecordKind.PRESCRIPTION, RecordKind.MEDICATION_ADMINISTRATION})
NO_ALLERGY = frozenset({"716186003"})  # SNOMED CT "No known allergy"; no known *drug* allergy says nothing of food
UNTRUE = frozenset({"refuted", "entered-in-error"})  # FHIR allergyintolerance-verification
_JSON = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that is compiled from one `patient` selection of one document. comparing: the same for a query that asks a
    warehouse as well, where every edge needs what recognises copies; compiled when the first such query comes."""

    subquery: SubQuery
    query_json: bytes
    coverage: tuple[tuple[str, Shape], ...]
    writers: tuple[ConnectionWriter, ...]
    comparing: Callable[[], Prepared] | None = None

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
    """What one request adds: its variables, page sizes, cursor bindings and walks (one a connection), and who sees the answer.

    walks: None at a list's first page, for which `first` makes the state. patient_id: the patient's id for this client
    application. coverage: the ledger's value, all fields and languages. failed: the ids of located nodes that gave nothing.
    all_times: whether the permit reaches records of every time; within a period nothing can be said to be absent.
    """

    raw: Mapping[str, Any]
    city: City
    sizes: tuple[int, ...]
    bindings: tuple[bytes, ...]
    patient_id: str
    coverage: Mapping[str, Any]
    seal: CursorSeal
    walks: tuple[Walk | None, ...]
    first: Callable[[], Walk]
    failed: frozenset[str]
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
            _patient(parts, prepared, asked, selected.key, results, ledger)
    return b"".join([*parts, b"}"]) if parts else b"{}"


def _patient(
    parts: list[bytes],
    prepared: Prepared,
    asked: Asked,
    owner: str,
    results: tuple[NodeResult, ...],
    ledger: Assessment,
) -> None:
    entities = [e for r in results for e in r.entities]
    copies = [r.request.node.warehouse for r in results for _ in r.entities]
    lists = {w.plan.key: (n, w) for n, w in enumerate(prepared.writers) if w.plan.owner == owner}
    selection = dict(prepared.subquery.patients)[owner]
    for i, selected in enumerate(selection):
        parts.append(f'{"," if i else "{"}"{selected.key}":'.encode())
        if selected.key not in lists:
            parts.append(_JSON.encode(_own(selected.name, asked, entities, copies, ledger)))
            continue
        number, writer = lists[selected.key]
        bound = asked.bindings[number]

        def seal(walk: Walk, bound: bytes = bound) -> str:
            return asked.seal.seal(walk, bound)

        def facility(code: str) -> Mapping[str, Any]:
            return facility_value(asked.city, code)

        turn = _turn(asked, number, writer.plan.part, results, entities, copies)
        parts.append(writer.write(turn, asked.raw, facility, seal))
    parts.append(b"}" if selection else b"{}")


def _turn(
    asked: Asked, number: int, part: str, results: tuple[NodeResult, ...], entities: list[Any], copies: list[bool]
) -> Turn:
    """The page of one list: the next below the last one, or what nodes that failed before now give."""
    walk, size = asked.walks[number], asked.sizes[number]
    missing = without_list(results, part)
    failed = asked.failed | missing if missing else asked.failed
    if walk is None or not walk.late:
        connections = [getattr(e, part) for e in entities]
        page = merge(connections, size, lost=losing(connections, copies) if any(copies) else frozenset())
        return Turn(asked.first if walk is None else partial(_same, walk), page, failed)
    gave = [r for r in results if r.entities and r.request.node.id not in missing]
    by_node = {r.request.node.id: [getattr(e, part) for e in r.entities] for r in gave}
    page, unfilled = fill(walk, by_node, size, asked.city.warehouses)
    return Turn(partial(_same, walk), page, failed, unfilled)


def _same(walk: Walk) -> Walk:
    return walk


def _own(name: str, asked: Asked, entities: list[Any], copies: list[bool], ledger: Assessment) -> Any:
    match name:
        case "id":
            return asked.patient_id
        case "allergyStatus":
            return _reached(asked, allergy_status(entities, ledger, copies)).value
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


def allergy_status(entities: list[Any], ledger: Assessment, copies: Sequence[bool] = ()) -> StatementStatus:
    """From the allergy probe of every node that answered; UNKNOWN when one has more than the probe reads and none is an allergy.

    copies: which entities are a warehouse's. A copy can tell of an allergy, never that there is none: it may be old.
    """
    said = [edge.node for e in entities for edge in e.probe.edges if edge.node.verificationStatus not in UNTRUE]
    recorded = any(not s.statedNone for s in said)
    if not recorded and any(e.probe.pageInfo.hasNextPage for e in entities):
        return StatementStatus.UNKNOWN
    if any(copies):
        own = [e for e, copy in zip(entities, copies, strict=True) if not copy]
        said = [edge.node for e in own for edge in e.probe.edges if edge.node.verificationStatus not in UNTRUE]
    return statement_status(ledger, ALLERGIES, recorded, any(s.statedNone and s.code.code in NO_ALLERGY for s in said))


def most_said(values: list[str | None]) -> str | None:
    """The value most facilities give, the smallest of equals; None when nobody gives one. Names only warn (DESIGN 4)."""
    known = sorted(v for v in values if v)
    return max(known, key=known.count) if known else None
