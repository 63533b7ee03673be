"""ServiceRequest that sends the patient elsewhere -> REFERRAL; Appointment -> APPOINTMENT; Coverage ->
INSURANCE_PLAN_CARD.
"""

from __future__ import annotations

from node_agent.feeds.fhir_r4.encounter import REFERRAL_WORDS
from node_agent.feeds.fhir_r4.index import Reference
from node_agent.feeds.fhir_r4.reader import joined, lines
from node_agent.feeds.fhir_r4.source import Draft, NotStoredError, Source, unique
from node_agent.records import Body
from schema.elements import RecordKind

_REFERRAL_CODES = frozenset({"3457005", "306206005", "referral"})  # Patient referral; Referral to service


def read_referral(source: Source) -> Draft:
    """A request that sends the patient to another organization; any other ServiceRequest is counted as
    unmapped.
    """
    node = source.node
    status = node.text("status")
    source.skip_when_in_error(status)
    categories, code = node.concepts("category"), node.concept("code")
    number = source.identifier(*REFERRAL_WORDS)
    requester, performers = source.reference("requester"), source.references("performer")
    sender = _organization_of(source, requester)
    to = [found for found in performers if _kind(found) == "Organization" or (not _kind(found) and found.identifier)]
    receiver = to[0] if to else None
    words = [*(concept.words() or "" for concept in categories), code.words() or "" if code else ""]
    named = any(concept.has(_REFERRAL_CODES) for concept in [*categories, *([code] if code else [])])
    named = named or any(word in said.lower() for said in words for word in REFERRAL_WORDS)
    elsewhere = any(_kind(found) == "Organization" and _elsewhere(source, sender, found) for found in to)
    if node.flag("doNotPerform") or not (number or named or elsewhere):
        raise NotStoredError("UNMAPPED_RESOURCE", source.entry.type)
    node.text("intent")
    from_facility = (source.organizations.label(sender) if sender else None) or source.facility
    authored, occurrence = node.date("authoredOn"), node.date("occurrenceDateTime")
    reasons, diagnoses = node.codes("reasonCode"), source.coded_references("reasonReference")
    details = [concept.words() for concept in node.concepts("orderDetail")]
    body: Body = {
        "number": number,
        "fileNumber": None,
        "bookNumber": None,
        "status": status,
        "fromFacility": from_facility,
        "toFacility": source.organizations.label(receiver) if receiver else None,
        "authoredOn": authored,
        "reason": reasons[0] if reasons else None,
        "diagnoses": unique(diagnoses + reasons[1:]),
        "diagnosisText": None,
        "clinicalSigns": None,
        "history": None,
        "resultsSummary": None,
        "treatment": None,
        "condition": node.annotation(),
        "services": joined([code.words() if code else None, *details]),
        "drugs": None,
        "plan": node.text("patientInstruction"),
        "transport": None,
        "escort": None,
        "practitioners": _requester(source, requester),
    }
    issuer = source.organizations.code(sender) if sender else None
    return Draft(RecordKind.REFERRAL, body, authored or occurrence, number=number, issuer=issuer)


def read_appointment(source: Source) -> Draft:
    """A follow-up visit. A mere request has the start of the period asked for."""
    node = source.node
    status = node.text("status")
    source.skip_when_in_error(status)
    asked = node.nodes("requestedPeriod")
    start = node.date("start") or (asked[0].date("start") if asked else None)
    authored = node.date("created")
    people = []
    for item in node.nodes("participant"):
        found = source.reference("actor", None, item)
        if found and _kind(found) in ("Practitioner", "PractitionerRole"):
            people.append(source.practitioner("actor", item))
        elif found and _kind(found) not in ("Patient", None):
            item.note("NOT_A_PRACTITIONER", f"{item.at('actor')} {_kind(found)}")
        for silent in ("status", "required"):
            item.take(silent)
    body: Body = {
        "number": source.identifier(),
        "status": status,
        "start": start,
        "authoredOn": authored,
        "diagnoses": source.reasons(),
        "diagnosisText": None,
        "eligibility": None,
        "practitioners": unique([person for person in people if person]),
        "note": lines([node.text("description"), node.text("comment"), node.text("patientInstruction")]),
    }
    return Draft(RecordKind.APPOINTMENT, body, start or authored)


def read_coverage(source: Source) -> Draft:
    """An insurance card as the hospital holds it; its number is no identifier of the person here."""
    node = source.node
    source.skip_when_in_error(node.text("status"))
    subscriber, own, period = node.text("subscriberId"), source.identifier(), node.period("period")
    plans = []
    for item in node.nodes("class"):
        kind, value, name = item.concept("type"), item.text("value"), item.text("name")
        plans.append((bool(kind and kind.has(("plan",))), name or value))
    plan = next((label for wanted, label in plans if wanted), None)
    body: Body = {
        "number": subscriber or own,
        "registeredFacility": None,
        "period": period,
        "benefit": plan or next((label for _, label in plans if label), None),
    }
    return Draft(RecordKind.INSURANCE_PLAN_CARD, body, (period["start"] or period["end"]) if period else None)


def _kind(found: Reference) -> str | None:
    return found.target.type if found.target else found.type


def _organization_of(source: Source, found: Reference | None) -> Reference | None:
    """The organization that asks: the requester itself, or the one its PractitionerRole works for."""
    if found is None or _kind(found) == "Organization":
        return found
    target = found.target
    inner = target.resource.get("organization") if target and target.type == "PractitionerRole" else None
    return (
        source.index.read(inner, "PractitionerRole.organization", target, "Organization")
        if inner is not None and target
        else None
    )


def _elsewhere(source: Source, sender: Reference | None, receiver: Reference) -> bool:
    """Whether the receiver is another organization than the sender; without a sender, than the record's own
    facility.
    """
    to = source.organizations.facility(receiver)
    if sender is None:
        return to is not None and to != source.facility
    if to is not None and to == source.organizations.facility(sender):
        return False
    return (receiver.key or receiver.identifier or receiver.display) != (
        sender.key or sender.identifier or sender.display
    )


def _requester(source: Source, found: Reference | None) -> list[Body]:
    if found is None or _kind(found) not in ("Practitioner", "PractitionerRole"):
        return []
    person = source.practitioner("requester")
    return [person] if person else []
