"""XML1 or XML0 -> the person as this facility knows them, with the doubts of DESIGN 4.

Linking happens at the gateway.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from node_agent.feeds.bhyt.rows import Notes, Row
from node_agent.feeds.bhyt.values import clean, partial_date
from node_agent.records import ParsedPatient
from schema.identity import Identifier, IdentifierError, IdentifierKind, canonical, classify, is_placeholder

GENDERS = {"1": "MALE", "2": "FEMALE", "3": "UNKNOWN"}
TEMPORARY_CARD_TABLES = ("XML7", "XML8", "XML9", "XML11")
# Characters that text of the older Vietnamese byte fonts (TCVN3) shows when read as Latin-1, and no name
# contains.
LEGACY = re.compile("[®¨©¬¦§¸¹»¼½¾¶]")
CELL = r"<{0}>\s*(?:<!\[CDATA\[)?([^<\]]{{1,200}})(?:\]\]>)?\s*</{0}>"


def patient_of(row: Row, facility: str, visit_start: str, tables: dict[str, list[Row]]) -> ParsedPatient:
    """The ParsedPatient of an XML1 or XML0 row. BhytError when MA_BN is missing."""
    local_id = row.required("MA_BN")
    name, birth, sex = row.text("HO_TEN"), row.date("NGAY_SINH"), row.text("GIOI_TINH")
    if name and LEGACY.search(name):
        row.notes.add("LEGACY_ENCODING_SUSPECTED", f"{row.table}/HO_TEN")
    if sex and sex not in GENDERS:
        row.notes.add("CODE_UNKNOWN", f"{row.table}/GIOI_TINH")
    cards = row.items("MA_THE_BHYT")
    identifiers = identifiers_of(row.text("SO_CCCD"), cards, row.notes, row.table)
    doubts = frozenset(_doubts(row, birth, visit_start, cards, tables))
    return ParsedPatient(facility, local_id, identifiers, name, birth, GENDERS.get(sex or ""), doubts)


def identifiers_of(number: str | None, cards: Iterable[str], notes: Notes, table: str) -> tuple[Identifier, ...]:
    """SO_CCCD by its shape, and the BHXH number of each card (its last ten digits).

    Placeholders are only noted.
    """
    found: dict[Identifier, None] = {}
    if number:
        identifier = classify(number)
        if identifier is None:
            compact = re.sub(r"[\s.\-]", "", number)
            # A word such as KHONGCO stands for no number at all.
            nothing = is_placeholder(compact) or not any(char.isdigit() for char in compact)
            notes.add("PLACEHOLDER_IDENTIFIER" if nothing else "IDENTIFIER_UNREADABLE", f"{table}/SO_CCCD")
        else:
            found[identifier] = None
    for card in cards:
        try:
            found[canonical(IdentifierKind.BHXH, card)] = None
        except IdentifierError as error:
            code = "PLACEHOLDER_IDENTIFIER" if error.reason == "PLACEHOLDER" else "IDENTIFIER_UNREADABLE"
            notes.add(code, f"{table}/MA_THE_BHYT")
    return tuple(found)


def _doubts(
    row: Row, birth: str | None, visit_start: str, cards: tuple[str, ...], tables: dict[str, list[Row]]
) -> Iterable[str]:
    if birth and is_under_six(birth, visit_start):
        yield "UNDER_SIX"
    if any(card.upper().startswith("TE") for card in cards):
        yield "CHILD_CARD"
    if any(other.text("MA_THE_TAM") for table in TEMPORARY_CARD_TABLES for other in tables.get(table, [])):
        yield "TEMPORARY_CARD"
    if any(not other.is_blank for other in tables.get("XML9", [])):
        yield "BIRTH_CERTIFICATE"
    if row.text("CAN_NANG_CON"):
        yield "NEWBORN_WEIGHT"


def is_under_six(birth: str, day: str) -> bool:
    """Whether the person may be under six on that day; what a partial date leaves open counts as yes."""
    born = birth[:10] + "9999-12-31"[len(birth[:10]) :]
    return f"{int(born[:4]) + 6:04d}{born[4:]}" > day[:10]


def attributed(tables: dict[str, list[Row]], broken: Iterable[str], facility: str) -> ParsedPatient | None:
    """Whom a failed HOSO concerns, from any table that can be read, or from whole cells of one that cannot.

    local_id is '' when only identifiers could be read; None when neither could.
    """
    rows = [
        row for table in ("XML1", "XML0", "XML14", "XML13", "XML15", "XML6", "XML7") for row in tables.get(table, [])
    ]

    def first(column: str) -> str | None:
        for row in rows:
            if value := row.text(column):
                return value
        for text in broken:
            if cell := re.search(CELL.format(column), text):
                return clean(cell[1]) or None
        return None

    local_id = first("MA_BN") or first("MA_YTE") or ""
    identifiers = identifiers_of(first("SO_CCCD"), (first("MA_THE_BHYT") or "").split(";"), Notes(), "XML1")
    if not local_id and not identifiers:
        return None
    try:
        birth = partial_date(first("NGAY_SINH") or "")
    except ValueError:
        birth = None
    return ParsedPatient(facility, local_id, identifiers, first("HO_TEN"), birth, GENDERS.get(first("GIOI_TINH") or ""))
