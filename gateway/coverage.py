"""The ledger: computed from plan x results, never from errors somebody happened to catch (DESIGN 6). Pure; the clock is passed in.

How a client reads it is ledger.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from gateway.city.registry import City
from gateway.copy_lines import line_with_copy
from gateway.line import DOUBTFUL, PARTLY, RANK, SOUND, KindLines, Line, joined
from gateway.plan import GAP, QueryPlan, cannot_hold
from gateway.scatter import NodeResult
from gateway.standing import standing_of
from gateway.subquery import SubQuery
from schema.coverage import Completeness, Outcome, StatementStatus
from schema.elements import RecordKind

KINDS_MISSING = {Outcome.UNSUPPORTED: "KINDS_UNSUPPORTED", Outcome.INVALID_RESPONSE: "KINDS_INVALID"}


@dataclass(frozen=True, slots=True)
class Assessment:
    """The ledger as values: located lines, lines of facilities that are behind, and the whole's completeness."""

    completeness: Completeness
    located: tuple[Line, ...]
    behind: tuple[Line, ...]
    registered: int
    connected: int
    current: int


def assess(
    plan: QueryPlan,
    results: Iterable[NodeResult],
    city: City,
    subquery: SubQuery,
    now: datetime,
    fresh_seconds: float,
    gaps: Collection[str] = frozenset(),
) -> Assessment:
    """Every located facility has exactly one line; so has every registered one whose locator is not current.

    A planned node without a result is UNREACHABLE(NO_RESULT): who was asked is the plan's word alone. gaps: the nodes whose
    rows of earlier pages are still missing, and are not fetched by this one: TRUNCATED(GAP), however well they answer now.
    """
    lines: dict[str, list[Line]] = {}
    copies: dict[str, list[Line]] = {}
    for skipped in plan.skipped:
        kinds = tuple((k, skipped.outcome, skipped.reason, 0) for k in plan.kinds)
        doubtful = skipped.reason == DOUBTFUL
        line = Line(skipped.facility, skipped.outcome, skipped.reason, kinds, doubtful=doubtful)
        (copies if skipped.copy else lines).setdefault(skipped.facility, []).append(line)
    by_node = {result.request.node.id: result for result in results}
    for request in plan.requests:
        result = by_node.get(request.node.id) or NodeResult(request, Outcome.UNREACHABLE, "NO_RESULT", 0)
        for number, target in enumerate(result.request.targets):  # copy_lines.heed may have taken some
            line = _line(plan, result, number, target.facility, city, subquery)
            if request.node.id in gaps and line.outcome in SOUND:
                line = replace(line, outcome=Outcome.TRUNCATED, reason=GAP, kinds=tuple(map(_truncated, line.kinds)))
            (copies if request.node.warehouse else lines).setdefault(target.facility, []).append(line)
    whole = {code: joined(some) for code, some in lines.items()}
    for code, some in copies.items():
        whole[code] = line_with_copy(whole.get(code), joined(some))
    located = tuple(whole[code] for code in sorted(whole))
    standing = standing_of(city, now, fresh_seconds)
    completeness = Completeness.COMPLETE
    if standing.behind or standing.silent or not located or any(line.doubtful or line.by_copy for line in located):
        completeness = Completeness.UNCERTAIN
    if any(not line.whole for line in located):
        completeness = Completeness.INCOMPLETE
    registered = len(city.facilities)
    current = registered - len(standing.behind)
    return Assessment(completeness, located, standing.behind, registered, standing.connected, current)


def _truncated(
    kind: tuple[RecordKind, Outcome, str | None, int],
) -> tuple[RecordKind, Outcome, str | None, int]:
    name, outcome, _, count = kind
    return (name, Outcome.TRUNCATED, GAP, count) if outcome in (Outcome.ANSWERED, Outcome.EMPTY) else kind


