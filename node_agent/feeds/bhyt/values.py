"""One value of a column: text, date, number, list. Pure text work; which column means what lives in the
table files.
"""

from __future__ import annotations

import html
import re
import unicodedata
from datetime import date

ZERO_WIDTH = dict.fromkeys([0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF])
CONTROLS = dict.fromkeys([*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20), *range(0x7F, 0xA0)])
ESCAPED = re.compile(r"&(?:lt|gt|amp|quot|apos|nbsp|#\d{1,7}|#x[0-9A-Fa-f]{1,6});")
DIGITS_DATE = re.compile(r"\d{4}|\d{6}|\d{8}|\d{10}|\d{12}|\d{14}", re.ASCII)
SLASH_DATE = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})(?:\s+(\d{1,2}):(\d{2})(?::(\d{2}))?)?", re.ASCII)
NUMBER = re.compile(r"(-?)0*(\d*)(\.\d{1,18})?\.?", re.ASCII)
LONGEST_NUMBER = 60
COMPARATORS = {"≤": "<=", "≥": ">=", "=<": "<=", "=>": ">="}
MEASURED = re.compile(r"(<=|>=|=<|=>|<|>|≤|≥)?\s*(\S+)")


def clean(raw: str) -> str:
    """Text as the store keeps it: NFC, no NBSP, zero-width or control characters, one level of entities
    undone.
    """
    text = html.unescape(raw) if ESCAPED.search(raw) else raw
    text = text.replace("\u00a0", " ").replace("\r\n", "\n").replace("\r", "\n")
    text = text.translate(ZERO_WIDTH).translate(CONTROLS)
    text = "".join(char for char in text if not "\ud800" <= char <= "\udfff")
    return unicodedata.normalize("NFC", text).strip()


def partial_date(text: str) -> str | None:
    """The PartialDate of 8, 12 or 14 digits (unknown parts 0000), or of dd/mm/yyyy; None when all is unknown.

    ValueError when the text is not a date. Midnight counts as 'time unknown', as the annex writes it.
    """
    if slashed := SLASH_DATE.fullmatch(text):
        day, month, year, hour, minute, second = (part or "" for part in slashed.groups())
        digits = f"{year}{month:0>2}{day:0>2}{hour:0>2}{minute:0>2}{second}"
    else:
        digits = text
    if not DIGITS_DATE.fullmatch(digits):
        raise ValueError("not a date")
    if not digits.strip("0"):
        return None
    year, month, day = digits[:4], digits[4:6] or "00", digits[6:8] or "00"
    hour, minute, second = digits[8:10] or "00", digits[10:12] or "00", digits[12:14]
    if not 1800 <= int(year) <= 2200:
        raise ValueError("year out of range")
    if month == "00":
        return year
    if day == "00":
        date(int(year), int(month), 1)
        return f"{year}-{month}"
    date(int(year), int(month), int(day))
    if not (hour + minute + second).strip("0"):
        return f"{year}-{month}-{day}"
    if int(hour) > 23 or int(minute) > 59 or int(second or "0") > 59:
        raise ValueError("time out of range")
    return f"{year}-{month}-{day}T{hour}:{minute}{':' + second if second else ''}+07:00"


def fixed_width(text: str) -> str:
    """A date of the file as 14 digits, so that versions order bytewise; all zeros when absent or
    unreadable.
    """
    try:
        value = partial_date(text)
    except ValueError:
        value = None
    return re.sub(r"\D", "", (value or "").removesuffix("+07:00"))[:14].ljust(14, "0")


def decimal(text: str) -> str:
    """The Decimal string with the digits as sent (2.500 stays 2.500); ValueError when it is not a plain
    number.
    """
    parts = NUMBER.fullmatch(text) if len(text) <= LONGEST_NUMBER else None
    if not parts or not (parts[2] or parts[3] or "0" in text) or len(parts[2]) > 18:
        raise ValueError("not a number")
    return f"{parts[1]}{parts[2] or '0'}{parts[3] or ''}"


def measured(text: str) -> tuple[str, str | None] | None:
    """(Decimal, comparator) of a result such as '5.40' or '< 0.01'; None when the text is no number."""
    parts = MEASURED.fullmatch(text)
    if not parts:
        return None
    try:
        value = decimal(parts[2])
    except ValueError:
        return None
    return value, COMPARATORS.get(parts[1], parts[1]) if parts[1] else None


def split_list(text: str) -> tuple[str, ...]:
    """A `;` list without empty places and repetitions, in the order written."""
    return tuple(dict.fromkeys(item for item in aligned_list(text) if item))


def aligned_list(text: str) -> tuple[str, ...]:
    """A `;` list whose places mean something (cards and their dates): only empty places at the end are
    dropped.
    """
    items = [item.strip() for item in text.split(";")]
    while items and not items[-1]:
        items.pop()
    return tuple(items)
