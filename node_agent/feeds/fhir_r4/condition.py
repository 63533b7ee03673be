"""Condition -> CONDITION and AllergyIntolerance -> ALLERGY_INTOLERANCE, with the rule for statements that
there is none.
"""

from __future__ import annotations

from node_agent.feeds.fhir_r4.codes import EMPTY_CODE, Concept
from node_agent.feeds.fhir_r4.reader import Node, lines
from node_agent.feeds.fhir_r4.source import Draft, NotStoredError, Source, unique
from node_agent.records import Body
from schema.elements import DiagnosisRole, RecordKind

# "No known allergy" of any kind, drug, environmental, food, latex, insect, animal (SNOMED CT), and the same
# of the IPS.
STATED_NONE = frozenset(
    {
        "716186003",
        "409137002",
        "428607008",
        "429625007",
        "716184000",
        "1003774007",
        "428197003",
        "716220001",
        "no-known-allergies",
        "no-known-medication-allergies",
        "no-known-environmental-allergies",
        "no-known-food-allergies",
    }
)
# IPS absent-unknown: nobody knows, which is neither a finding nor a statement that there is none.
NO_INFORMATION = frozenset(
    {
        "no-allergy-info",
        "no-problem-info",
        "no-medication-info",
        "no-procedure-info",
        "no-immunization-info",
        "no-device-info",
    }
)


def read_condition(source: Source) -> Draft:
    """A diagnosis or problem; its role comes from the encounter's own list, else PROBLEM."""
    node = source.node
    verification = node.token("verificationStatus")
    source.skip_when_in_error(verification)
    code = node.concept("code")
    skip_without_information(source, code)
    onset = node.date("onsetDateTime") or _start(node, "onsetPeriod")
    recorded = node.date("recordedDate")
    body: Body = {
        "code": code_or_empty(node, code),
        "role": source.roles.get(source.entry.key, DiagnosisRole.PROBLEM).value,
        "clinicalStatus": node.token("clinicalStatus"),
        "verificationStatus": verification,
        "onset": onset,
        "abatement": node.date("abatementDateTime") or _start(node, "abatementPeriod"),
        "recordedDate": recorded,
        "note": node.annotation(),
    }
    return Draft(RecordKind.CONDITION, body, onset or recorded)


def read_allergy(source: Source) -> Draft:
    """An allergy, or the statement that there is none. A negation that is not in force makes no record at
    all:

    stored, it would read as an allergy or as 'none', and it is neither.
    """
    node = source.node
    clinical, verification = node.token("clinicalStatus"), node.token("verificationStatus")
    source.skip_when_in_error(verification)
    code = node.concept("code")
    skip_without_information(source, code)
    stated_none = code is not None and code.has(STATED_NONE)
    if stated_none and (clinical in ("inactive", "resolved") or verification not in (None, "confirmed")):
        raise NotStoredError("NEGATION_NOT_IN_FORCE", source.entry.type, withdrawn=True)
    reactions, words = _reactions(node)
    onset = node.date("onsetDateTime") or _start(node, "onsetPeriod")
    recorded = node.date("recordedDate")
    body: Body = {
        "statedNone": stated_none,
        "code": code_or_empty(node, code),
        "clinicalStatus": clinical,
        "verificationStatus": verification,
        "type": node.text("type"),
        "categories": node.texts("category"),
        "criticality": node.text("criticality"),
        "reactions": reactions,
        "onset": onset,
        "recordedDate": recorded,
        "recorder": source.practitioner("recorder") or source.practitioner("asserter"),
        "note": lines([node.annotation(), *words]),
    }
    return Draft(RecordKind.ALLERGY_INTOLERANCE, body, recorded or onset)


def skip_without_information(source: Source, code: Concept | None) -> None:
    """Skip the IPS codes that say only that nothing is known."""
    if code is not None and code.has(NO_INFORMATION):
        raise NotStoredError("NO_INFORMATION", source.entry.type, withdrawn=True)


def code_or_empty(node: Node, code: Concept | None) -> Body:
    """The Code where FHIR lets it be absent and the contract does not: an empty one, counted."""
    if code is not None and code.code is not None:
        return code.code
    node.note("NO_CODE", node.at("code"))
    return dict(EMPTY_CODE)


def _reactions(node: Node) -> tuple[list[Body], list[str | None]]:
    codes: list[Body] = []
    words: list[str | None] = []
    for item in node.nodes("reaction"):
        codes += item.codes("manifestation")
        words += [item.text("description"), item.annotation()]
    return unique(codes), words


def _start(node: Node, name: str) -> str | None:
    period = node.period(name)
    return (period["start"] or period["end"]) if period else None
