"""What one record says in a few lines of text: diagnosis with its code, drug with its dose, result with its unit.

Works on the answer of question.QUERY. Nothing is added and nothing is interpreted: a missing field is left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import groupby
from typing import Any

from compose.demo.words import CRITICALITY, ENCOUNTER_CLASS, MEDICATION_USE, both, vietnamese

Body = Mapping[str, Any]
Lines = list[str]


def record_lines(node: Body) -> Lines:
    """The lines of a record, the most telling first; never empty."""
    lines = [line for line in _LINES[node["kind"]](node) if line]
    if node.get("notResent"):
        lines.append("(bản gửi sau không còn dòng này / not in the newest file)")
    return lines or ["—"]


def date_text(value: str | None) -> str:
    """A PartialDate as it is read in Vietnam, as precise as recorded: 14/11/2026 09:24, 11/2026, 2026."""
    if not value:
        return ""
    day, _, clock = value.partition("T")
    text = "/".join(reversed(day.split("-")))
    return f"{text} {clock[:5]}" if clock else text


def coded_text(code: Body | None) -> str:
    """'E11.9 Đái tháo đường', by what there is."""
    if not code:
        return ""
    return _words(code.get("code") or code.get("asSent"), code.get("display"))


def result_text(node: Body) -> str:
    """'Glucose 8.1 mmol/L (3.9-6.4)', 'Huyết áp 151/97 mm[Hg]': the value as sent, with what was sent beside it."""
    reference = node.get("referenceRange")
    return _words(
        _name(node["observationCode"]),
        _parted_value(node) or _value(node),
        node.get("interpretation"),
        f"({reference})" if reference else "",
    )


def _parted_value(node: Body) -> str:
    """A result of several parts: as sent when it was sent as a whole, else its parts by name."""
    parts = node.get("components") or ()
    if not parts or not node.get("value"):
        return ", ".join(f"{_name(part['code'])} {_value(part)}" for part in parts)
    units = {(part.get("quantity") or {}).get("unit") for part in parts}
    return _words(node["value"], *(units if len(units) == 1 else ()))


def _name(code: Body) -> str:
    return str(code.get("display") or code.get("code") or code.get("asSent") or "")


def _value(node: Body) -> str:
    measured = node.get("quantity")
    if measured and measured.get("value"):
        number = f"{measured.get('comparator') or ''}{measured['value']}"
        return _words(number, measured.get("unit"))
    return str(node.get("value") or coded_text(node.get("valueCode")))


def _words(*parts: object) -> str:
    return " ".join(str(part).strip() for part in parts if part)


def _listed(label: str, texts: Iterable[str], separator: str = "; ") -> str:
    joined = separator.join(text for text in texts if text)
    return f"{label}{joined}" if joined else ""


def _labelled(label: str, value: object) -> str:
    return f"{label} {value}" if value else ""


def _people(people: Iterable[Body]) -> str:
    return ", ".join(str(p.get("name") or p.get("licence")) for p in people if p.get("name") or p.get("licence"))


def _period(period: Body | None) -> str:
    start, end = (date_text((period or {}).get(edge)) for edge in ("start", "end"))
    return f"{start} – {end}" if start and end else start or end


def _drug(item: Body, quantity: str = "quantity") -> str:
    amount = _words(item.get(quantity), item.get("unit"))
    name = _words(item["drug"], item.get("strength"))
    return ", ".join(x for x in (name, amount, item.get("dose") or item.get("instructions")) if x)


def _encounter(node: Body) -> Lines:
    departments = ", ".join(d["display"] for d in node["departments"] if d.get("display"))
    stay = f"{node['days']} ngày" if node.get("days") else ""
    head = ", ".join(x for x in (vietnamese(ENCOUNTER_CLASS, node["class"]), departments, stay) if x)
    open_ = "đang điều trị / still open" if node["encounterStatus"] == "IN_PROGRESS" else ""
    return [
        _words(head, open_),
        *_diagnoses(node),
        _labelled("Lý do:", node.get("reason")),
        _labelled("Từ cơ sở", _words(node.get("referredFrom"), _letter(node.get("broughtLetterNumber")))),
        _labelled("Chuyển đến cơ sở", node.get("referredTo")),
        _labelled("BS", _people(node["practitioners"])),
        *_drugs(node),
    ]


def _diagnoses(node: Body) -> Lines:
    """A line each; the insurer's XML has no names of its codes, only one conclusion in words."""
    diagnoses = node["diagnoses"]
    if all(d.get("display") for d in diagnoses) and diagnoses:
        return [coded_text(d) for d in diagnoses]
    codes = ", ".join(coded_text(d) for d in diagnoses)
    return [": ".join(x for x in (codes, node.get("dischargeDiagnosis")) if x)]


