"""MedicationRequest -> PRESCRIPTION with one item; MedicationAdministration -> MEDICATION_ADMINISTRATION.
Never 'current'.
"""

from __future__ import annotations

from node_agent.feeds.fhir_r4.codes import Concept
from node_agent.feeds.fhir_r4.condition import skip_without_information
from node_agent.feeds.fhir_r4.problem import ReadingError
from node_agent.feeds.fhir_r4.reader import Node, Notes, joined
from node_agent.feeds.fhir_r4.source import Draft, NotStoredError, Source
from node_agent.feeds.fhir_r4.values import decimal, quantity, quantity_text, range_text, ratio_text
from node_agent.records import Body
from schema.elements import MedicationUse, RecordKind

_ORDERS = frozenset({"order", "original-order", "reflex-order", "filler-order", "instance-order"})
_USE = {
    "inpatient": MedicationUse.IN_FACILITY,
    "outpatient": MedicationUse.TAKE_HOME,
    "community": MedicationUse.TAKE_HOME,
    "discharge": MedicationUse.TAKE_HOME,
}


def read_request(source: Source) -> Draft:
    """An order for one drug. A proposal, a plan, or an order not to give is no prescription and is counted
    as such.
    """
    node = source.node
    status, intent = node.text("status"), node.text("intent")
    source.skip_when_in_error(status)
    if node.flag("doNotPerform"):
        raise NotStoredError("DO_NOT_PERFORM", source.entry.type, withdrawn=True)
    if intent is not None and intent not in _ORDERS:
        raise NotStoredError("NOT_AN_ORDER", source.entry.type, withdrawn=True)
    drug = _Drug(source)
    authored = node.date("authoredOn")
    uses = {_USE[code] for concept in node.concepts("category") for code in _USE if concept.has((code,))}
    group, own = node.node("groupIdentifier"), source.identifier()
    shared = group.text("value") if group else None
    if group:
        group.take("system")
    item, period = _item(node, drug)
    requester = source.practitioner("requester")
    body: Body = {
        "number": shared or own,
        "status": status,
        "use": (uses.pop() if len(uses) == 1 else MedicationUse.UNKNOWN).value,
        "authoredOn": authored,
        "period": period,
        "prescribers": [requester] if requester else [],
        "reasons": source.reasons(),
        "items": [item],
        "note": node.annotation(),
    }
    # A groupIdentifier is shared by every line of one paper, so only the line's own number can tell copies.
    return Draft(RecordKind.PRESCRIPTION, body, authored, number=own)


def read_administration(source: Source) -> Draft:
    """A drug that was given. IN_FACILITY when its encounter or category says so; UNKNOWN for home or no
    context.
    """
    node = source.node
    status = node.text("status")
    source.skip_when_in_error(status)
    drug, category = _Drug(source), node.concept("category")
    moment = node.date("effectiveDateTime")
    period = {"start": moment, "end": None} if moment else node.period("effectivePeriod")
    inside = category.has(("inpatient", "outpatient")) if category else source.entry.resource.get("context") is not None
    dosage = node.node("dosage")
    text, route, amount, unit = None, None, None, None
    if dosage:
        made, dose = quantity(dosage, "dose")
        amount, unit = (made["value"], made["unit"] or made["code"]) if made else (None, None)
        rate = ratio_text(dosage, "rateRatio") or quantity_text(dosage, "rateQuantity")
        text = dosage.text("text") or joined([dose, rate], ", ")
        route = dosage.code("route")
    body: Body = {
        "status": status,
        "use": (MedicationUse.IN_FACILITY if inside else MedicationUse.UNKNOWN).value,
        "drug": drug.name,
        "code": drug.code,
        "strength": drug.strength,
        "form": drug.form,
        "dose": text,
        "instructions": None,
        "route": route,
        "quantity": amount,
        "unit": unit,
        "registrationNumber": None,
        "period": period,
        "practitioners": source.practitioners("performer", "actor"),
    }
    return Draft(RecordKind.MEDICATION_ADMINISTRATION, body, (period["start"] or period["end"]) if period else None)


class _Drug:
    """medication[x]: name as written, code, and what a Medication resource adds. A drug nobody can name is
    a ReadingError.
    """

    def __init__(self, source: Source) -> None:
        node = source.node
        self.strength = self.form = None
        concept = node.concept("medicationCodeableConcept")
        display = None
        if concept is None:
            found = source.reference("medicationReference", "Medication")
            if found is None:
                raise ReadingError("MISSING_FIELD", node.at("medication"))
            display = found.display
            if found.target and found.target.type == "Medication":
                medication = Node(found.target.resource, "Medication", Notes())
                concept = medication.concept("code")
                form = medication.concept("form")
                self.form = form.words() if form else None
                self.strength = joined(_strength(item) for item in medication.nodes("ingredient"))
                if concept and concept.left_out:
                    node.note("ADDITIONAL_CODING", "Medication.code", concept.left_out)
        skip_without_information(source, concept)
        self.code = concept.code if concept else None
        name = _name(concept) or display
        if name is None:
            raise ReadingError("UNRESOLVED_REFERENCE", node.at("medicationReference"))
        self.name: str = name


def _name(concept: Concept | None) -> str | None:
    return concept.words() if concept else None


def _strength(node: Node) -> str | None:
    return ratio_text(node, "strength")


def _item(node: Node, drug: _Drug) -> tuple[Body, Body | None]:
    """The line, and the period it is to be taken when the dosage states one."""
    doses: list[str | None] = []
    advice: list[str | None] = []
    route, period = None, None
    for dosage in node.nodes("dosageInstruction"):
        written, advised = dosage.text("text"), dosage.text("patientInstruction")
        made, bounds = _dose(dosage)
        doses.append(written or made)
        advice += [advised, *(concept.words() for concept in dosage.concepts("additionalInstruction"))]
        way = dosage.code("route")
        route, period = route or way, period or bounds
        dosage.take("sequence")
    dispense = node.node("dispenseRequest")
    amount = quantity(dispense, "quantity")[0] if dispense else None
    item: Body = {
        "position": 1,
        "drug": drug.name,
        "code": drug.code,
        "strength": drug.strength,
        "form": drug.form,
        "dose": joined(doses),
        "instructions": joined(advice),
        "route": route,
        "quantity": decimal(amount["value"]) if amount else None,
        "unit": (amount["unit"] or amount["code"]) if amount else None,
        "registrationNumber": None,
    }
    return item, period


def _dose(dosage: Node) -> tuple[str | None, Body | None]:
    """(the dose in words when no text was written, bounds of the timing): '1 viên × 2 / 1 d, khi cần (as
    needed)'.
    """
    amounts = [quantity_text(item, "doseQuantity") or range_text(item, "doseRange") for item in _rates(dosage)]
    timing = dosage.node("timing")
    repeat = timing.node("repeat") if timing else None
    named = timing.concept("code") if timing else None
    often = named.words() if named else None
    bounds = None
    if repeat:
        bounds = repeat.period("boundsPeriod")
        count, span, unit = repeat.digits("frequency"), repeat.digits("period"), repeat.text("periodUnit")
        often = often or (f"{count or 1} / {span} {unit}" if span and unit else None)
    needed = "khi cần (as needed)" if dosage.flag("asNeededBoolean") else None
    reason = dosage.concept("asNeededCodeableConcept")
    words = reason.words() if reason else None
    return joined([joined([joined(amounts), often], " × "), needed, words], ", "), bounds


def _rates(dosage: Node) -> list[Node]:
    rates = dosage.nodes("doseAndRate")
    for item in rates:
        item.take("type")
    return rates
