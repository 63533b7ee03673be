"""The ledger as a client reads it: the Coverage of an answer by GraphQL names, its texts in both languages. Pure.

The `coverage` field cuts it to the client's selection; `extensions.coverage` is this value itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway import advice
from gateway.city.registry import City
from gateway.coverage import Assessment
from gateway.line import SOUND, Line
from gateway.shape import Tail, Tailed, written


def as_value(assessment: Assessment, city: City, notices: list[advice.Text]) -> Mapping[str, Any]:
    """The Coverage of an answer by GraphQL names, texts bilingual; gateway/shape.py cuts it to the client's selection."""
    summary = advice.SUMMARY[assessment.completeness] if assessment.located else advice.NONE_LOCATED
    return {
        "completeness": assessment.completeness.value,
        "facilities": _lines(assessment, city),
        "registered": assessment.registered,
        "connected": assessment.connected,
        "current": assessment.current,
        "located": len(assessment.located),
        "summary": summary,
        "notices": {language: [notice[language] for notice in notices] for language in ("VI", "EN")},
    }


def mirrored(coverage: Mapping[str, Any]) -> Mapping[str, Any]:
    """The value as `extensions.coverage` shows it: whole, with what many answers have in common written already."""
    return {**coverage, "facilities": written(coverage["facilities"])}


def _lines(assessment: Assessment, city: City) -> list[Mapping[str, Any]]:
    """A facility that is located and behind has the line of its answer alone."""
    located = [line_value(line, city) for line in assessment.located]
    if not assessment.behind:
        return located
    known = city.memory.get(Tail)
    if known is None or known[0] is not assessment.behind:
        tail = Tail({line.facility: line_value(line, city) for line in assessment.behind})
        known = city.memory[Tail] = assessment.behind, tail
    return Tailed(located, known[1], frozenset(line.facility for line in assessment.located))


def line_value(line: Line, city: City) -> Mapping[str, Any]:
    """One facility's line, a FacilityCoverage."""
    return {
        "facility": facility_value(city, line.facility),
        "outcome": line.outcome.value,
        "reason": line.reason,
        "kinds": [
            {"kind": kind.value, "outcome": outcome.value, "reason": reason, "records": count}
            for kind, outcome, reason, count in line.kinds
        ],
        "records": line.records,
        "failedItems": line.failed_items,
        "tookMs": line.took_ms,
        "asOf": line.as_of,
        "feedLagSeconds": line.lag_seconds,
        "advice": advice_of(line),
    }


def advice_of(line: Line) -> advice.Text:
    """What a person is told of this facility."""
    if line.by_copy and line.reason in advice.COPIES:
        return advice.COPIES[line.reason]
    if line.failed_items and line.outcome in SOUND:
        return advice.FAILED_ITEMS
    if line.sound and not line.whole:
        return advice.KINDS_MISSING
    return advice.DOUBTFUL if line.doubtful and line.sound else advice.of(line.outcome, line.reason)


def facility_value(city: City, code: str) -> Mapping[str, Any]:
    """A Facility by GraphQL names."""
    state = city.facilities.get(code)
    return {"code": code, "name": state.name if state else code}