def _line(plan: QueryPlan, result: NodeResult, number: int, facility: str, city: City, subquery: SubQuery) -> Line:
    if result.outcome is not Outcome.ANSWERED:
        failed: KindLines = tuple((k, result.outcome, result.reason, 0) for k in plan.kinds)
        return Line(facility, result.outcome, result.reason, failed, took_ms=result.took_ms)
    entity, node = result.entities[number], result.request.node
    counts = _counts(subquery, entity)
    lagging = entity.ledger.lagging
    missing = result.kinds
    kinds: KindLines = tuple(
        (k, *_kind_outcome(plan, k, cannot_hold(city, facility, k, node), lagging, n, missing.get(k)), n)
        for k, n in ((kind, counts.get(kind, 0)) for kind in plan.kinds)
    )
    own = [outcome for _, outcome, _, _ in kinds]
    partly = [o for o in own if o in PARTLY]
    broken = [(o, why) for _, o, why, _ in kinds if o not in SOUND and o not in PARTLY]
    outcome, reason = Outcome.EMPTY, None
    if broken:  # a line is never better than its kinds
        outcome, reason = max(broken, key=lambda kind: RANK[kind[0]])
    elif lagging:
        outcome, reason = Outcome.LAGGING, "FEED_SILENT"
    elif any(o is Outcome.ANSWERED for o in own):
        outcome = Outcome.ANSWERED
    elif own and all(o is Outcome.NOT_HELD for o in own):
        outcome = Outcome.NOT_HELD
    if partly and not lagging:
        # Rows of other kinds are an answer. Without any, "nothing here" would be a lie.
        worst = max(partly, key=RANK.__getitem__)
        outcome, reason = (outcome if outcome is Outcome.ANSWERED else worst), KINDS_MISSING[worst]
    if entity.ledger.failedItems:
        reason = "FAILED_ITEMS"
    return Line(
        facility,
        outcome,
        reason,
        kinds,
        entity.ledger.failedItems,
        result.took_ms,
        entity.ledger.asOf,
        entity.ledger.feedLagSeconds,
    )


def _kind_outcome(
    plan: QueryPlan, kind: RecordKind, unheld: bool, lagging: bool, count: int, failed: tuple[Outcome, str] | None
) -> tuple[Outcome, str | None]:
    if kind in plan.not_permitted:
        return Outcome.NOT_ASKED, "NOT_PERMITTED"
    if unheld and not count:  # rows that came although no known feed carries the kind: the registry is behind
        return Outcome.NOT_HELD, None
    if failed:
        return failed
    if lagging:
        return Outcome.LAGGING, "FEED_SILENT"
    return (Outcome.ANSWERED, None) if count else (Outcome.EMPTY, None)


def _counts(subquery: SubQuery, entity: Any) -> dict[RecordKind, int]:
    counts: dict[RecordKind, int] = {}
    for connection in subquery.connections:
        edges = getattr(entity, connection.part).edges
        if connection.kind is not None:
            counts[connection.kind] = counts.get(connection.kind, 0) + len(edges)
            continue
        for name, count in Counter([edge.kind for edge in edges]).items():
            counts[RecordKind(name)] = counts.get(RecordKind(name), 0) + count
    if "allergyStatus" in subquery.probes and not any(
        c.kind is RecordKind.ALLERGY_INTOLERANCE for c in subquery.connections
    ):
        counts[RecordKind.ALLERGY_INTOLERANCE] = max(
            counts.get(RecordKind.ALLERGY_INTOLERANCE, 0), len(entity.probe.edges)
        )
    if "medicationStatus" in subquery.probes:
        for kind, name in ((RecordKind.PRESCRIPTION, "m0"), (RecordKind.MEDICATION_ADMINISTRATION, "m1")):
            counts[kind] = max(counts.get(kind, 0), len(getattr(entity, name).edges))
    return counts


def statement_status(
    assessment: Assessment, kinds: frozenset[RecordKind], recorded: bool, stated_none: bool
) -> StatementStatus:
    """What may be said of allergies or medicines (DESIGN 6, safe empties).

    A statement of none counts only while every located facility that can hold the kind has answered soundly: the one
    that is missing may know better.
    """
    if recorded:
        return StatementStatus.RECORDED
    outcomes = [(k, o) for line in assessment.located for k, o, _, _ in line.kinds if k in kinds]
    broken = [line for line in assessment.located if not line.sound or line.doubtful or line.by_copy]
    permitted = all(o is not Outcome.NOT_ASKED for _, o in outcomes)
    asked = all(any(k in kinds for k, *_ in line.kinds) for line in assessment.located)
    if broken or not assessment.located or not asked or not permitted or any(o not in SOUND for _, o in outcomes):
        return StatementStatus.UNKNOWN
    if stated_none:
        return StatementStatus.STATED_NONE
    held = all(o in (Outcome.EMPTY, Outcome.ANSWERED) for _, o in outcomes)
    return (
        StatementStatus.NOT_RECORDED
        if held and assessment.completeness is Completeness.COMPLETE
        else StatementStatus.UNKNOWN
    )
