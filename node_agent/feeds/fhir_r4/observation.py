"""Observation -> OBSERVATION and DiagnosticReport -> DIAGNOSTIC_REPORT, whose results are links to
Observations.
"""

from __future__ import annotations

from node_agent.feeds.fhir_r4.reader import Node, joined
from node_agent.feeds.fhir_r4.source import Draft, Source, unique
from node_agent.feeds.fhir_r4.values import quantity_text, value_of
from node_agent.records import Body
from schema.elements import RecordKind


def read_observation(source: Source) -> Draft:
    """A result or vital sign. value is always the result as text, with the digits as sent."""
    node = source.node
    status = node.text("status")
    source.skip_when_in_error(status)
    value, quantity, value_code = value_of(node)
    effective, issued = effective_of(node), node.date("issued")
    body: Body = {
        "status": status,
        "categories": node.codes("category"),
        "code": node.require("code", node.code("code")),
        "service": None,
        "value": value,
        "quantity": quantity,
        "valueCode": value_code,
        "interpretation": _interpretation(node),
        "referenceRange": joined(_range(item) for item in node.nodes("referenceRange")),
        "effective": effective,
        "issued": issued,
        "performers": source.practitioners("performer"),
        "components": [_component(place, item) for place, item in enumerate(node.nodes("component"), 1)],
        "note": node.annotation(),
    }
    return Draft(RecordKind.OBSERVATION, body, effective or issued)


def read_report(source: Source) -> Draft:
    """A diagnostic report; an Observation it names may be contained in it, in this file, or stored before."""
    node = source.node
    status = node.text("status")
    source.skip_when_in_error(status)
    effective, issued = effective_of(node), node.date("issued")
    results = source.references("result", "Observation")
    named = [found.key for found in results if found.key and found.key.startswith("Observation/")]
    if len(named) < len(results):
        node.note("UNRESOLVED_REFERENCE", node.at("result"), len(results) - len(named))
    body: Body = {
        "status": status,
        "categories": node.codes("category"),
        "code": node.require("code", node.code("code")),
        "effective": effective,
        "issued": issued,
        "performers": unique(source.practitioners("performer") + source.practitioners("resultsInterpreter")),
        "conclusion": node.text("conclusion"),
        "conclusionCodes": node.codes("conclusionCode"),
    }
    links = {"results": tuple(dict.fromkeys(named))} if named else {}
    return Draft(RecordKind.DIAGNOSTIC_REPORT, body, effective or issued, links=links)


def effective_of(node: Node) -> str | None:
    """effective[x] as one moment: the date, or the start of the period. A Timing is counted."""
    moment = node.date("effectiveDateTime") or node.date("effectiveInstant")
    period = None if moment else node.period("effectivePeriod")
    return moment or ((period["start"] or period["end"]) if period else None)


def _component(position: int, node: Node) -> Body:
    value, quantity, value_code = value_of(node)
    code = node.require("code", node.code("code"))
    return {"position": position, "code": code, "value": value, "quantity": quantity, "valueCode": value_code}


def _interpretation(node: Node) -> str | None:
    return joined(concept.token() for concept in node.concepts("interpretation"))


def _range(node: Node) -> str | None:
    """Text as written, else the two ends, with what the range applies to ('type') in front when it is not
    'normal'.
    """
    low, high = quantity_text(node, "low"), quantity_text(node, "high")
    kind, text = node.concept("type"), node.text("text")
    ends = f"{low} – {high}" if low and high else f">= {low}" if low else f"<= {high}" if high else None
    label = kind.words() if kind and not kind.has(("normal",)) else None
    return joined([label, text or ends], ": ")
