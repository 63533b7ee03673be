"""Oddities of real exports on the rows of some visits; they change the writing, never the meaning."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

from compose.demo.data.tables import Row, Tables
from compose.demo.data.visits import Visit

NBSP, ZERO_WIDTH = "\u00a0", "\u200b"


def disturb(visit: Visit, tables: Tables) -> tuple[Tables, tuple[str, ...]]:
    """A copy of the tables as this hospital's software would write them, and the names of what was done."""
    done: list[str] = []
    changed = {name: [dict(row) for row in rows] for name, rows in tables.items()}

    def touch(oddity: str, table: str, columns: tuple[str, ...], change: Callable[[str], str]) -> None:
        for row in changed.get(table, ()):
            done.extend(oddity for column in columns if _change(row, column, change))

    serial = visit.serial
    if visit.facility.code == "01003":
        if serial % 3 == 0:
            touch("nbsp_and_zero_width", "XML4", ("TEN_CHI_SO", "MO_TA"), _spaced)
        if serial % 11 == 0:
            touch("doubled_list_items", "XML1", ("MA_BENH_KT",), lambda text: f"{text}; {text}")
    if visit.facility.code == "01006":
        touch("nfd", "XML1", ("LY_DO_VNT",), _decomposed)
        touch("nfd", "XML5", ("DIEN_BIEN_LS",), _decomposed)
        if serial % 7 == 0:
            touch("eight_digit_time", "XML3", ("NGAY_YL",), lambda text: text[:8])
    if visit.facility.code == "01025":
        if serial % 3 == 0:
            touch("trailing_semicolon", "XML1", ("MA_BENH_KT", "MA_THE_BHYT"), lambda text: text + ";")
            touch("vitals_escaped_twice", "XML5", ("DIEN_BIEN_LS",), _escaped)
        if serial % 5 == 0:
            touch("fourteen_digit_time", "XML4", ("NGAY_KQ",), lambda text: text + "00")
        if serial % 4 == 0:
            touch("code_without_dot", "XML1", ("MA_BENH_CHINH",), lambda text: text.replace(".", ""))
    row = changed["XML1"][0]
    if row["NGAY_SINH"].endswith("00000000"):
        done.append("birth_year_only")
    if ";" in row["MA_THE_BHYT"].rstrip(";"):
        done.append("two_cards")
    return changed, tuple(sorted(set(done)))


def _change(row: Row, column: str, change: Callable[[str], str]) -> bool:
    value = row.get(column, "")
    if not value:
        return False
    row[column] = change(value)
    return row[column] != value


def _spaced(text: str) -> str:
    return text.replace(" ", NBSP, 1).replace(" ", f"{ZERO_WIDTH} ", 1)


def _decomposed(text: str) -> str:
    return unicodedata.normalize("NFD", text)


def _escaped(text: str) -> str:
    return text.replace("<", "&lt;").replace(">", "&gt;")