def _drugs(node: Body) -> Lines:
    """What the visit prescribed and gave; equal doses given again are counted, not repeated."""
    lines: Lines = []
    for head, orders in groupby(node["prescriptions"], key=_order_head):
        lines += [f"Đơn thuốc {head}:", *(f"• {_drug(item)}" for order in orders for item in order["items"])]
    given = Counter(_drug(dose, "givenQuantity") for dose in node["medicationAdministrations"])
    lines += ["Thuốc tại viện:"] if given else []
    return lines + [f"• {drug}" + (f"  × {times}" if times > 1 else "") for drug, times in given.items()]


def _letter(number: object) -> str:
    return f"(giấy chuyển {number})" if number else ""


def _prescription(node: Body) -> Lines:
    return [_order_head(node), *(f"• {_drug(item)}" for item in node["items"])]


def _order_head(node: Body) -> str:
    return _words(_labelled("số", node.get("number")), f"({vietnamese(MEDICATION_USE, node['use'])})")


def _administration(node: Body) -> Lines:
    return [_words(_drug(node, "givenQuantity"), f"({vietnamese(MEDICATION_USE, node['use'])})")]


def _allergy(node: Body) -> Lines:
    if node["statedNone"]:
        return [f"Bác sĩ ghi rõ: {_name(node['allergyCode'])}"]
    risk = both(CRITICALITY, node["criticality"]) if node.get("criticality") else ""
    return [
        ", ".join(x for x in (_name(node["allergyCode"]), risk) if x),
        _listed("Phản ứng: ", map(_name, node["reactions"])),
    ]


def _report(node: Body) -> Lines:
    return [_name(node["reportCode"]), *map(result_text, node["results"]), node.get("conclusion") or ""]


def _imaging(node: Body) -> Lines:
    modalities = ", ".join(map(_name, node["modalities"]))
    return [
        _words(node.get("description"), f"({modalities})" if modalities else ""),
        _labelled("Số phiếu", node.get("accessionNumber")),
    ]


def _document(node: Body) -> Lines:
    sections = [f"{s['title']}: {s['text']}" for s in node["sections"]]
    return [node.get("title") or coded_text(node["documentType"]), *sections]


def _referral(node: Body) -> Lines:
    return [
        _words(_labelled("Số", node.get("number")), _way(node)),
        _listed("Chẩn đoán: ", map(coded_text, node["letterDiagnoses"])) or node.get("diagnosisText") or "",
        _labelled("Lý do:", coded_text(node.get("letterReason"))),
    ]


def _way(node: Body) -> str:
    return f"{node.get('fromFacility') or '?'} → {node.get('toFacility') or '?'}"


def _appointment(node: Body) -> Lines:
    return [
        _words(_labelled("Số", node.get("number")), _labelled("hẹn ngày", date_text(node.get("start")))),
        _listed("Chẩn đoán: ", map(coded_text, node["appointmentDiagnoses"])) or node.get("diagnosisText") or "",
        node.get("note") or "",
    ]


def _card(node: Body) -> Lines:
    return [
        _words(
            node.get("number"),
            _period(node.get("period")),
            _labelled("đăng ký tại", node.get("registeredFacility")),
        )
    ]


def _immunization(node: Body) -> Lines:
    dose = _labelled("mũi", node.get("doseNumber"))
    return [_words(_name(node["vaccine"]), dose, _labelled("lô", node.get("lotNumber")))]


def _procedure(node: Body) -> Lines:
    return [_words(coded_text(node["procedureCode"]), _period(node.get("performed")))]


_LINES: Mapping[str, Callable[[Body], Lines]] = {
    "ENCOUNTER": _encounter,
    "CONDITION": lambda node: [coded_text(node["conditionCode"])],
    "OBSERVATION": lambda node: [result_text(node)],
    "PROCEDURE": _procedure,
    "IMAGING_STUDY": _imaging,
    "MEDICATION_ADMINISTRATION": _administration,
    "PRESCRIPTION": _prescription,
    "ALLERGY_INTOLERANCE": _allergy,
    "IMMUNIZATION": _immunization,
    "DIAGNOSTIC_REPORT": _report,
    "DOCUMENT_REFERENCE": _document,
    "REFERRAL": _referral,
    "APPOINTMENT": _appointment,
    "INSURANCE_PLAN_CARD": _card,
}
