"""A row of a table read by column name, and the notes taken while reading.

What the columns mean is not known here.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from typing import Any

from node_agent.feeds.bhyt import values
from node_agent.feeds.bhyt.columns import ADMINISTRATIVE, BOOKKEEPING, COLUMNS
from node_agent.feeds.bhyt.faults import BhytError
from node_agent.records import Remark

NAME = re.compile(r"[A-Z][A-Z0-9_]{0,63}", re.ASCII)


class Notes:
    """Counts of what was noticed, by code and place; becomes the unit's remarks.

    Holds names of columns, never values.
    """

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()

    def add(self, code: str, where: str, count: int = 1) -> None:
        self._counts[code, where] += count

    def remarks(self) -> tuple[Remark, ...]:
        return tuple(Remark(code, where, count) for (code, where), count in sorted(self._counts.items()))


class Row:
    """One row. Every read marks its column; what nobody read is reported by `close`, so that nothing is
    lost in silence.
    """

    def __init__(self, table: str, position: int, cells: Mapping[str, str], notes: Notes) -> None:
        self.table, self.position, self._cells, self.notes = table, position, dict(cells), notes
        self._read: set[str] = set()

    @property
    def is_blank(self) -> bool:
        """True for a row that says nothing beyond its own keys; exporters send such rows for tables they do
        not fill.
        """
        return not any(cell.strip() for name, cell in self._cells.items() if name not in BOOKKEEPING)

    def repeats(self, other: Row) -> bool:
        """Whether both rows say the same in every column."""
        return self._cells == other._cells

    def text(self, *names: str) -> str | None:
        """The first of the columns that holds text, cleaned; None when all are empty or absent."""
        self._read.update(names)
        for name in names:
            raw = self._cells.get(name, "")
            if cleaned := values.clean(raw):
                if not unicodedata.is_normalized("NFC", raw):
                    self._note("NFD_TEXT", name)
                return cleaned
        return None

    def required(self, name: str) -> str:
        """The text, or BhytError(FIELD_MISSING)."""
        if value := self.text(name):
            return value
        raise BhytError("FIELD_MISSING", self.table, name)

    def date(self, name: str) -> str | None:
        """The PartialDate; None when empty, and when unreadable, which is noted."""
        try:
            return self._date(name)
        except ValueError:
            self._note("DATE_UNREADABLE", name)
            return None

    def required_date(self, name: str) -> str:
        """The PartialDate, or BhytError(FIELD_MISSING or FIELD_INVALID)."""
        self.required(name)
        try:
            value = self._date(name)
        except ValueError:
            raise BhytError("FIELD_INVALID", self.table, name) from None
        if value is None:
            raise BhytError("FIELD_MISSING", self.table, name)
        return value

    def decimal(self, name: str) -> str | None:
        """The Decimal string; None when empty, and when unreadable, which is noted."""
        text = self.text(name)
        try:
            return values.decimal(text) if text else None
        except ValueError:
            self._note("NUMBER_UNREADABLE", name)
            return None

    def integer(self, name: str) -> int | None:
        """A count that fits GraphQL's Int; None when empty, and when unreadable, which is noted."""
        number = self.decimal(name)
        if number is None:
            return None
        whole = re.fullmatch(r"(\d{1,9})(?:\.0*)?", number)
        if not whole:
            self._note("NUMBER_UNREADABLE", name)
            return None
        return int(whole[1])

    def items(self, name: str) -> tuple[str, ...]:
        return values.split_list(self.text(name) or "")

    def aligned(self, name: str) -> tuple[str, ...]:
        return values.aligned_list(self.text(name) or "")

    def dates(self, name: str, items: tuple[str, ...]) -> tuple[str | None, ...]:
        """The PartialDates of an aligned list, place by place; None where empty or unreadable, the latter
        noted.
        """
        found: list[str | None] = []
        for item in items:
            try:
                found.append(values.partial_date(item) if item else None)
            except ValueError:
                found.append(None)
                self._note("DATE_UNREADABLE", name)
        return tuple(found)

    def practitioners(self, name: str) -> list[dict[str, Any]]:
        """Practitioner bodies of a `;` list of licence numbers."""
        return [{"licence": licence, "name": None} for licence in self.items(name)]

    def dismiss(self) -> None:
        """Take the whole row as read: it was counted and is no clinical matter."""
        self._read.update(name for name in self._cells if name in COLUMNS[self.table])

    def close(self) -> None:
        """Note filled columns that the annex does not know, and known clinical ones that no mapping read."""
        known = COLUMNS[self.table]
        for name, cell in self._cells.items():
            if name in self._read or not cell.strip():
                continue
            if name not in known:
                self._note("UNKNOWN_FIELD", name if NAME.fullmatch(name) else "?")
            elif name not in ADMINISTRATIVE:
                self._note("FIELD_NOT_MAPPED", name)

    def _date(self, name: str) -> str | None:
        text = self.text(name)
        return values.partial_date(text) if text else None

    def _note(self, code: str, name: str) -> None:
        self.notes.add(code, f"{self.table}/{name}")


def row_keys(rows: list[Row]) -> list[str]:
    """A key for each row, stable across re-sends: STT where every row has its own, otherwise the position."""
    numbers = [row.text("STT") or "" for row in rows]
    if all(re.fullmatch(r"\d{1,10}", number, re.ASCII) for number in numbers) and len(set(numbers)) == len(numbers):
        return numbers
    if rows and len(rows) > 1:
        rows[0].notes.add("ROW_NUMBER_NOT_UNIQUE", f"{rows[0].table}/STT")
    return [str(row.position) for row in rows]
