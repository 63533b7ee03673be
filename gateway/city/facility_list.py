"""A city's facilities as a CSV file: MA_CSKCB and name, checked as a whole before anything is stored. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping

from gateway.errors import FacilityListUnusable

CODE_LENGTH = 5


def is_code(code: str) -> bool:
    """Whether it has the form of a MA_CSKCB: five digits or capital letters."""
    return len(code) == CODE_LENGTH and code.isascii() and code.isalnum() and code == code.upper()


def read_facilities(data: bytes) -> Mapping[str, str]:
    """Code -> name from UTF-8 text whose first line names the columns, `code` and `name` among them; raises
    FacilityListUnusable with the line and the reason."""
    try:
        rows = csv.DictReader(io.StringIO(data.decode("utf-8-sig")), strict=True)
        missing = {"code", "name"} - {*(rows.fieldnames or ())}
        if missing:
            text = ", ".join(sorted(missing))
            raise FacilityListUnusable(1, f"thiếu cột {text}", f"the column {text} is missing")
        return _checked(rows)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise FacilityListUnusable(line, "không phải UTF-8", "this is not UTF-8") from None
    except csv.Error:
        raise FacilityListUnusable(rows.line_num + 1, "không phải CSV", "this is not CSV") from None


def _checked(rows: csv.DictReader[str]) -> Mapping[str, str]:
    names: dict[str, str] = {}
    for row in rows:
        code, name = (row["code"] or "").strip(), (row["name"] or "").strip()
        if not is_code(code):
            vi, en = "MA_CSKCB có 5 chữ số hoặc chữ hoa", "code must be a MA_CSKCB: 5 digits or capital letters"
            raise FacilityListUnusable(rows.line_num, vi, en)
        if not name:
            raise FacilityListUnusable(rows.line_num, "thiếu tên", "the name is missing")
        if code in names:
            raise FacilityListUnusable(rows.line_num, f"{code} đã có ở trên", f"{code} is above already")
        names[code] = name
    return names
