"""Quantities, ranges, ratios and value[x] as the contract's Quantity, Code and text; narrative without its
tags.
"""

from __future__ import annotations

import html
import re
from decimal import Decimal, InvalidOperation

from node_agent.feeds.fhir_r4.problem import ReadingError
from node_agent.feeds.fhir_r4.reader import Node, joined
from node_agent.records import Body
from schema.scalars import DECIMAL

COMPARATORS = frozenset({"<", "<=", ">=", ">"})
_DROPPED = (("<!--", "-->"), ("<script", "</script>"), ("<style", "</style>"))
_CELL = re.compile(r"</t[dh]\s*>\s*<t[dh]\b[^<>]*>", re.IGNORECASE)
_BREAK = re.compile(
    r"</?(?:p|div|br|hr|tr|li|ul|ol|table|thead|tbody|h[1-6]|blockquote|pre|dt|dd)\b[^<>]*>", re.IGNORECASE
)
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
_SPACE = re.compile(r"[ \t\r\f\v\xa0]+")


def decimal(digits: str | None) -> str | None:
    """The digits as a contract Decimal; 1.5e2 is written out as 150. None when it has more digits than the
    contract holds.
    """
    if digits is None or DECIMAL.fullmatch(digits):
        return digits
    try:
        number = Decimal(digits)
    except InvalidOperation:
        return None
    if not number.is_finite() or abs(number.adjusted()) > 40:
        return None
    plain = format(number, "f")
    return plain if DECIMAL.fullmatch(plain) else None


def quantity(node: Node, name: str) -> tuple[Body | None, str | None]:
    """(Quantity, text as sent) of a Quantity element. Text keeps all digits even when the contract's
    Decimal cannot.
    """
    found = node.node(name)
    if found is None:
        return None, None
    digits, comparator, unit, code = (
        found.digits("value"),
        found.text("comparator"),
        found.text("unit"),
        found.text("code"),
    )
    found.take("system")  # the unit system is UCUM wherever a code is given; the contract carries the code
    if comparator is not None and comparator not in COMPARATORS:
        raise ReadingError("WRONG_VALUE", found.at("comparator"))
    if digits is None and unit is None and code is None:
        return None, None
    value = decimal(digits)
    if digits is not None and value is None:
        found.note("NUMBER_OUT_OF_RANGE", found.at("value"))
    made = {"value": value, "comparator": comparator, "unit": unit, "code": code}
    text = joined([f"{comparator or ''}{digits}", unit or code], " ") if digits is not None else None
    return (None if digits is not None and value is None else made), text


def quantity_text(node: Node, name: str) -> str | None:
    """A Quantity as text: '175.98 cm', '<5 mg'."""
    return quantity(node, name)[1]


def range_text(node: Node, name: str) -> str | None:
    """A Range as '3.5 mmol/L – 5.1 mmol/L', with one end only as '>= 3.5 mmol/L'."""
    found = node.node(name)
    if found is None:
        return None
    low, high = quantity_text(found, "low"), quantity_text(found, "high")
    if low and high:
        return f"{low} – {high}"
    return f">= {low}" if low else f"<= {high}" if high else None


def ratio_text(node: Node, name: str) -> str | None:
    """A Ratio as '1 : 128' or '500 mg / 5 mL'."""
    found = node.node(name)
    if found is None:
        return None
    parts = quantity_text(found, "numerator"), quantity_text(found, "denominator")
    units = any(part and " " in part for part in parts)
    return joined(parts, " / " if units else " : ")


def value_of(node: Node) -> tuple[str | None, Body | None, Body | None]:
    """(text, Quantity, Code) of value[x] of an Observation or a component. SampledData is counted, not
    carried.
    """
    made, text = quantity(node, "valueQuantity")
    if text or made:
        return text, made, None
    concept = node.concept("valueCodeableConcept")
    if concept is not None and concept.code is not None:
        return concept.words(), None, concept.code
    flag, period = node.flag("valueBoolean"), node.period("valuePeriod")
    plain = (
        node.text("valueString"),
        None if flag is None else str(flag).lower(),
        node.digits("valueInteger"),
        node.date("valueDateTime"),
        node.text("valueTime"),
        range_text(node, "valueRange"),
        ratio_text(node, "valueRatio"),
        joined([period["start"] or "…", period["end"] or "…"], " – ") if period else None,
    )
    return next((item for item in plain if item is not None), None), None, None


def plain_text(markup: str) -> str | None:
    """The words of an XHTML narrative, a line a block, cells parted by '; '. Never fails; None when no
    words are left.
    """
    text = _TAG.sub("", _BREAK.sub("\n", _CELL.sub("; ", _without_hidden(markup))))
    rows = (_SPACE.sub(" ", row).strip() for row in html.unescape(text).split("\n"))
    return "\n".join(row for row in rows if row) or None


def _without_hidden(markup: str) -> str:
    """Without comments, scripts and styles. A regular expression would be quadratic on unclosed ones."""
    for opening, closing in _DROPPED:
        lowered, kept, start = markup.lower(), [], 0
        if len(lowered) != len(markup):  # a few letters change their length in lower case
            lowered = markup
        while (begin := lowered.find(opening, start)) >= 0:
            end = lowered.find(closing, begin)
            if end < 0:
                break
            kept.append(markup[start:begin])
            start = end + len(closing)
        markup = "".join([*kept, markup[start:]])
    return markup


def person_name(names: list[Node]) -> str | None:
    """The name to show: usual, official, then any that is not old or maiden. text as written, else family
    name first.
    """
    order = {
        "official": 0,
        "usual": 1,
        None: 2,
        "temp": 3,
        "nickname": 4,
        "anonymous": 5,
        "old": 6,
        "maiden": 7,
    }
    best: tuple[int, str] | None = None
    for name in names:
        use, text, family, given = (
            name.text("use"),
            name.text("text"),
            name.text("family"),
            name.texts("given"),
        )
        for silent in ("prefix", "suffix", "period"):
            name.take(silent)
        made = text or joined([family, *given], " ")
        place = order.get(use, 2)
        if made and (best is None or place < best[0]):
            best = place, made
    return best[1] if best else None
